"""`python -m workers NAME ...`: one process with some workers, configured by its environment."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from common import serving
from common.exposition import private_app
from common.settings import load
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import RedisClient, create_client
from workers.janitor import Janitor
from workers.janitor import Metrics as JanitorMetrics
from workers.redis_streams import RedisStreams
from workers.relay.assembly import relay
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.settings import Settings

_log = logging.getLogger("workers")

type Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers of one process share."""

    settings: Settings
    client: RedisClient
    registry: CollectorRegistry
    private: web.Application


class Worker(NamedTuple):
    """A worker that the command line can name."""

    summary: str
    start: Callable[[Shared], AbstractAsyncContextManager[Run]]


@contextlib.asynccontextmanager
async def _janitor(shared: Shared) -> AsyncIterator[Run]:
    settings = shared.settings
    yield Janitor(
        RedisStreams(shared.client),
        gateway=f"janitor-{settings.id}",
        partitions=settings.partitions,
        lease_s=settings.lease_s,
        retention_s=settings.retention_s,
        metrics=JanitorMetrics(shared.registry),
    ).run


def _relay(shared: Shared) -> AbstractAsyncContextManager[Run]:
    return relay(
        load(RelaySettings, (SignInSettings,)),
        load(SignInSettings, (RelaySettings,)),
        shared.client,
        shared.settings.partitions,
        shared.registry,
        shared.private,
    )


_WORKERS: Final = {
    "janitor": Worker("closes the streams of lost gateways", _janitor),
    "relay": Worker("serves live transcripts to browsers and programs", _relay),
}


async def _serve(settings: Settings, names: list[str]) -> int:
    registry = CollectorRegistry()
    client = create_client(settings.redis_url.get_secret_value())
    shared = Shared(settings, client, registry, private_app(registry))
    stop = serving.stop_requested()
    async with contextlib.AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(contextlib.aclosing(client))
        started = [_WORKERS[name].start(shared) for name in names]
        runs = [await cleanup.enter_async_context(each) for each in started]
        await cleanup.enter_async_context(
            serving.listening(shared.private, settings.metrics_host, settings.metrics_port)
        )
        if problem := await check_settings(client):
            _log.warning("redis-unavailable %s", problem)
        await _run_until(stop, runs)
    return 0


async def _run_until(stop: asyncio.Event, runs: list[Run]) -> None:
    """Run workers until the event is set; raise the error of one that ends by itself."""
    tasks = [asyncio.ensure_future(run()) for run in runs]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def main() -> int:
    """Run the workers that the command line names; return the exit code."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if sys.argv[1:] == ["--version"]:
        names, sys.argv[1:] = ["janitor"], ["janitor", "--version"]
    if not names or not set(names) <= _WORKERS.keys():
        print(_usage(), file=sys.stderr)  # noqa: T201 - for the terminal
        return 0 if sys.argv[1:] == ["--help"] else serving.MISUSED
    sys.argv[1:] = sys.argv[1 + len(names) :]
    return serving.main(
        f"workers {' '.join(names)}",
        "; ".join(_WORKERS[name].summary for name in names).capitalize() + ".",
        Settings,
        serving.log_plainly,
        lambda settings: _serve(settings, names),
        parts=(RelaySettings, SignInSettings),
    )


def _usage() -> str:
    workers = "\n".join(f"  {name:8} {each.summary}" for name, each in _WORKERS.items())
    return (
        "usage: python -m workers NAME [NAME ...] [--help] [--version]\n\n"
        f"One process runs any of these workers, or several:\n{workers}"
    )


if __name__ == "__main__":
    sys.exit(main())
