"""A carrier's routes: the webhook that starts a fork, and the media socket. Knows no carrier.

    POST /voice/<carrier>                       a call; the answer forks it to us
    POST /voice/<carrier>/status                what became of its stream
    GET  /media/<carrier>[/<route>[/<token>]]   the upgrade; refused before it is accepted

Each may end in a slash, which signatures cover. Webhooks that a carrier signs so may be GET.

Each carrier authenticates its own requests (`carriers/carrier.py`), by our public URL, the raw body
and the time. All gateways share a record of the credentials they have accepted (`replay_guard.py`):
a repeated webhook gets the same document again for a while.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

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
from gateway.ingress.bodies import read_body
from gateway.ingress.bound_tokens import BoundTokens
from gateway.ingress.media import MediaSocket
from gateway.ingress.refusals import Refusals
from gateway.ingress.replay_guard import ReplayGuard
from gateway.settings import Settings
from gateway.transcript.keys import encode_id

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS_GRACE_S: Final = 5.0  # before a status callback ends a stream, and ...
_IN_FLIGHT_S: Final = 1.0  # ... media that come so soon after it were on their way before it
_TRY_LATER: Final = {1012, 1013}  # RFC 6455's registry: Service Restart, Try Again Later
_STATUSES: Final = {
    "no-route": 404,
    "not-an-upgrade": 400,
    "malformed-body": 400,
    "unsupported-body": 415,
}

_log = structlog.get_logger()


class CarrierRoutes:
    """What one carrier may ask of us; closed unless its settings open it."""

    def __init__(
        self,
        carrier: Carrier,
        settings: Settings,
        services: CallServices,
        streams: LiveStreams,
        admission: Admission,
        shown: ReplayGuard,
        refusals: Refusals,
    ) -> None:
        self._carrier = carrier
        self._public_url = settings.public_url
        self._media_url = settings.media_url(carrier.name)
        self._status_url = f"{settings.public_url}/voice/{carrier.name}/status"
        self._streams = streams
        self._routes = admission.routes
        self._refused_total = services.metrics.refused_total
        self._refusals = refusals
        self._wall_s = services.wall_s
        self._shown = shown
        self._media = MediaSocket(
            carrier,
            services,
            streams,
            admission,
            BoundTokens(shown),
            start_timeout_s=settings.start_timeout_s,
            heartbeat_s=settings.heartbeat_s,
        )

    def add_to(self, app: web.Application) -> None:
        """Add the routes that the settings open."""
        carrier = self._carrier
        if carrier.missing_setting:
            return
        if warning := carrier.warning:
            _log.warning(warning)
        path = f"/media/{carrier.name}"
        for each in (path, path + "/{route}", path + "/{route}/{token}"):
            self._add(app, "GET", each, self._serve_media)
        if isinstance(carrier, ForkingCarrier):
            if needs := carrier.webhook_closed_for_want_of:
                _log.warning("webhook-closed", carrier=carrier.name, needs=needs)
            else:
                for method in ("GET", "POST") if carrier.asks_by_get else ("POST",):
                    self._add(app, method, f"/voice/{carrier.name}", self._answer_call)
                    if isinstance(carrier, ReportingCarrier):
                        self._add(app, method, f"/voice/{carrier.name}/status", self._take_status)
                self._warn_of_idle_routes()

    def _add(self, app: web.Application, method: str, path: str, handler: Handler) -> None:
        """Add a route, with and without a slash at its end."""
        for each in (path, f"{path}/"):
            app.router.add_route(method, each, handler)

    def renew(self, carrier: Carrier) -> None:
        """Replace the carrier by one with other settings, which is open as well."""
        self._carrier = carrier

    async def _serve_media(self, request: web.Request) -> web.StreamResponse:
        route_name = request.match_info.get("route")
        try:
            upgrade = self._carrier.upgrade(self._asked(request, self._media_url))
            return await self._media.serve(request, upgrade, route_name)
        except CarrierError as error:
            return await self._refuse(error, request)

    async def _answer_call(self, request: web.Request) -> web.Response:
        assert isinstance(self._carrier, ForkingCarrier)  # noqa: S101 - only then it is routed here
        url = f"{self._public_url}/voice/{self._carrier.name}"
        body = await read_body(request)
        try:
            asked = self._asked(request, url, body)
            call = self._carrier.announced(asked)
            self._streams.refuse_new()
            once = self._identity(asked, call.once)
            first_s = await self._shown.first_shown(once)
            document = self._carrier.document(call, self._link(call.called, once.value), first_s)
        except CarrierError as error:
            return await self._refuse(error, request)
        return web.Response(body=document.body, content_type=document.content_type)

    async def _take_status(self, request: web.Request) -> web.Response:
        """Handle a status callback: a stream's socket may never show that the stream is over."""
        assert isinstance(self._carrier, ReportingCarrier)  # noqa: S101 - only then it is routed here
        body = await read_body(request)
        try:
            asked = self._asked(request, self._status_url, body)
            status = self._carrier.status(asked)
            await self._shown.first_shown(self._identity(asked, status.once))
        except CarrierError as error:
            return await self._refuse(error, request)
        if status.is_over:
            loop = asyncio.get_running_loop()
            loop.call_later(_STATUS_GRACE_S, self._end_stream, status)
        return web.Response(status=204)

    def _end_stream(self, status: StreamStatus) -> None:
        """End a stream of this carrier's that is over by a callback, unless media have come since.

        The callback does not say which route the call took, so all tenants of the carrier count.
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

    def _asked(self, request: web.Request, url: str, body: bytes = b"") -> Request:
        """See a request as the carrier sent it: its URL is ours by the settings."""
        route, token = request.match_info.get("route"), request.match_info.get("token")
        asked, question, query = request.raw_path.partition("?")
        path = "".join(f"/{part}" for part in (route, token) if part is not None)
        slash = "/" if asked.endswith("/") else ""
        return Request(
            url=f"{url}{path}{slash}{question}{query}",
            headers=request.headers,
            body=body,
            token=token,
            route=route,
            now_s=self._wall_s(),
            method=request.method,
        )

    def _identity(self, asked: Request, once: SingleUse | None) -> SingleUse:
        """Return what tells a webhook from all others: what it is signed with, or all of it."""
        if once:
            return once
        digest = hashlib.sha256(asked.url.encode(errors="surrogateescape") + b" " + asked.body)
        return SingleUse(f"{self._carrier.name} {digest.hexdigest()}", None)

    def _link(self, called: str | None, seed: str) -> StreamLink | None:
        """Return where a call's media go; None if no route fits: then it is not transcribed."""
        name = self._carrier.name
        route = self._routes.choose(name, called, {})
        if route is None:
            self._refused_total.labels(name, "no-route").inc()
            _log.warning("call-without-route", carrier=name)
            return None
        # In the path, because many take no query; and signatures cover it.
        return StreamLink(self._media_url, route.name, route is self._routes.certain(name), seed)

    def _warn_of_idle_routes(self) -> None:
        for route in self._routes.routes:
            if route.serves(self._carrier.name) and route.called and route.params:
                why = "the number and the parameters are told at different times"
                _log.warning("route-never-chosen", route=route.name, why=why)

    async def _refuse(self, error: CarrierError, request: web.Request) -> web.Response:
        """Answer a request that is not let in; which check failed is for our log, not for them."""
        self._refusals.note(self._carrier.name, error, request)
        if error.info.close_code in _TRY_LATER:
            return web.Response(status=503, text="try again later\n", headers={"Retry-After": "5"})
        status = _STATUSES.get(error.reason)
        if status is None:
            status = self._carrier.refusal_status
            await asyncio.sleep(self._carrier.refusal_delay_s)
        return web.Response(status=status, text=f"{HTTPStatus(status).phrase.lower()}\n")
