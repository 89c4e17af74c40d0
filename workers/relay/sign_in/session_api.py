"""The routes `/api/session`: who is signed in, sign in with a link, sign out."""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from common.http_body import read_body
from gateway.transcript.encode import rfc3339_ms
from workers.relay.sign_in import links, sessions
from workers.relay.sign_in.audit import Action, Audit
from workers.relay.sign_in.failures import Failures
from workers.relay.sign_in.gate import Gate
from workers.relay.sign_in.responses import delete_cookie, json_response
from workers.relay.sign_in.tokens import Keyring, TokenError
from workers.relay.sign_in.viewer import PERMISSIONS, Scope, Viewer

PATH: Final = "/api/session"

_MAX_BYTES: Final = 8192


class _SignIn(msgspec.Struct):
    token: str


class SessionApi:
    """The handlers of `/api/session`.

    Args:
        gate: starts and ends sessions.
        keys: verify links.
        audit: the audit log.
        wall_s: the current time, in Unix seconds.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        gate: Gate,
        keys: Keyring,
        audit: Audit,
        wall_s: Callable[[], float],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._keys = keys
        self._audit = audit
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._failures = Failures()

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        resource = app.router.add_resource(PATH)
        resource.add_route("GET", self._read)
        resource.add_route("POST", self._sign_in)
        resource.add_route("DELETE", self._sign_out)

    async def _read(self, request: web.Request) -> web.Response:
        return json_response(_summary(await self._gate.viewer_of(request)))

    async def _sign_in(self, request: web.Request) -> web.Response:
        body = await read_body(request.clone(client_max_size=_MAX_BYTES))
        try:
            token = msgspec.json.decode(body, type=_SignIn).token
            admitted = links.verify(self._keys, token, self._wall_s())
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._refused("invalid", request)
        except TokenError as error:
            return self._refused(error.reason, request)
        response = json_response(None)
        viewer = self._gate.begin(admitted, response)
        response.body = msgspec.json.encode(_summary(viewer))
        self._audit.note(Action.SIGNED_IN, viewer, request.remote)
        return response

    async def _sign_out(self, request: web.Request) -> web.Response:
        viewer = await self._gate.end(request)
        if viewer:
            self._audit.note(Action.SIGNED_OUT, viewer, request.remote)
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        delete_cookie(response, sessions.COOKIE)
        return response

    def _refused(self, reason: str, request: web.Request) -> web.Response:
        if self._failures.note(request.remote or "", self._monotonic_s()):
            return json_response({"error": "too-many-failures"}, status=429)
        self._audit.refuse(f"link-{reason}", request.remote)
        return json_response({"error": reason}, status=401)


def _summary(viewer: Viewer) -> dict[str, object]:
    return {
        "name": viewer.name,
        "role": viewer.role,
        "text": viewer.text,
        "scope": _set_values(viewer.scope),
        "expires": rfc3339_ms(viewer.expires_s),
        "may": sorted(PERMISSIONS[viewer.role]),
    }


def _set_values(scope: Scope) -> dict[str, str]:
    values = {"call_id": scope.call_id, "route": scope.route, "tenant": scope.tenant}
    return {name: value for name, value in values.items() if value is not None}
