"""Creates everything that signing in needs, from the settings."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry

from common.admin_tokens import AdminTokens
from gateway.redis_client.client import RedisClient
from workers.governance.recorder import Metrics, Recorder
from workers.governance.trail import Trail
from workers.relay.sign_in import cross_site
from workers.relay.sign_in.admin_links import AdminLinks, TokenScope
from workers.relay.sign_in.audit import Audit
from workers.relay.sign_in.gate import Gate
from workers.relay.sign_in.identity import Rules
from workers.relay.sign_in.openid_connect import Client
from workers.relay.sign_in.pages import CALLBACK_PATH, PATH, OidcPages, add_explanation
from workers.relay.sign_in.provider import Provider
from workers.relay.sign_in.responses import json_error
from workers.relay.sign_in.session_api import SessionApi
from workers.relay.sign_in.settings import Settings
from workers.relay.sign_in.signed_out import CachedSignedOut, RedisSignedOut, SignedOut
from workers.relay.sign_in.tokens import Keyring

_HTTP_TIMEOUT: Final = ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signing in to one relay.

    Attributes:
        gate: identifies the viewer of a request.
        audit: the audit log.
        signed_out: the sessions that were signed out, to end their open streams.
    """

    gate: Gate
    audit: Audit
    signed_out: SignedOut
    _settings: Settings
    _keys: Keyring
    _provider: Provider | None

    def add_to(self, app: web.Application) -> None:
        """Add the routes, and the protection against requests of other sites, to the public app."""
        app.middlewares.append(_cross_site_middleware(self._settings.public_url, self.audit))
        SessionApi(self.gate, self._keys, self.audit, time.time, time.monotonic).add_to(app)
        roles = self._settings.oidc_roles
        if self._provider and roles:
            rules = Rules(roles, self._settings.oidc_tenant_claim, self._settings.oidc_text or {})
            pages = OidcPages(self._provider, rules, self.gate, self._keys, self.audit, time.time)
            pages.add_to(app)
        else:
            add_explanation(app, has_links=bool(self._settings.secret))

    def add_links_to(self, app: web.Application) -> None:
        """Add `POST /links` to the app of the private port, if admin tokens are configured.

        Raises:
            SettingsError: WORKER_RELAY_ADMIN_TOKENS is invalid.
        """
        if tokens := self._settings.admin_tokens:
            text = tokens.get_secret_value()
            holders = AdminTokens.read("WORKER_RELAY_ADMIN_TOKENS", TokenScope, text)
            public_url = self._settings.public_url
            AdminLinks(holders, self._keys, public_url, self.audit, time.time).add_to(app)


@contextlib.asynccontextmanager
async def signing_in(
    settings: Settings, client: RedisClient, registry: CollectorRegistry
) -> AsyncIterator[SignIn]:
    """Create what signing in needs, for as long as the context lasts.

    Args:
        settings: who may sign in.
        client: stores sessions that were signed out, and the audit trail; its creator closes it.
        registry: of the metrics.
    """
    keys = Keyring([secret.get_secret_value() for secret in settings.secret])
    recorder = Recorder(Trail(client), Metrics(registry))
    audit = Audit(time.monotonic, recorder.record, time.time)
    signed_out = CachedSignedOut(RedisSignedOut(client, time.time), time.monotonic)
    gate = Gate(
        keys,
        signed_out,
        audit,
        wall_s=time.time,
        session_s=settings.session_s,
        sign_in_path=PATH if settings.oidc_issuer else None,
    )
    # Without cookies: the requests of different users must not be connected.
    jar = DummyCookieJar()
    async with (
        recorder.running(),
        ClientSession(timeout=_HTTP_TIMEOUT, trust_env=True, cookie_jar=jar) as http,
    ):
        yield SignIn(gate, audit, signed_out, settings, keys, _provider(settings, http))


def _provider(settings: Settings, http: ClientSession) -> Provider | None:
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    secret = settings.oidc_client_secret
    client = Client(
        id=settings.oidc_client_id,
        secret=secret.get_secret_value() if secret else None,
        redirect_uri=settings.public_url + CALLBACK_PATH,
        scopes=settings.oidc_scopes,
    )
    return Provider(settings.oidc_issuer, client, http, time.time, time.monotonic)


def _cross_site_middleware(public_url: str, audit: Audit) -> Middleware:
    @web.middleware
    async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not cross_site.is_allowed(request.method, request.headers, public_url):
            audit.refuse("cross-site", request.remote)
            raise json_error(HTTPStatus.FORBIDDEN, {"error": "cross-site"})
        return await handler(request)

    return refuse_other_sites
