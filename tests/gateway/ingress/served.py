"""A gateway's public application, served on loopback with a scripted model and no Redis."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSServerHandshakeError, web

from common.connections import Runner
from gateway.admission.admission import Admission, pools
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Access
from gateway.admission.overload import Load
from gateway.admission.routes import load_routes
from gateway.app import call_limits
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallServices, epochs
from gateway.carriers.carrier import Carrier
from gateway.ingress.carriers import CarrierRoutes
from gateway.ingress.refusals import Refusals, noting_unserved
from gateway.ingress.replay_guard import ReplayGuard
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.transcript.events import StreamEnded, TranscriptEvent
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.voxtral import Voxtral
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.gateway.ingress.remembered import Remembered
from tests.gateway.scripted import ScriptedStream, ScriptedTransport

PUBLIC_URL = "https://gw.example.com/prefix"
NOW_S = 1000.0


class Served:
    """The public application with a scripted model and a transcript in memory."""

    client: ClientSession

    def __init__(self, *carriers: Carrier, now_s: float = NOW_S, **settings: Any) -> None:
        self.events: list[TranscriptEvent] = []
        self.sockets: list[ClientWebSocketResponse] = []  # kept open until the test ends
        self.ended = asyncio.Event()
        self.now_s = now_s
        self.metrics = Metrics()
        self.transport = ScriptedTransport(greet=self.greet)
        values: dict[str, Any] = {
            "public_url": PUBLIC_URL,
            "upstream": "websocket",
            "realtime_url": "ws://127.0.0.1:1/v1/realtime",
        }
        self.settings = Settings(_env_file=None, **values | settings)
        self.load = Load(self.settings.overload_cpu, self.settings.overload_lag_ms / 1000)
        self.streams = LiveStreams(self.settings.max_calls, load=self.load)
        routes = load_routes(self.settings)
        self.endpoints = list(routes.endpoints)
        self.capacity = Capacity(
            MemoryCapacityStore(lambda: 0.0), pools(routes), owner="gw", lease_s=3000
        )
        admission = Admission(
            routes,
            dict.fromkeys(routes.endpoints, Access(self.transport, Voxtral(), Options("m"))),
            self.capacity,
            self.metrics,
            wait_s=self.settings.admission_wait_s,
            random=Random(1),  # noqa: S311  # jitter
            monotonic_s=lambda: 1.0,
        )
        services = CallServices(
            open_writer=self.open_writer,
            metrics=self.metrics,
            limits=call_limits(self.settings),
            monotonic_s=time.monotonic,
            new_epoch=epochs(lambda: now_s),
            wall_s=lambda: self.now_s,
        )
        refusals = Refusals(
            self.metrics, time.monotonic, self.settings.public_url, lambda: admission.routes
        )
        middlewares = [noting_unserved(refusals, carriers)]
        app = web.Application(client_max_size=65_536, middlewares=middlewares)
        self.remembered = Remembered()
        replay_guard = ReplayGuard(self.remembered, lambda: self.now_s)
        self.carriers: dict[str, CarrierRoutes] = {}
        for carrier in carriers:
            self.carriers[carrier.name] = CarrierRoutes(
                carrier, self.settings, services, self.streams, admission, replay_guard, refusals
            )
            self.carriers[carrier.name].add_to(app)
        self.notices: list[str] = []
        self.runner = Runner(app, notice=self.notices.append, shutdown_timeout=0.1)

    def greet(self, stream: ScriptedStream) -> None:
        """Play a model that receives silence: empty deltas, and done at the final commit."""
        stream.created()
        send = stream.send

        def answering(message: bytes, *, is_binary: bool = False) -> bool:
            if json.loads(message).get("final"):
                asyncio.get_running_loop().call_soon(stream.answer_all)
            return send(message)

        stream.send = answering  # type: ignore[method-assign]  # the script's own hook

    def open_writer(
        self,
        call_id: str,
        stream_id: str,
        epoch: int,
        on_fenced: Callable[[], None],
        *,
        tenant: str,
        carrier: str,
    ) -> "Served":
        return self

    def publish(self, event: TranscriptEvent) -> None:
        self.events.append(event)
        if isinstance(event, StreamEnded):
            self.ended.set()

    async def connect(
        self, path: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> ClientWebSocketResponse:
        opened: ClientWebSocketResponse = await self.client.ws_connect(
            path, headers=headers, **more
        )
        self.sockets.append(opened)
        return opened

    async def refusal(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """Try to connect; return the status with which the upgrade was refused."""
        try:
            await self.connect(path, headers)
        except WSServerHandshakeError as error:
            return error.status
        raise AssertionError("the upgrade was accepted")

    @property
    def slots_held(self) -> float:
        return sum(self.capacity[f"endpoint:{name}"].held for name in self.endpoints)

    async def end(self) -> StreamEnded:
        await asyncio.wait_for(self.ended.wait(), 10)
        event = self.events[-1]
        assert isinstance(event, StreamEnded)
        return event

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"callscribe_{name}", labels)


@contextlib.asynccontextmanager
async def serving[S: Served](gateway: S, receive_bytes: int = 0) -> AsyncIterator[S]:
    """Serve a gateway; the kernel chooses the size of its receive buffers unless it is given."""
    listener = socket.create_server(("127.0.0.1", 0))
    if receive_bytes:  # accepted connections inherit it
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    async with gateway.capacity:
        await gateway.runner.setup()
        await web.SockSite(gateway.runner, listener).start()
        port = gateway.runner.addresses[0][1]
        gateway.client = ClientSession(f"http://127.0.0.1:{port}")
        yield gateway
        for opened in gateway.sockets:
            await opened.close()
        await gateway.client.close()
        await gateway.runner.cleanup()
