"""A collector that decodes the traces sent to it by OTLP over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from common.serving import listening
from tests.waiting import eventually


class Collector:
    """A running collector.

    Attributes:
        url: the base URL of its API.
        answers: while it is not set, requests get no response.
        status: of its responses.
        bodies: the bodies of all requests, as received.
        resources: attributes of the senders.
        spans: all received spans, in order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers = asyncio.Event()
        self.answers.set()
        self.status = 200
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Span] = []

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        await self.answers.wait()
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(sent.resource.attributes))
            for scope in sent.scope_spans:
                self.spans += scope.spans
        return web.Response(status=self.status)

    def named(self, name: str) -> list[Span]:
        """Return the received spans of this name, by their starts."""
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    async def call(self) -> Span:
        """Wait for the only root span and return it. The SDK sends it after its children."""
        await eventually(lambda: bool(self.named("call")))
        [root] = self.named("call")
        return root


def attributes(pairs: Any) -> dict[str, Any]:
    """Return the attributes of a span, an event or a resource, which are text or booleans."""

    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "")

    return {pair.key: value(pair) for pair in pairs}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    async with listening(app, "127.0.0.1", 0) as port:
        collector.url = f"http://127.0.0.1:{port}"
        yield collector
        collector.answers.set()
