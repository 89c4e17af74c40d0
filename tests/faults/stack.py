"""The whole path in one process, with a fault proxy on each of its links.

    caller -> gateway -> endpoint -> bridge -> engine;   gateway -> Valkey

All parts are the real ones, on loopback; the engine's model is the checksum one, and says when a
call comes to the points that can't be seen from outside.
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
from tests import pace
from tests.open_carriers import open_twilio

HOST: Final = "127.0.0.1"
ENDPOINT_NAME: Final = "callscribe"
KEY_ID, SECRET = "AKIDLOCAL", "local-endpoint-only"
LAST_WORDS_S: Final = 0.1  # what the engine takes for them: long enough to be broken off

GATEWAY: Final[dict[str, Any]] = {
    "upstream": "sagemaker",
    "sagemaker_endpoint": ENDPOINT_NAME,
    "aws_region": "us-east-1",
    "public_url": "https://gateway.example",
    "segment_pause_ms": 400,
}
# Scaled to faults of a second; in units of the machine's pace (`tests/pace.py`).
TIMEOUTS: Final = {
    "open_timeout_s": 1.0,
    "mute_timeout_s": 1.0,
    "done_timeout_s": 2.0,
    "finish_timeout_s": 15.0,
    "retry_budget_s": 15.0,
    "heartbeat_s": 2.0,
}


class Link(StrEnum):
    """Two neighbours on the path."""

    CARRIER = "carrier-gateway"
    ENDPOINT = "gateway-endpoint"
    BRIDGE = "endpoint-bridge"
    ENGINE = "bridge-engine"
    REDIS = "gateway-Redis"


def know_credentials(set_variable: Callable[[str, str], None]) -> None:
    """Give the gateway's credential chain the endpoint's one identity, and nothing else."""
    set_variable("AWS_ACCESS_KEY_ID", KEY_ID)
    set_variable("AWS_SECRET_ACCESS_KEY", SECRET)
    set_variable("AWS_CONFIG_FILE", os.devnull)
    set_variable("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@dataclass(slots=True)
class Signs:
    """What the engine sees of a call of one track."""

    rolling_over: asyncio.Event = field(default_factory=asyncio.Event)  # two sessions at once
    finishing: asyncio.Event = field(default_factory=asyncio.Event)  # a final commit came
    sessions: int = 0


class WatchedTranscription(ChecksumTranscription):
    """Checksums whose last ones take a while."""

    def __init__(self, signs: Signs, on_progress: Callable[[], None]) -> None:
        super().__init__()
        self._signs = signs
        self._on_progress = on_progress
        self._live = True
        signs.sessions += 1
        if signs.sessions > 1:
            signs.rolling_over.set()

    def finish(self) -> None:
        """Learn of the final commit."""
        self._signs.finishing.set()
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._finish)

    def abandon(self) -> None:
        """Learn that the session is over. Idempotent."""
        self._signs.sessions -= self._live
        self._live = False

    def _finish(self) -> None:
        super().finish()
        self._on_progress()


class WatchedTranscriber(ChecksumTranscriber):
    """The checksum model, telling where a call stands."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs

    def begin(self, on_progress: Callable[[], None]) -> ChecksumTranscription:
        """Start summing."""
        return WatchedTranscription(self._signs, on_progress)


@dataclass(frozen=True, slots=True)
class Stack:
    """What stands behind a gateway, and the proxies on all links."""

    folder: Path
    signs: Signs
    endpoint: LocalEndpoint
    links: dict[Link, FaultProxy]

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Give a gateway's settings by name; `changed` are other than `GATEWAY`'s."""
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
            **changed,
        }

    @asynccontextmanager
    async def gateway(self, **changed: Any) -> AsyncIterator[app.Gateway]:
        """Serve with a gateway in this process; its carrier's link leads to the newest one."""
        made = Settings(_env_file=None, **self.settings(**changed))
        async with (
            app.serve(made, [open_twilio()]) as gateway,
            FaultProxy(gateway.public) as carrier,
        ):
            self.links[Link.CARRIER] = carrier
            yield gateway
            carrier.apply(Reset())  # a caller that is still there must not hold up the end


@asynccontextmanager
async def standing(
    folder: Path,
    redis_port: int,
    *,
    engine: Mapping[str, Any] | None = None,
    transcriber: Callable[[OnFailed], Transcriber] | None = None,
) -> AsyncIterator[Stack]:
    """Have everything but a gateway stand.

    Args:
        folder: of this stack alone; its name becomes the gateway's.
        redis_port: of a Valkey on loopback.
        engine: its settings, where they differ from the defaults.
        transcriber: makes the engine's model, if it is not to be the checksum one.
    """
    signs = Signs()
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with AsyncExitStack() as parts:
        links: dict[Link, FaultProxy] = {}

        async def linked(link: Link, port: int) -> int:
            links[link] = await parts.enter_async_context(FaultProxy(port))
            return links[link].port

        async def serving(application: web.Application) -> int:
            return await parts.enter_async_context(listening(application, HOST, 0))

        await linked(Link.REDIS, redis_port)
        own = EngineSettings(_env_file=None, port=0, **(engine or {}))
        model = Engine(own, transcriber or (lambda _: WatchedTranscriber(signs)))
        engine_port = await linked(Link.ENGINE, await serving(model.app()))
        bridge = Bridge(
            BridgeSettings(_env_file=None, port=0, engine_url=f"http://{HOST}:{engine_port}")
        )
        bridge_port = await linked(Link.BRIDGE, await serving(bridge.app()))
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
        await linked(Link.ENDPOINT, endpoint.port)
        yield Stack(folder, signs, endpoint, links)
        for proxy in links.values():
            proxy.apply(Reset())  # what is dead and open must not hold up the end
