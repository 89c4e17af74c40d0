"""The admin API on the private port: lists and ends calls, drains, issues tokens. docs/admin.md.

Every request needs a bearer token with the scope of its route. Every request writes one audit line
to the log, whatever its outcome. Responses contain states, counts and times of calls, never their
content.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from common.admin_tokens import AdminTokens, Holder
from common.http_body import read_body
from gateway.calls.registry import LiveStreams
from gateway.calls.snapshot import StreamSnapshot
from gateway.calls.termination import TERMINATED
from gateway.ingress.admin_tokens import Scope
from gateway.ingress.token_issuer import TokenIssuer, TokenRequest
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import encode_id

_CHALLENGE: Final = 'Bearer realm="callscribe"'  # RFC 6750 section 3
_OUTCOMES: Final = {
    200: "ok",
    202: "ok",
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "not-allowed",
    408: "bad-request",
    413: "bad-request",
}
_ONE_CALL: Final = "/calls/{call_id:[^/]+}"  # the default pattern would exclude braces

_log = structlog.get_logger()


@dataclass(slots=True)
class _Command:
    """The parameters of a request.

    Attributes:
        call_id: the encoded call id of the path, or the one that a handler found in the body. It
            is written to the audit line.
        body: the unparsed body.
    """

    call_id: str | None
    body: bytes = field(default=b"", repr=False)


type _Handler = Callable[[_Command], web.Response]


class AdminApi:
    """The routes of the admin API."""

    def __init__(
        self, tokens: AdminTokens[Scope], streams: LiveStreams, issuer: TokenIssuer
    ) -> None:
        self._tokens = tokens
        self._streams = streams
        self._issuer = issuer

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        paths: dict[str, dict[str, tuple[str, Scope, _Handler]]] = {
            "/calls": {"GET": ("list", Scope.READ, self._list)},
            _ONE_CALL: {
                "GET": ("read", Scope.READ, self._read),
                "DELETE": ("terminate", Scope.TERMINATE, self._terminate),
            },
            "/drain": {"POST": ("drain", Scope.DRAIN, self._drain)},
            "/stream-tokens": {"POST": ("mint", Scope.MINT, self._issue_token)},
        }
        for path, methods in paths.items():
            resource = app.router.add_resource(path)
            for method, (action, scope, handler) in methods.items():
                resource.add_route(method, self._guarded(action, scope, handler))
            not_allowed = partial(_not_allowed, ", ".join(methods))
            resource.add_route("*", self._guarded(None, None, not_allowed))

    def _guarded(
        self, action: str | None, scope: Scope | None, handler: _Handler
    ) -> Callable[[web.Request], Any]:
        """Wrap a handler with authorization and the audit line.

        If `scope` is None, any valid token is sufficient.
        """

        async def handle(request: web.Request) -> web.Response:
            command = _Command(_call_id(request))
            holder, outcome = self._holder(request), "failed"
            try:
                response = _refusal(holder, scope) or await _handle(request, command, handler)
                outcome = _OUTCOMES[response.status]
            finally:
                _log.info(
                    "admin-action",
                    who=holder.name if holder else None,
                    action=action,
                    # The path of an unauthenticated request may contain anything.
                    call_id=command.call_id if holder else None,
                    outcome=outcome,
                )
            return response

        return handle

    def _holder(self, request: web.Request) -> Holder[Scope] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._tokens.holder(token.strip()) if scheme.lower() == "bearer" else None

    def _list(self, _: _Command) -> web.Response:
        return _json({"calls": [_summary(stream) for stream in self._streams.snapshots()]})

    def _read(self, command: _Command) -> web.Response:
        call_id = command.call_id
        streams = self._streams.snapshots(call_id) if call_id else []
        if not streams:
            return _error(404, "no such call here")
        details = [_details(stream) for stream in streams]
        return _json({"call_id": call_id, "streams": details})

    def _terminate(self, command: _Command) -> web.Response:
        call_id = command.call_id
        streams = self._streams.end_call(call_id, TERMINATED) if call_id else []
        if not streams:
            return _error(404, "no such call here")
        ids = [stream.stream_id for stream in streams]
        return _json({"call_id": call_id, "ending": ids}, status=202)

    def _drain(self, _: _Command) -> web.Response:
        self._streams.start_draining()
        return _json({"draining": True, "streams": self._streams.admitted}, status=202)

    def _issue_token(self, command: _Command) -> web.Response:
        try:
            request = msgspec.json.decode(command.body, type=TokenRequest)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _error(
                400, 'the body must be {"carrier": "...", "route": "...", "call_id": "..."}'
            )
        command.call_id = None if request.call_id is None else encode_id(request.call_id)
        try:
            issued = self._issuer.issue(request)
        except LookupError as error:
            return _error(404, str(error))
        return _json(
            {
                "url": issued.url,
                "token": issued.token,
                "tenant": issued.tenant,
                "route": issued.route,
                "expires": rfc3339_ms(issued.expires_s),
            }
        )


async def _handle(request: web.Request, command: _Command, handler: _Handler) -> web.Response:
    try:
        command.body = await read_body(request)
    except web.HTTPException as error:
        return _error(error.status, error.reason.lower())
    return handler(command)


def _summary(stream: StreamSnapshot) -> dict[str, object]:
    """Return a stream's entry in the list of calls."""
    return {
        "call_id": stream.call_id,
        **_heading(stream),
        "tracks": [track.track for track in stream.tracks],
        "duration_ms": stream.duration_ms,
        "reconnects": stream.reconnects,
    }


def _details(stream: StreamSnapshot) -> dict[str, object]:
    """Return a stream's entry in the details of one call."""
    return {
        **_heading(stream),
        "age_s": round(stream.age_s, 3),
        "duration_ms": stream.duration_ms,
        "tracks": stream.tracks,
    }


def _heading(stream: StreamSnapshot) -> dict[str, object]:
    return {
        "stream_id": stream.stream_id,
        "carrier": stream.carrier,
        "tenant": stream.tenant,
        "state": stream.state,
        "started": rfc3339_ms(stream.epoch / 1000),
    }


def path_call_id(segment: str) -> str:
    """Return a path's call id, encoded as in events; a path may percent-encode it differently."""
    return encode_id(unquote(segment, errors="surrogateescape"))


def _call_id(request: web.Request) -> str | None:
    if "call_id" not in request.match_info:
        return None
    return path_call_id(request.rel_url.raw_path.rpartition("/")[2])


def _not_allowed(methods: str, _: _Command) -> web.Response:
    return _error(405, f"the method must be {methods.replace(', ', ' or ')}", Allow=methods)


def _refusal(holder: Holder[Scope] | None, scope: Scope | None) -> web.Response | None:
    if holder is None:
        return _error(401, "a bearer token is needed", **{"WWW-Authenticate": _CHALLENGE})
    if scope and scope not in holder.scopes:
        challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        return _error(403, f"the token lacks the scope {scope}", **{"WWW-Authenticate": challenge})
    return None


def _error(status: int, text: str, **headers: str) -> web.Response:
    return _json({"error": text}, status, headers)


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
