"""Optional OpenTelemetry traces: one per media stream, without any content of calls.

    call             from the upgrade until the carrier's socket is closed
    |  reconnect     event: a session failed and is replaced
    +-- admission    reserving session slots: before the upgrade, and once the call has started
    +-- session      one model session of a track
    |      first-delta    event: its first token
    +-- rollover     the switch from a session to the next one
    +-- finish       from the hang-up to the last final transcript

Without an OTLP endpoint in the settings, OpenTelemetry is not imported, and all spans are `OFF`.
Spans wait in a bounded queue of the SDK, and a thread sends them. No method here waits for it. If
the queue is full, the SDK drops the oldest span. No span is created per frame or per delta.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog
from prometheus_client import Counter

from common.settings import SettingsError
from common.throttle import Throttle
from common.version import version
from gateway.errors import GatewayError
from gateway.metrics import Metrics

if TYPE_CHECKING:  # an optional package: imported at runtime only if it is used
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer
    from requests import Response

_SERVICE: Final = "callscribe-gateway"
_STOP_S: Final = 3.0  # for the last spans, at the end of the process
_NOT_INSTALLED: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT or ..._TRACES_ENDPOINT is set, but OpenTelemetry is not "
    "installed; install it (docs/tracing.md: requirements/otel.txt) or unset the variable"
)

_log = structlog.get_logger()

type Value = str | bool | None
type StartTrace = Callable[[str], "Span"]  # takes the carrier's name, returns the span `call`


class _Source(NamedTuple):
    """What creates the spans of the process."""

    tracer: "Tracer"
    ended_total: Counter


class Span:
    """A span of a stream's trace. As a context, it ends with the context.

    Attributes get the prefix `callscribe.`; those that are None are left out.

    Args:
        source: creates the spans of the process; None: tracing is off, and no method has an effect.
        span: the SDK's span; None for the parent of all traces.
        common: attributes of all children and events.
    """

    def __init__(
        self,
        source: _Source | None = None,
        span: "OtelSpan | None" = None,
        common: Mapping[str, Value] | None = None,
    ) -> None:
        self._source = source
        self._span = span
        self._common = common or {}

    def of_track(self, track: str) -> "Span":
        """Return the same span; what is created with it names the track."""
        return Span(self._source, self._span, {"track": track}) if self._source else self

    def child(self, name: str, **attributes: Value) -> "Span":
        """Start a span within this one."""
        if self._source is None:
            return self
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        # An empty context: the parent is never one that a library has set.
        context = set_span_in_context(self._span, Context()) if self._span else Context()
        attributes = {**self._common, **attributes}
        span = self._source.tracer.start_span(name, context, attributes=_named(attributes))
        return Span(self._source, span)

    def event(self, name: str, **attributes: Value) -> None:
        """Add an event, with the current time."""
        if self._span:
            self._span.add_event(name, _named({**self._common, **attributes}))

    def set(self, **attributes: Value) -> None:
        """Set attributes."""
        if self._span:
            self._span.set_attributes(_named(attributes))

    def fail(self, reason: str) -> None:
        """Mark the span as failed. No exception is recorded: its text may quote content."""
        if self._span:
            from opentelemetry.trace import StatusCode

            self.set(reason=reason)
            self._span.set_status(StatusCode.ERROR, reason)

    def end(self) -> None:
        """End the span. Idempotent."""
        if self._source and self._span and self._span.is_recording():
            self._span.end()
            self._source.ended_total.inc()

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, GatewayError):
            self.fail(error.reason)
        self.end()


OFF: Final = Span()


def no_trace(_: str) -> Span:
    """Return a span that records nothing; a `StartTrace`."""
    return OFF


def _named(attributes: Mapping[str, Value]) -> dict[str, str | bool]:
    return {f"callscribe.{key}": each for key, each in attributes.items() if each is not None}


# The process


def require_sdk() -> None:
    """Raise SettingsError if the extra `otel` is not installed."""
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace.export  # noqa: F401
    except ImportError:
        raise SettingsError(_NOT_INSTALLED) from None


@contextlib.asynccontextmanager
async def tracing(url: str | None, gateway: str, metrics: Metrics) -> AsyncIterator[StartTrace]:
    """Send traces for as long as the context lasts; at its end, send the last spans.

    Args:
        url: where they are sent; None: tracing is off.
        gateway: the id of this process.
        metrics: counts the spans.

    Yields:
        The function that starts the trace of one stream.

    Raises:
        SettingsError: as `require_sdk`, or a variable of the SDK is invalid.
    """
    if url is None:
        yield no_trace
        return
    require_sdk()
    # The SDK's own lines quote what the collector responds, and headers that contain secrets.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    exporter = _Exporter(url, metrics)
    provider = _provider(exporter, gateway)
    _log.info("tracing-started", sampler=provider.sampler.get_description())
    root = Span(
        _Source(provider.get_tracer("callscribe", version()), metrics.trace_spans_ended_total)
    )
    try:
        # The status stays if the stream is refused before it runs.
        yield lambda carrier: root.child("call", carrier=carrier, status="refused")
    finally:
        stopping = threading.Thread(target=provider.shutdown, name="tracing-stop", daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, _STOP_S)
        exporter.shutdown()  # ends the retries of a collector that is unavailable


def _provider(exporter: "_Exporter", gateway: str) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {
        "service.name": _SERVICE,
        "service.version": version(),
        "service.instance.id": gateway,
    }
    try:
        queue = BatchSpanProcessor(cast("SpanExporter", exporter))
    except ValueError as error:
        raise SettingsError(f"a variable OTEL_BSP_... is invalid: {error}") from None
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return provider


class _Exporter:
    """Sends spans by OTLP over HTTP, in the SDK's thread; counts and logs the outcome.

    Implements `SpanExporter` of the SDK.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        session = requests.Session()
        session.hooks["response"].append(self._note)
        self._exporter = OTLPSpanExporter(url, session=session)
        self._spans_total = metrics.trace_spans_exported_total
        self._throttle = Throttle(time.monotonic)
        self._status: int | None = None  # of the last response

    def _note(self, response: "Response", **_: object) -> None:
        self._status = response.status_code

    def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
        """Send a batch; the SDK retries transient failures in a limited time."""
        self._status = None
        result = self._exporter.export(spans)
        is_sent = result.value == 0
        self._spans_total.labels("sent" if is_sent else "failed").inc(len(spans))
        if not is_sent and (suppressed := self._throttle.admit("failed")) is not None:
            _log.warning(
                "trace-export-failed", http_status=self._status, spans=len(spans),
                suppressed=suppressed,
            )  # fmt: skip
        return result

    def shutdown(self) -> None:
        """Stop sending. Idempotent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
