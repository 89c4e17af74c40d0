"""The route `POST /links` of the private port: creates links for bearer tokens of programs."""

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from aiohttp import web

from common.admin_tokens import AdminTokens, Holder
from common.http_body import read_body
from gateway.transcript.encode import rfc3339_ms
from workers.relay.sign_in import links
from workers.relay.sign_in.audit import Audit
from workers.relay.sign_in.links import DEFAULT_LIFETIME_S, Grant, Link, single_scope
from workers.relay.sign_in.responses import json_response
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import Role, Text

_MAX_BYTES: Final = 8192
_CHALLENGE: Final = 'Bearer realm="callscribe"'  # RFC 6750 section 3


class TokenScope(StrEnum):
    """An action that a token may allow."""

    LINKS = "links"


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: Role = Role.AGENT
    text: Text = Text.REDACTED
    call_id: str | None = None
    route: str | None = None
    tenant: str | None = None
    is_all: bool = msgspec.field(name="all", default=False)
    lifetime_s: int = DEFAULT_LIFETIME_S

    def grant(self) -> Grant:
        """Return what the link admits to; raises ValueError with one sentence."""
        scope = single_scope(self.call_id, self.route, self.tenant, is_all=self.is_all)
        return Grant(scope, self.role, self.text, self.name, self.lifetime_s)


class AdminLinks:
    """Creates links on request.

    Args:
        tokens: the bearer tokens.
        keys: sign the links.
        public_url: the relay's URL, as browsers see it.
        audit: the audit log.
        wall_s: the current time, in Unix seconds.
    """

    def __init__(
        self,
        tokens: AdminTokens[TokenScope],
        keys: Keyring,
        public_url: str,
        audit: Audit,
        wall_s: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._keys = keys
        self._public_url = public_url
        self._audit = audit
        self._wall_s = wall_s

    def add_to(self, app: web.Application) -> None:
        """Add the route to the application of the private port."""
        app.router.add_post("/links", self._create)

    async def _create(self, request: web.Request) -> web.Response:
        holder = self._holder(request)
        if holder is None:
            self._audit.refuse("unauthorized", request.remote)
            response = json_response({"error": "a bearer token is needed"}, status=401)
            response.headers["WWW-Authenticate"] = _CHALLENGE
            return response
        body = await read_body(request.clone(client_max_size=_MAX_BYTES))
        try:
            grant = msgspec.json.decode(body, type=_Request).grant()
        except (ValueError, msgspec.DecodeError) as error:
            self._audit.mint(holder.name, "bad-request", request.remote, None)
            return json_response({"error": str(error)}, status=400)
        link = self._mint(grant)
        self._audit.mint(holder.name, "ok", request.remote, link.viewer)
        expires = rfc3339_ms(link.viewer.expires_s)
        return json_response({"url": link.url(self._public_url), "expires": expires})

    def _holder(self, request: web.Request) -> Holder[TokenScope] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._tokens.holder(token.strip()) if scheme.lower() == "bearer" else None

    def _mint(self, grant: Grant) -> Link:
        return links.mint(self._keys, grant, link_id=secrets.token_hex(8), now_s=self._wall_s())
