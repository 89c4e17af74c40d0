"""The HTTP routes of a carrier: its webhooks and its media socket. Independent of the carrier.

    POST /voice/<carrier>                       a call; the response forks its media here
    POST /voice/<carrier>/status                a status callback about a stream
    GET  /media/<carrier>[/<route>[/<token>]]   the upgrade; a refusal precedes the upgrade

Each path may end in a slash, which signatures cover. Some carriers send webhooks as GET.

Each carrier authenticates its own requests (`carriers/carrier.py`), using the public URL, the raw
body and the time. All gateways share a record of the credentials they have accepted
(`replay_guard.py`). A webhook that is repeated within five minutes receives the same document.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from common.http_body import read_body
from gateway.admission.admission import Admission
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallServices
from gateway.calls.termination import STOPPED
from gateway.carriers.carrier import (
    Carrier,
    ForkingCarrier,
    ReportingCarrier,
    Request,
    SingleUse,
    StreamLink,
    StreamStatus,
)
from gateway.errors import CarrierError
from gateway.ingress.bound_tokens import BoundTokens
from gateway.ingress.media import MediaHandler
from gateway.ingress.refusals import Refusals
from gateway.ingress.replay_guard import ReplayGuard
from gateway.settings import Settings
from gateway.transcript.keys import encode_id

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS_GRACE_S: Final = 5.0  # from a status callback until it ends the stream
_IN_FLIGHT_S: Final = 1.0  # media received within this time were sent before the callback
_TRY_LATER: Final = {1012, 1013}  # RFC 6455's registry: Service Restart, Try Again Later
_STATUSES: Final = {
    "no-route": 404,
    "not-an-upgrade": 400,
    "malformed-body": 400,
    "unsupported-body": 415,
}

_log = structlog.get_logger()


class CarrierRoutes:
    """The HTTP routes of one carrier. There are none unless the carrier's settings are complete."""

    def __init__(
        self,
        carrier: Carrier,
        settings: Settings,
        services: CallServices,
        streams: LiveStreams,
        admission: Admission,
        replay_guard: ReplayGuard,
        refusals: Refusals,
    ) -> None:
        self._carrier = carrier
        self._public_url = settings.public_url
        self._media_url = settings.media_url(carrier.name)
        self._status_url = f"{settings.public_url}/voice/{carrier.name}/status"
        self._streams = streams
        self._admission = admission
        self._refused_total = services.metrics.refused_total
        self._refusals = refusals
        self._wall_s = services.wall_s
        self._replay_guard = replay_guard
        self._media = MediaHandler(
            carrier,
            services,
            streams,
            admission,
            BoundTokens(replay_guard),
            start_timeout_s=settings.start_timeout_s,
            heartbeat_s=settings.heartbeat_s,
        )

    def add_to(self, app: web.Application) -> None:
        """Add the HTTP routes whose settings are complete to an application."""
        carrier = self._carrier
        if carrier.missing_setting:
            return
        if warning := carrier.warning:
            _log.warning(warning)
        path = f"/media/{carrier.name}"
        for each in (path, path + "/{route}", path + "/{route}/{token}"):
            self._add(app, "GET", each, self._serve_media)
        if isinstance(carrier, ForkingCarrier):
            if needs := carrier.webhook_missing_setting:
                _log.warning("webhook-closed", carrier=carrier.name, needs=needs)
            else:
                for method in ("GET", "POST") if carrier.asks_by_get else ("POST",):
                    self._add(app, method, f"/voice/{carrier.name}", self._handle_call)
                    if isinstance(carrier, ReportingCarrier):
                        path = f"/voice/{carrier.name}/status"
                        self._add(app, method, path, self._handle_status)
                self._warn_of_unreachable_routes()

    def _add(self, app: web.Application, method: str, path: str, handler: Handler) -> None:
        """Add an HTTP route, with and without a trailing slash."""
        for each in (path, f"{path}/"):
            app.router.add_route(method, each, handler)

    def replace_carrier(self, carrier: Carrier) -> None:
        """Replace the carrier by one with changed settings, which has the same HTTP routes."""
        self._carrier = self._media.carrier = carrier

    async def _serve_media(self, request: web.Request) -> web.StreamResponse:
        route_name = request.match_info.get("route")
        try:
            upgrade = self._carrier.upgrade(self._as_sent(request, self._media_url))
            return await self._media.serve(request, upgrade, route_name)
        except CarrierError as error:
            return await self._refuse(error, request)

    async def _handle_call(self, request: web.Request) -> web.Response:
        assert isinstance(self._carrier, ForkingCarrier)  # noqa: S101 - by `add_to`
        url = f"{self._public_url}/voice/{self._carrier.name}"
        body = await read_body(request)
        try:
            sent = self._as_sent(request, url, body)
            call = self._carrier.announced(sent)
            self._streams.check_accepting()
            once = self._identity(sent, call.once)
            first_s = await self._replay_guard.record_first_seen(once)
            document = self._carrier.document(call, self._link(call.called, once.value), first_s)
        except CarrierError as error:
            return await self._refuse(error, request)
        return web.Response(body=document.body, content_type=document.content_type)

    async def _handle_status(self, request: web.Request) -> web.Response:
        """Handle a status callback: it may be the only sign that a stream has ended."""
        assert isinstance(self._carrier, ReportingCarrier)  # noqa: S101 - by `add_to`
        body = await read_body(request)
        try:
            sent = self._as_sent(request, self._status_url, body)
            status = self._carrier.status(sent)
            await self._replay_guard.record_first_seen(self._identity(sent, status.once))
        except CarrierError as error:
            return await self._refuse(error, request)
        if status.is_over:
            loop = asyncio.get_running_loop()
            loop.call_later(_STATUS_GRACE_S, self._end_stream, status)
        return web.Response(status=204)

    def _end_stream(self, status: StreamStatus) -> None:
        """End a stream that a callback reported as ended, unless it has received media since.

        The callback does not name the call's route, so streams of all tenants are considered.
        """
        call_id, stream_id = encode_id(status.call_id), encode_id(status.stream_id)
        if self._streams.end_call(
            call_id,
            STOPPED,
            carrier=self._carrier.name,
            stream_id=stream_id,
            idle_s=_STATUS_GRACE_S - _IN_FLIGHT_S,
        ):
            _log.info("ended-by-status", call_id=call_id, stream_id=stream_id)

    def _as_sent(self, request: web.Request, url: str, body: bytes = b"") -> Request:
        """Return a request as the carrier sent it: with the public URL instead of the proxy's."""
        route, token = request.match_info.get("route"), request.match_info.get("token")
        raw_path, question, query = request.raw_path.partition("?")
        path = "".join(f"/{part}" for part in (route, token) if part is not None)
        slash = "/" if raw_path.endswith("/") else ""
        return Request(
            url=f"{url}{path}{slash}{question}{query}",
            headers=request.headers,
            body=body,
            token=token,
            route=route,
            now_s=self._wall_s(),
            method=request.method,
        )

    def _identity(self, sent: Request, once: SingleUse | None) -> SingleUse:
        """Return what identifies a webhook: its nonce or signature, else its URL and body."""
        if once:
            return once
        digest = hashlib.sha256(sent.url.encode(errors="surrogateescape") + b" " + sent.body)
        return SingleUse(f"{self._carrier.name} {digest.hexdigest()}", None)

    def _link(self, called: str | None, seed: str) -> StreamLink | None:
        """Return the link for a call's media, or None if no route matches.

        Without a route the call continues without transcription.
        """
        name = self._carrier.name
        route = self._admission.routes.choose(name, called, {})
        if route is None:
            self._refused_total.labels(name, "no-route").inc()
            _log.warning("call-without-route", carrier=name)
            return None
        # Route and token go in the path: many carriers accept no query, and signatures cover it.
        is_certain = route is self._admission.routes.certain(name)
        return StreamLink(self._media_url, route.name, is_certain, seed)

    def _warn_of_unreachable_routes(self) -> None:
        for route in self._admission.routes.routes:
            if route.serves(self._carrier.name) and route.called and route.params:
                why = "the webhook has the number, the start message the parameters"
                _log.warning("route-never-chosen", route=route.name, why=why)

    async def _refuse(self, error: CarrierError, request: web.Request) -> web.Response:
        """Return the response to a refused request; the failed check is only written to the log."""
        self._refusals.note(self._carrier.name, error, request)
        if error.info.close_code in _TRY_LATER:
            return web.Response(status=503, text="try again later\n", headers={"Retry-After": "5"})
        status = _STATUSES.get(error.reason)
        if status is None:
            status = self._carrier.refusal_status
            await asyncio.sleep(self._carrier.refusal_delay_s)
        return web.Response(status=status, text=f"{HTTPStatus(status).phrase.lower()}\n")
