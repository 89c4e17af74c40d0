"""Counts refused requests and connections, and logs why, with a hint for the operator.

The client receives none of this. A log line contains no path, query or header of the request. One
line per minute is written for each carrier and reason.
"""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from common.throttle import Throttle
from gateway.admission.routes import Routes
from gateway.carriers.carrier import Carrier, ForkingCarrier
from gateway.errors import CarrierError
from gateway.hints import hint
from gateway.metrics import Metrics

_CARRIER: Final = re.compile(r"/(voice|media)/([a-z0-9]{1,32})(?:/|$)")
_NO_CARRIER: Final = "unknown"  # the label if the path names no carrier
_SIGNED_URL: Final = "signature-invalid"  # may mean that the carrier signed another URL
_NO_DESCRIPTOR: Final = "descriptors-exhausted"
_DESCRIPTOR_HINT: Final = "raise the limit of open files (ulimit -n), or run more gateways"
_BY_STATUS: Final = {
    400: "malformed-body",
    404: "unknown-path",
    405: "wrong-method",
    408: "body-timeout",
    413: "body-too-big",
}

_log = structlog.get_logger()


class Refusals:
    """Counts and logs refused requests.

    Args:
        metrics: count the refusals.
        monotonic_s: the clock that limits the log lines.
        public_url: the gateway's URL as carriers know it.
        routes: returns the present routes; a media URL may contain the name of one.
    """

    def __init__(
        self,
        metrics: Metrics,
        monotonic_s: Callable[[], float],
        public_url: str,
        routes: Callable[[], Routes],
    ) -> None:
        self._refused_total = metrics.refused_total
        self._throttle = Throttle(monotonic_s)
        self._public_url = public_url
        self._routes = routes

    def note(self, carrier: str, error: CarrierError, request: web.Request) -> None:
        """Count and log a request that a carrier's checks refused."""
        more: dict[str, object] = {}
        if error.reason == _SIGNED_URL:
            more["checked_url"] = self._checked_url(carrier, request)
            more["host_matches"] = request.host == urlsplit(self._public_url).netloc
        self._write(carrier, error.reason, error.detail, more)

    def note_unserved(self, carriers: Sequence[Carrier], request: web.Request, status: int) -> None:
        """Count and log a request that matched no HTTP route, or whose body was refused."""
        named = _CARRIER.match(request.path)
        carrier = next((c for c in carriers if named and c.name == named[2]), None)
        reason, needs = _BY_STATUS.get(status, "malformed-body"), None
        if carrier and named and status in (404, 405):
            reason, needs = _closed(carrier, named[1]) or (reason, None)
        self._write(carrier.name if carrier else _NO_CARRIER, reason, "", {"needs": needs})

    def _write(self, carrier: str, reason: str, detail: str, more: dict[str, object]) -> None:
        self._refused_total.labels(carrier, reason).inc()
        suppressed = self._throttle.admit((carrier, reason))
        if suppressed is None:
            return
        # Scanners of the internet cause many requests for other paths.
        write = _log.info if carrier == _NO_CARRIER else _log.warning
        write(
            "request-refused",
            carrier=carrier,
            reason=reason,
            detail=detail or None,
            hint=hint(reason),
            suppressed=suppressed,
            **more,
        )

    def _checked_url(self, carrier: str, request: web.Request) -> str:
        """Return the URL that a signature was checked against, without possible secrets."""
        path, question, _ = request.raw_path.partition("?")
        kind = request.path.split("/")[1]
        base = self._public_url if kind == "voice" else f"ws{self._public_url.removeprefix('http')}"
        parts = [base, kind, carrier]
        if kind == "voice" and path.rstrip("/").endswith("/status"):
            parts.append("status")
        if route := request.match_info.get("route"):
            known = any(route == each.name for each in self._routes().routes)
            parts.append(route if known else "<route>")
        if "token" in request.match_info:
            parts.append("<token>")
        slash = "/" if path.endswith("/") else ""
        return "/".join(parts) + slash + ("?<query>" if question else "")


class ConnectionRefusals:
    """Counts and logs connections and requests that are refused before a handler is called."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused_total = metrics.refused_connections_total
        self._throttle = Throttle(time.monotonic)

    def notice(self, reason: str) -> None:
        """Count a refusal; log each reason at most once a minute. See `common/connections.py`."""
        self._refused_total.labels(reason).inc()
        suppressed = self._throttle.admit(reason)
        if suppressed is None:
            return
        if reason == _NO_DESCRIPTOR:
            _log.error(reason, suppressed=suppressed, hint=_DESCRIPTOR_HINT)
        else:
            _log.info(reason, suppressed=suppressed)


def _closed(carrier: Carrier, kind: str) -> tuple[str, str] | None:
    """Return why a carrier's route is disabled and what it needs; None if it is enabled."""
    if needs := carrier.missing_setting:
        return "carrier-not-open", needs
    if kind == "voice" and isinstance(carrier, ForkingCarrier):
        needs = carrier.webhook_missing_setting
        return ("webhook-not-open", needs) if needs else None
    return None


def noting_unserved(refusals: Refusals, carriers: Sequence[Carrier]) -> Middleware:
    """Return the middleware that counts and logs requests without a route or with a bad body."""

    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPClientError as error:
            refusals.note_unserved(carriers, request, error.status)
            raise

    return note


def require_upgrade(request: web.Request) -> None:
    """Check that a request asks for a WebSocket.

    Raises:
        CarrierError: not-an-upgrade; its detail names the headers that are missing or wrong.
    """
    if web.WebSocketResponse().can_prepare(request):
        return
    headers = request.headers
    wrong = []
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        wrong.append(hdrs.UPGRADE)
    if "upgrade" not in headers.get(hdrs.CONNECTION, "").lower():
        wrong.append(hdrs.CONNECTION)
    wrong += [
        name for name in (hdrs.SEC_WEBSOCKET_KEY, hdrs.SEC_WEBSOCKET_VERSION) if name not in headers
    ]
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    raise CarrierError("not-an-upgrade", f"{version}, missing or wrong: {', '.join(wrong)}")
