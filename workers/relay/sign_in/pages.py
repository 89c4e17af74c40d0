"""The pages `/sign-in` and `/sign-in/oidc`: sign in at an OpenID provider."""

import hmac
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from workers.relay.sign_in.audit import Action, Audit
from workers.relay.sign_in.cross_site import local_path
from workers.relay.sign_in.gate import Gate
from workers.relay.sign_in.identity import Rules, viewer_of
from workers.relay.sign_in.openid_connect import Attempt
from workers.relay.sign_in.provider import Provider
from workers.relay.sign_in.refusal import EXPLANATIONS, SignInError
from workers.relay.sign_in.responses import delete_cookie, page, set_cookie
from workers.relay.sign_in.tokens import MAX_LIFETIME_S, Keyring, Kind, TokenError

PATH: Final = "/sign-in"
OIDC_PATH: Final = "/sign-in/oidc"
CALLBACK_PATH: Final = "/sign-in/oidc/callback"

_COOKIE: Final = "__Host-callscribe-sign-in"
_ATTEMPT_S: Final = 600
_MAX_CODE_CHARACTERS: Final = 4096
_HOW: Final = {
    True: "Open the link that you received. If it has expired, ask for a new one.",
    False: "Sign-in is not configured on this server. Its operator must set WORKER_RELAY_SECRET.",
}


class OidcPages:
    """The pages of signing in at an OpenID provider.

    Args:
        provider: the provider.
        rules: how claims become a viewer.
        gate: starts sessions.
        keys: sign the state of a sign-in, which the browser keeps in a cookie.
        audit: the audit log.
        wall_s: the current time, in Unix seconds.
    """

    def __init__(
        self,
        provider: Provider,
        rules: Rules,
        gate: Gate,
        keys: Keyring,
        audit: Audit,
        wall_s: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._rules = rules
        self._gate = gate
        self._keys = keys
        self._audit = audit
        self._wall_s = wall_s

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get(PATH, self._offer)
        app.router.add_get(OIDC_PATH, self._start, allow_head=False)
        app.router.add_get(CALLBACK_PATH, self._finish, allow_head=False)

    async def _offer(self, request: web.Request) -> web.Response:
        query = urlencode({"next": local_path(request.query.get("next", "/"))})
        link = ("Sign in with your organization", f"{OIDC_PATH}?{query}")
        return page("Sign in", "Transcripts are shown to signed-in users.", link=link)

    async def _start(self, request: web.Request) -> web.Response:
        attempt = Attempt(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            next=local_path(request.query.get("next", "/")),
        )
        try:
            url = await self._provider.authorization_url(attempt)
        except SignInError as error:
            return self._refused(error, request)
        now_s = self._wall_s()
        until_s = int(now_s) + _ATTEMPT_S
        cookie = self._keys.sign(Kind.SIGN_IN, attempt, now_s=now_s, until_s=until_s)
        response = _redirect(url)
        set_cookie(response, _COOKIE, cookie, _ATTEMPT_S)
        return response

    async def _finish(self, request: web.Request) -> web.Response:
        try:
            response = await self._signed_in(request)
        except SignInError as error:
            response = self._refused(error, request)
        delete_cookie(response, _COOKIE)
        return response

    async def _signed_in(self, request: web.Request) -> web.Response:
        attempt, code = self._attempt(request), _code(request)
        claims = await self._provider.redeem(code, attempt)
        expires_s = int(self._wall_s()) + MAX_LIFETIME_S  # the gate shortens it
        admitted = viewer_of(claims, self._rules, expires_s=expires_s)
        response = _redirect(attempt.next)
        viewer = self._gate.begin(admitted, response)
        self._audit.note(Action.SIGNED_IN, viewer, request.remote)
        return response

    def _attempt(self, request: web.Request) -> Attempt:
        """Return the browser's sign-in, to which the provider's response must belong."""
        cookie, state = request.cookies.get(_COOKIE, ""), request.query.get("state", "")
        try:
            attempt = self._keys.verify(Kind.SIGN_IN, cookie, Attempt, self._wall_s())
        except TokenError:
            raise SignInError("attempt-invalid") from None
        is_same = hmac.compare_digest(state.encode("utf-8", "replace"), attempt.state.encode())
        issuer = self._provider.issuer
        # RFC 9207: the response may name its issuer.
        if not is_same or request.query.get("iss", issuer) != issuer:
            raise SignInError("attempt-invalid")
        return attempt

    def _refused(self, error: SignInError, request: web.Request) -> web.Response:
        self._audit.refuse(f"oidc-{error.reason}", request.remote)
        status, text = EXPLANATIONS[error.reason]
        return page("Not signed in", text, status=status, link=("Try again", PATH))


def add_explanation(app: web.Application, *, has_links: bool) -> None:
    """Add a page `/sign-in` without a provider, which explains how to sign in.

    Args:
        app: the application.
        has_links: whether links are valid here.
    """

    async def explain(_: web.Request) -> web.Response:
        return page("Sign in", _HOW[has_links])

    app.router.add_get(PATH, explain)


def _code(request: web.Request) -> str:
    if "error" in request.query:
        raise SignInError("denied")
    code = request.query.get("code", "")
    if not 0 < len(code) <= _MAX_CODE_CHARACTERS:
        raise SignInError("attempt-invalid")
    return code


def _redirect(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)
