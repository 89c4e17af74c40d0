"""The whole path in one process, with a FaultProxy on each link.

    caller -> gateway -> endpoint -> bridge -> engine;   gateway -> Valkey

A dialect whose servers have no bridge, or run elsewhere than on SageMaker, has all links, too: they
then follow one another directly. All parts are real and listen on loopback. The engine's model
outputs checksums, and signals when a call reaches points that cannot be observed from outside.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from common.serving import listening
from container.bridge.app import Bridge
from container.bridge.settings import Settings as BridgeSettings
from container.cpu.checksum import ChecksumTranscriber, ChecksumTranscription
from container.cpu.server import Engine, OnFailed
from container.cpu.settings import Settings as EngineSettings
from container.cpu.transcriber import Transcriber
from deploy.local.proxy import FaultProxy, Reset
from deploy.local.sagemaker import LocalEndpoint
from deploy.local.sagemaker import Settings as EndpointSettings
from gateway import app
from gateway.settings import Settings
from gateway.upstream.dialects.registry import DialectName
from tests import pace
from tests.open_carriers import open_twilio

HOST: Final = "127.0.0.1"
ENDPOINT_NAME: Final = "callscribe"
KEY_ID, SECRET = "AKIDLOCAL", "local-endpoint-only"
FINISH_DELAY_S: Final = (
    0.1  # from a final commit to the last checksums: long enough to inject a fault
)

GATEWAY: Final[dict[str, Any]] = {
    "upstream": "sagemaker",
    "sagemaker_endpoint": ENDPOINT_NAME,
    "aws_region": "us-east-1",
    "public_url": "https://gateway.example",
    "segment_pause_ms": 400,
}
# Scaled to faults that last 1 s, in units of the machine's pace (`tests/pace.py`).
TIMEOUTS: Final = {
    "open_timeout_s": 1.0,
    "mute_timeout_s": 1.0,
    "done_timeout_s": 2.0,
    "finish_timeout_s": 15.0,
    "retry_budget_s": 15.0,
    "heartbeat_s": 2.0,
}


@dataclass(frozen=True, slots=True)
class Server:
    """What differs with a dialect.

    Attributes:
        engine: settings of the engine.
        model: the model that the gateway asks for; None: the engine's default.
        has_bridge: whether the bridge is in the container.
        path: without SageMaker, the path of the server's URL.
    """

    engine: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    has_bridge: bool = False
    path: str | None = None


SERVERS: Final = {
    DialectName.VOXTRAL: Server(has_bridge=True),
    DialectName.VOXTRAL_TURNS: Server(has_bridge=True),
    DialectName.QWEN3_ASR: Server({"realtime": "qwen3-asr"}, has_bridge=True),
    DialectName.OPENAI: Server(path="/v1/realtime"),
    DialectName.SGLANG: Server({"openai_server": "sglang"}, path="/v1/realtime"),
    DialectName.SPEACHES: Server({"openai_server": "speaches"}, path="/v1/realtime"),
    DialectName.DEEPGRAM: Server(model="nova-3"),
    DialectName.MISTRAL: Server(path=""),
}


class Link(StrEnum):
    """A link between two processes of the path."""

    CARRIER = "carrier-gateway"
    ENDPOINT = "gateway-endpoint"
    BRIDGE = "endpoint-bridge"
    ENGINE = "bridge-engine"
    REDIS = "gateway-Redis"


def set_credentials(set_variable: Callable[[str, str], None]) -> None:
    """Set AWS variables so that the gateway finds only the endpoint's credentials."""
    set_variable("AWS_ACCESS_KEY_ID", KEY_ID)
    set_variable("AWS_SECRET_ACCESS_KEY", SECRET)
    set_variable("AWS_CONFIG_FILE", os.devnull)
    set_variable("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@dataclass(slots=True)
class EngineEvents:
    """Points that a call with one track has reached, as the engine observes them."""

    rolling_over: asyncio.Event = field(default_factory=asyncio.Event)  # two sessions at once
    finishing: asyncio.Event = field(default_factory=asyncio.Event)  # a final commit came
    sessions: int = 0


class WatchedTranscription(ChecksumTranscription):
    """A checksum transcription that finishes after `FINISH_DELAY_S`."""

    def __init__(self, engine_events: EngineEvents, on_progress: Callable[[], None]) -> None:
        super().__init__()
        self._events = engine_events
        self._on_progress = on_progress
        self._live = True
        engine_events.sessions += 1
        if engine_events.sessions > 1:
            engine_events.rolling_over.set()

    def finish(self) -> None:
        """Signal the final commit, and finish after a delay."""
        self._events.finishing.set()
        asyncio.get_running_loop().call_later(FINISH_DELAY_S, self._finish)

    def abandon(self) -> None:
        """Count the session as ended. Idempotent."""
        self._events.sessions -= self._live
        self._live = False

    def _finish(self) -> None:
        super().finish()
        self._on_progress()


class WatchedTranscriber(ChecksumTranscriber):
    """The checksum model; it signals the points that a call reaches."""

    def __init__(self, engine_events: EngineEvents) -> None:
        self._events = engine_events

    def begin(self, on_progress: Callable[[], None]) -> ChecksumTranscription:
        """Start a transcription."""
        return WatchedTranscription(self._events, on_progress)


@dataclass(frozen=True, slots=True)
class Stack:
    """All processes except the gateway, and the proxies on all links."""

    folder: Path
    engine_events: EngineEvents
    endpoint: LocalEndpoint
    links: dict[Link, FaultProxy]
    dialect: DialectName = DialectName.VOXTRAL

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Return a gateway's settings by name; `changed` replaces the defaults."""
        return {
            **GATEWAY,
            **{name: seconds * pace.unit() for name, seconds in TIMEOUTS.items()},
            "host": HOST,
            "port": 0,
            "admin_port": 0,
            "id": self.folder.name,
            "redis_url": f"redis://{HOST}:{self.links[Link.REDIS].port}/0",
            "sagemaker_url": f"https://localhost:{self.links[Link.ENDPOINT].port}",
            "sagemaker_ca_file": self.endpoint.ca_file,
            "spool_dir": self.folder / "spool",
            **self._of_dialect(),
            **changed,
        }

    def _of_dialect(self) -> dict[str, Any]:
        server = SERVERS[self.dialect]
        settings: dict[str, Any] = {"dialect": self.dialect}
        if server.model is not None:
            settings["model"] = server.model
        if server.path is not None:
            url = f"ws://{HOST}:{self.links[Link.ENDPOINT].port}{server.path}"
            settings |= {"upstream": "websocket", "realtime_url": url}
            settings |= dict.fromkeys(("sagemaker_endpoint", "sagemaker_url", "sagemaker_ca_file"))
        return settings

    @asynccontextmanager
    async def gateway(self, **changed: Any) -> AsyncIterator[app.Gateway]:
        """Run a gateway in this process; the carrier's link leads to the newest gateway."""
        made = Settings(_env_file=None, **self.settings(**changed))
        async with (
            app.serve(made, [open_twilio()]) as gateway,
            FaultProxy(gateway.public) as carrier,
        ):
            self.links[Link.CARRIER] = carrier
            yield gateway
            carrier.apply(Reset())  # a remaining caller must not delay the shutdown


def _watch(engine_events: EngineEvents) -> Middleware:
    """Return a middleware that signals when two sessions are open at once.

    A server that answers turns transcribes neither of them while no one speaks.
    """
    is_open = 0

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal is_open
        is_open += 1
        if is_open > 1:
            engine_events.rolling_over.set()
        try:
            return await handler(request)
        finally:
            is_open -= 1

    return watch


@asynccontextmanager
async def running_stack(
    folder: Path,
    redis_port: int,
    *,
    engine: Mapping[str, Any] | None = None,
    bridge: Mapping[str, Any] | None = None,
    transcriber: Callable[[OnFailed], Transcriber] | None = None,
    dialect: DialectName = DialectName.VOXTRAL,
) -> AsyncIterator[Stack]:
    """Run all processes except a gateway.

    Args:
        folder: of this stack only; its name becomes the gateway's id.
        redis_port: of a Valkey on loopback.
        engine: engine settings that differ from the defaults.
        bridge: likewise for the bridge.
        transcriber: makes the engine's model; by default it outputs checksums.
        dialect: of the endpoint.
    """
    server = SERVERS[dialect]
    engine_events = EngineEvents()
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with AsyncExitStack() as parts:
        links: dict[Link, FaultProxy] = {}

        async def linked(link: Link, port: int) -> int:
            links[link] = await parts.enter_async_context(FaultProxy(port))
            return links[link].port

        async def serving(application: web.Application) -> int:
            return await parts.enter_async_context(listening(application, HOST, 0))

        await linked(Link.REDIS, redis_port)
        given = {"model": "moonshine" if transcriber else "checksum", **server.engine}
        settings = EngineSettings(_env_file=None, port=0, **{**given, **(engine or {})})
        model = Engine(settings, transcriber or (lambda _: WatchedTranscriber(engine_events)))
        application = model.app()
        if dialect is not DialectName.VOXTRAL:
            application.middlewares.append(_watch(engine_events))
        container_port = await linked(Link.ENGINE, await serving(application))
        if server.has_bridge:
            bridge_settings = BridgeSettings(
                _env_file=None,
                port=0,
                engine_url=f"http://{HOST}:{container_port}",
                **(bridge or {}),
            )
            container_port = await serving(Bridge(bridge_settings).app())
        bridge_port = await linked(Link.BRIDGE, container_port)
        endpoint = LocalEndpoint(
            EndpointSettings(
                _env_file=None,
                port=0,
                names=(ENDPOINT_NAME,),
                container_url=f"http://{HOST}:{bridge_port}",
                access_key_id=KEY_ID,
                secret_access_key=SecretStr(SECRET),
            )
        )
        await parts.enter_async_context(endpoint)
        await linked(Link.ENDPOINT, endpoint.port if server.path is None else bridge_port)
        yield Stack(folder, engine_events, endpoint, links, dialect)
        for proxy in links.values():
            proxy.apply(Reset())  # black holes and open connections must not delay the shutdown
