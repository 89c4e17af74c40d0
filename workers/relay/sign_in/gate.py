"""Identifies the viewer of a request by the session in its cookie."""

import secrets
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from gateway.errors import PublishError
from workers.relay.sign_in import sessions
from workers.relay.sign_in.audit import Audit
from workers.relay.sign_in.responses import json_error, set_cookie
from workers.relay.sign_in.signed_out import SignedOut
from workers.relay.sign_in.tokens import Keyring, TokenError
from workers.relay.sign_in.viewer import Viewer


class Gate:
    """Starts and ends sessions, and finds the session of a request.

    Args:
        keys: the relay's keys; without secrets, no session is valid.
        signed_out: stores the sessions that were signed out.
        audit: the audit log.
        wall_s: the current time, in Unix seconds.
        session_s: how long a session lasts at most, in seconds.
        sign_in_path: where people can sign in; None if that is only possible with a link.
    """

    def __init__(
        self,
        keys: Keyring,
        signed_out: SignedOut,
        audit: Audit,
        *,
        wall_s: Callable[[], float],
        session_s: int,
        sign_in_path: str | None,
    ) -> None:
        self._keys = keys
        self._signed_out = signed_out
        self._audit = audit
        self._wall_s = wall_s
        self._session_s = session_s
        self._sign_in_path = sign_in_path

    async def viewer_of(self, request: web.Request) -> Viewer:
        """Return the viewer of a request.

        Raises:
            web.HTTPException: with JSON. 401 unless the request has a valid session; 503 if it is
                unknown whether the session was signed out, because Redis is unavailable.
        """
        try:
            viewer = sessions.verify(self._keys, _cookie(request), self._wall_s())
        except TokenError as error:
            reason = error.reason if sessions.COOKIE in request.cookies else "unauthorized"
            raise self._refused(reason, request) from None
        try:
            is_signed_out = await self._signed_out.is_revoked(viewer.session_id)
        except PublishError:
            raise _sessions_unavailable() from None
        if is_signed_out:
            raise self._refused("signed-out", request, viewer)
        return viewer

    def begin(self, viewer: Viewer, response: web.StreamResponse) -> Viewer:
        """Start a session: set its cookie; return its viewer."""
        now_s = self._wall_s()
        session_id = secrets.token_urlsafe(16)
        viewer = sessions.begin(
            viewer, session_id=session_id, session_s=self._session_s, now_s=now_s
        )
        cookie = sessions.sign(self._keys, viewer, now_s)
        set_cookie(response, sessions.COOKIE, cookie, viewer.expires_s - int(now_s))
        return viewer

    async def end(self, request: web.Request) -> Viewer | None:
        """Revoke the session of a request; return its viewer, or None if it has no valid session.

        Raises:
            web.HTTPException: 503, with JSON, if Redis is unavailable.
        """
        try:
            viewer = sessions.verify(self._keys, _cookie(request), self._wall_s())
            await self._signed_out.revoke(viewer.session_id, viewer.expires_s)
        except TokenError:
            return None
        except PublishError:
            raise _sessions_unavailable() from None
        return viewer

    def _refused(
        self, reason: str, request: web.Request, viewer: Viewer | None = None
    ) -> web.HTTPException:
        self._audit.refuse(reason, request.remote, viewer)
        body = {"error": reason, "sign_in": self._sign_in_path}
        return json_error(HTTPStatus.UNAUTHORIZED, body)


def _sessions_unavailable() -> web.HTTPException:
    return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "sessions-unavailable"})


def _cookie(request: web.Request) -> str:
    return request.cookies.get(sessions.COOKIE, "")
