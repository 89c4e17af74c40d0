"""A handler of one partition on a real server, whose time the test decides."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.wrapup.a_server import AServer, Script, good, serving
from workers.client import read_event, reading
from workers.client.events import AssistWrapup
from workers.consumer import DeadLetter, DeadLetters, Received
from workers.settings import Settings as WorkerSettings
from workers.wrapup import store
from workers.wrapup.assembly import group_of
from workers.wrapup.client import Client
from workers.wrapup.making import Maker
from workers.wrapup.metrics import Metrics
from workers.wrapup.settings import Settings, TextKind
from workers.wrapup.store import Store
from workers.wrapup.worker import WrapupHandler

T: Final = 1_795_255_616_000
PARTITION: Final = 53  # of CA1
_PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class Bench:
    """Handlers of a partition, one after another, and what they have written."""

    client: RedisClient
    server: AServer
    settings: Settings
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    now_ms: int = T
    handler: WrapupHandler = field(init=False)
    model: Client = field(init=False)
    _maker: Maker = field(init=False)

    def __post_init__(self) -> None:
        self.model = Client(self.settings)
        self._maker = Maker(self.settings, self.model, Metrics(self.registry), "wrapup-1")
        self.crash()

    @property
    def group(self) -> Any:
        return group_of(self.settings.text, WorkerSettings(_env_file=None))

    def crash(self) -> None:
        """Continue with a new handler, as a worker that takes over does."""
        source = "" if self.settings.text is TextKind.RAW else "redacted"
        self.handler = WrapupHandler(Store(self.client, self.group, PARTITION, source), self._maker)

    async def write(self, *events: Mapping[str, str], to: str = "redacted") -> None:
        """Write events of a call, as the worker `redact` does."""
        for event in events:
            key = partition_key(PARTITION, f"call:{event['call_id']}{to and ':'}{to}")
            fields: Any = {**event, "source_n": event["n"]} if to else event
            await self.client.xadd(key, fields)

    async def handle(self, *events: Mapping[str, str], at_ms: int | None = None) -> None:
        """Pass events to the handler."""
        for event in events:
            entry = read_event(f"{at_ms or self.now_ms}-0", event)
            assert not await self.handler.handle(Received(entry, event))

    async def add(self, *events: Mapping[str, str]) -> None:
        """Write events, and pass them to the handler."""
        await self.write(*events)
        await self.handle(*events)

    async def tick(self, ms: int = 0, *, commit: bool = True) -> int:
        """Make time pass once; write what the handler returns, as the consumer does."""
        self.now_ms += ms
        appends = await self.handler.tick(self.now_ms)
        for append in appends if commit else ():
            fields: Any = append.fields
            for name in ("", f"call:{append.call_id}:"):
                key = partition_key(PARTITION, f"{name}{self.group.suffix}")
                await self.client.xadd(key, fields)
        return len(appends)

    async def until_done(self, ms: int = 60_000, left: int = 0) -> None:
        """Make time pass once, and wait until no job, or a number of them, is left."""
        await self.tick(ms)
        async with asyncio.timeout(_PATIENCE_S):
            while self.pending > left:
                await asyncio.sleep(0.005)
                await self.tick()

    @property
    def pending(self) -> float:
        """Jobs that are not done."""
        return self.metric("wrapup_pending_jobs")

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        return self.registry.get_sample_value(f"callscribe_{name}", labels) or 0.0

    def result(self, result: str, trigger: str = "ended") -> float:
        """Return how many jobs had a result."""
        return self.metric("wrapup_jobs_total", trigger=trigger, result=result)

    async def wrapups(self, call: str = "CA1") -> list[AssistWrapup]:
        """Return the wrap-ups of a call."""
        key = partition_key(PARTITION, f"call:{call}")
        return await store.wrapups(self.client, key, self.settings.text)

    async def dead(self) -> list[DeadLetter]:
        """Return the dead letters."""
        return [letter async for letter in DeadLetters(self.client, self.group).all()]

    async def retries(self) -> list[dict[str, str]]:
        """Return and delete the entries to be handled again."""
        key = partition_key(PARTITION, f"retry:{self.group.name}")
        entries = await reading.history(self.client, key)
        await self.client.delete(key)
        return [each.fields for each in entries]


@contextlib.asynccontextmanager
async def benched(url: str, script: Script = good, **more: Any) -> AsyncIterator[Bench]:
    """Run a server of the model, and handlers that use it."""
    async with contextlib.AsyncExitStack() as cleanup:
        server = await cleanup.enter_async_context(serving(script))
        client = await cleanup.enter_async_context(contextlib.aclosing(create_client(url)))
        limits = {"idle_s": 20, "grace_s": 5, "dispositions": "cancelled,kept", **more}
        bench = Bench(client, server, Settings(_env_file=None, url=server.url, model="m", **limits))
        await cleanup.enter_async_context(contextlib.aclosing(bench.model))
        try:
            yield bench
        finally:
            await bench.handler.close()


def calls_of(count: int) -> Iterable[str]:
    """Return ids of calls of the partition."""
    names = (f"CA{number}" for number in itertools.count(1))
    return itertools.islice((each for each in names if partition_of(each, 64) == PARTITION), count)


def said_in(bodies: Sequence[Any]) -> str:
    """Return all texts of requests."""
    return " ".join(each["messages"][1]["content"] for each in bodies)
