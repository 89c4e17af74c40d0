"""`python -m workers NAME ...`: one process with some workers, configured by its environment."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from common import serving
from common.exposition import private_app
from common.settings import SettingsError, load
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import RedisClient, create_client
from workers.archive.settings import Settings as ArchiveSettings
from workers.assist.metrics import Metrics as AssistMetrics
from workers.assist.reload import RulesInForce
from workers.assist.settings import Settings as AssistSettings
from workers.assist.worker import AssistHandler
from workers.assist.worker import group as assist_group
from workers.consumer import Consumer, ConsumerMetrics
from workers.governance.assembly import govern
from workers.governance.eraser import Actor
from workers.governance.settings import Settings as GovernSettings
from workers.governance.settings import read_retention
from workers.governance.sweeping import Metrics as GovernMetrics
from workers.governance.sweeping import Sweeper
from workers.janitor import Janitor
from workers.janitor import Metrics as JanitorMetrics
from workers.push.assembly import push
from workers.push.settings import Settings as PushSettings
from workers.redact import CallRedactor
from workers.redact.settings import Settings as RedactSettings
from workers.redact.worker import Metrics as RedactMetrics
from workers.redact.worker import RedactHandler
from workers.redact.worker import group as redact_group
from workers.redis_streams import RedisStreams
from workers.relay.assembly import relay
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.search.settings import Settings as SearchSettings
from workers.search.worker import search_worker
from workers.settings import Settings
from workers.wrapup.assembly import wrapup
from workers.wrapup.settings import Settings as WrapupSettings

_log = logging.getLogger("workers")

type Run = Callable[[asyncio.Event], Coroutine[Any, Any, object]]  # until the event is set


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
    janitor = Janitor(
        RedisStreams(shared.client),
        gateway=f"janitor-{settings.id}",
        partitions=settings.partitions,
        lease_s=settings.lease_s,
        retention_s=settings.retention_s,
        metrics=JanitorMetrics(shared.registry),
    )
    yield lambda stop: _until(stop, janitor.run())


@contextlib.asynccontextmanager
async def _redact(shared: Shared) -> AsyncIterator[Run]:
    rules = load(RedactSettings)
    settings, client = shared.settings, shared.client
    metrics = RedactMetrics(shared.registry)
    consumer = Consumer(
        client,
        redact_group(settings.partitions, settings.retention_s, settings.takeover_s),
        settings.id,
        lambda partition: RedactHandler(
            client, partition, lambda route: CallRedactor(*rules.rules(route)), metrics
        ),
        ConsumerMetrics(shared.registry, "redact"),
    )
    yield consumer.run


@contextlib.asynccontextmanager
async def _assist(shared: Shared) -> AsyncIterator[Run]:
    file = load(AssistSettings).rules
    if file is None:
        raise SettingsError("WORKER_ASSIST_RULES is not set; assist needs a file of rules")
    settings, client = shared.settings, shared.client
    metrics = AssistMetrics(shared.registry)
    rules = RulesInForce(file, metrics)
    consumer = Consumer(
        client,
        assist_group(settings.partitions, settings.retention_s, settings.takeover_s),
        settings.id,
        lambda partition: AssistHandler(client, partition, rules, f"assist-{settings.id}", metrics),
        ConsumerMetrics(shared.registry, "assist"),
    )
    yield consumer.run


@contextlib.asynccontextmanager
async def _relay(shared: Shared) -> AsyncIterator[Run]:
    async with relay(
        load(RelaySettings, (SignInSettings,)),
        load(SignInSettings, (RelaySettings,)),
        shared.client,
        shared.settings.partitions,
        shared.registry,
        shared.private,
        load(SearchSettings),
    ) as read_events:
        yield lambda stop: _until(stop, read_events())


@contextlib.asynccontextmanager
async def _archive(shared: Shared) -> AsyncIterator[Run]:
    from workers.archive.assembly import archive  # the other workers do not need obstore

    yield archive(load(ArchiveSettings), shared.settings, shared.client, shared.registry)


@contextlib.asynccontextmanager
async def _push(shared: Shared) -> AsyncIterator[Run]:
    async with push(load(PushSettings), shared.settings, shared.client, shared.registry) as deliver:
        yield deliver


@contextlib.asynccontextmanager
async def _wrapup(shared: Shared) -> AsyncIterator[Run]:
    settings = load(WrapupSettings)
    async with wrapup(settings, shared.settings, shared.client, shared.registry) as run:
        yield run


@contextlib.asynccontextmanager
async def _search(shared: Shared) -> AsyncIterator[Run]:
    settings = shared.settings
    async with search_worker(
        load(SearchSettings),
        shared.client,
        settings.id,
        shared.registry,
        partitions=settings.partitions,
        lease_s=settings.takeover_s,
    ) as run:
        yield run


@contextlib.asynccontextmanager
async def _govern(shared: Shared) -> AsyncIterator[Run]:
    settings, rules = shared.settings, load(GovernSettings)
    governed = govern(shared.client, settings.partitions, rules)
    sweeper = Sweeper(
        governed.governance,
        governed.places,
        governed.redis,
        governed.file,
        retention=lambda: read_retention(rules.retention),
        shared_s=settings.retention_s,
        audit_keep_days=rules.audit_keep_days,
        actor=Actor("govern", f"worker:{settings.id}"),
        metrics=GovernMetrics(shared.registry),
    )
    yield lambda stop: _until(stop, sweeper.run(rules.sweep_s, rules.archive_sweep_s))


_WORKERS: Final = {
    "archive": Worker("archives calls that are over, with proof of completeness", _archive),
    "assist": Worker("raises alerts by rules about what is said, or not said", _assist),
    "govern": Worker("erases calls, and deletes those whose time is over", _govern),
    "janitor": Worker("closes the streams of lost gateways", _janitor),
    "push": Worker("sends finals, alerts, wrap-ups and ends of calls to webhooks", _push),
    "redact": Worker("copies the events of all calls with sensitive values masked", _redact),
    "relay": Worker("serves live transcripts to browsers and programs", _relay),
    "search": Worker("indexes the words of all calls", _search),
    "wrapup": Worker("summarizes calls by a language model, with citations", _wrapup),
}
NAMES: Final = tuple(_WORKERS)


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
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run(stop))
    return 0


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Cancel work when the event is set; raise its error if it fails before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    await asyncio.wait((working,))
    if not working.cancelled():
        working.result()


def main() -> int:
    """Run the workers that the command line names; return the exit code."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if sys.argv[1:] == ["--version"]:
        names, sys.argv[1:] = ["janitor"], ["janitor", "--version"]
    if not names or not set(names) <= _WORKERS.keys():
        print(_usage(), file=sys.stderr)  # noqa: T201 - for the terminal
        return 0 if sys.argv[1:] == ["--help"] else serving.MISUSED
    sys.argv[1:] = sys.argv[1 + len(names) :]
    names = list(dict.fromkeys(names))  # each once
    return serving.main(
        f"workers {' '.join(names)}",
        "; ".join(_WORKERS[name].summary for name in names).capitalize() + ".",
        Settings,
        serving.log_plainly,
        lambda settings: _serve(settings, names),
        parts=(
            ArchiveSettings,
            AssistSettings,
            GovernSettings,
            PushSettings,
            RedactSettings,
            RelaySettings,
            SearchSettings,
            SignInSettings,
            WrapupSettings,
        ),
    )


def _usage() -> str:
    workers = "\n".join(f"  {name:8} {each.summary}" for name, each in _WORKERS.items())
    return (
        "usage: python -m workers NAME [NAME ...] [--help] [--version]\n\n"
        f"One process runs any of these workers, or several:\n{workers}"
    )


if __name__ == "__main__":
    sys.exit(main())
