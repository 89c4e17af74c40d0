"""The run of `./run soak`, and its verdict."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Annotated, Final

import aiohttp
import msgspec
import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from cli import audit, running
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from cli.soak.callers import Callers
from cli.soak.fault_injection import Link, Troubles
from cli.soak.watch import Reading, Watch
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together
from deploy.local.proxy import FaultProxy

_PROGRESS_S: Final = 30.0
_SESSIONS_PER_CALL: Final = 4  # two tracks, each with the next session while it rolls over
_LEASE_S: Final = 10
_SETTLE_S: Final = 5.0
_IDLE_AFTER_S: Final = 60.0  # for the gateway to give back what calls had
_MOST_MB_PER_MIN: Final = 1.0  # what its memory may seem to grow by: allocators are no clocks
_LEAST_S: Final = 300.0  # a shorter soak says nothing about growth
_STEADY: Final = ("gateway", "endpoint", "redis")  # parts that no trouble ends


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak showed."""

    seconds: float
    calls: int
    faults: int
    found: audit.Account
    unclosed_calls: int
    leaked_slots: int
    leaked_tasks: int
    leaked_fds: int
    rss_mb_per_min: float

    @property
    def kept(self) -> bool:
        """Whether the gateway kept what it promises."""
        leaked = self.leaked_slots or self.leaked_tasks or self.leaked_fds
        grew = self.seconds >= _LEAST_S and self.rss_mb_per_min > _MOST_MB_PER_MIN
        return bool(self.calls) and self.found.whole and not (self.unclosed_calls or leaked or grew)


def soak(
    minutes: Annotated[float, typer.Option(min=0.5, max=1440, help="How long calls begin.")] = 20,
    calls: Annotated[int, typer.Option(min=1, max=500, help="Two-track calls at once.")] = 30,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")
    ] = False,
) -> None:
    """Keep calling while all around the gateway fails."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    outcome = running.run(_soak(minutes * 60, calls, console))
    if as_json:
        print(msgspec.json.encode(report(outcome)).decode())  # noqa: T201 (the command's product)
    else:
        Console(highlight=False).print(table(outcome))
    if not outcome.kept:
        console.print("FAILED: the promise was broken")
        raise typer.Exit(1)


async def _soak(seconds: float, count: int, console: Console) -> Outcome:
    console.print("Starting Valkey, checksum engine, bridge, endpoint and gateway ...")
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        _broken_stack(count) as (stack, links),
        aiohttp.ClientSession(connector=connector) as http,
        Redis.from_url(stack.redis_url, protocol=2) as redis,
        Redis.from_url(stack.redis_url, protocol=2, single_connection_client=True) as spared,
    ):
        gateway = Gateway(f"ws://{local.HOST}:{links[Link.CARRIER].port}", stack.public_url)
        callers = Callers(http, gateway, Twilio(CREDENTIALS), redis, console.print)
        watch = Watch(http, f"http://{local.HOST}:{stack.settings.ports.admin}")
        cold = await watch.read()
        await callers.warm_up(count)
        before = await watch.until_idle(cold, _SETTLE_S)
        troubles = Troubles(stack, links, spared, Random())  # noqa: S311 (not for secrets)
        console.print(f"{count} calls at once, begun for {seconds / 60:g} min ...")
        async with together() as tasks:
            aside = [
                tasks.create_task(watch.run()),
                tasks.create_task(_show(console, callers, troubles, watch)),
                *(tasks.create_task(stack.parts[part].until_dead()) for part in _STEADY),
            ]
            await _call_and_trouble(seconds, count, callers, troubles)
            for each in aside:
                each.cancel()
        after = await watch.until_idle(before, _IDLE_AFTER_S)
        leases = await _leases(redis)
        reconnects = after.reconnects - before.reconnects
        rollovers = after.rollovers - before.rollovers
        console.print(f"The gateway's sessions: {reconnects} reconnects, {rollovers} rollovers.")
    return Outcome(
        seconds=seconds,
        calls=callers.calls,
        faults=troubles.count,
        found=callers.found,
        unclosed_calls=callers.unclosed + _unknown_calls(callers, before, after),
        leaked_slots=max(leases, after.places, after.sessions, after.live_calls),
        leaked_tasks=max(0, after.tasks - before.tasks),
        leaked_fds=max(0, after.fds - before.fds),
        rss_mb_per_min=watch.rss_mb_per_min,
    )


@asynccontextmanager
async def _broken_stack(
    calls: int,
) -> AsyncIterator[tuple[local.Stack, dict[Link, FaultProxy]]]:
    """Start the local stack with a fault proxy on each of its links."""
    ports = local.Ports.free()
    async with (
        FaultProxy(ports.gateway) as carrier,
        FaultProxy(ports.endpoint) as endpoint,
        FaultProxy(ports.bridge) as bridge,
        FaultProxy(ports.engine) as engine,
        FaultProxy(ports.redis) as redis,
    ):
        sessions = str(_SESSIONS_PER_CALL * calls)
        with tempfile.TemporaryDirectory(prefix="callscribe-spool-") as spool:
            settings = local.StackSettings(
                ports=ports,
                engine_model="checksum",
                engine={"ENGINE_MAX_NUM_SEQS": sessions},
                bridge={"BRIDGE_ENGINE_URL": f"http://{local.HOST}:{engine.port}"},
                endpoint={"ENDPOINT_CONTAINER_URL": f"http://{local.HOST}:{bridge.port}"},
                gateway={
                    "GATEWAY_REDIS_URL": f"redis://{local.HOST}:{redis.port}/0",
                    "GATEWAY_SAGEMAKER_URL": f"https://localhost:{endpoint.port}",
                    "GATEWAY_SPOOL_DIR": spool,
                    "GATEWAY_MAX_CALLS": str(4 * calls),
                    "GATEWAY_OVERLOAD_CPU": "100",
                    "GATEWAY_ENDPOINT_SESSIONS": sessions,
                    "GATEWAY_LEASE_S": str(_LEASE_S),
                    # Scaled down, so that a call of a minute sees a few.
                    "GATEWAY_ROLLOVER_SOFT_S": "15",
                    "GATEWAY_ROLLOVER_HARD_S": "40",
                    "GATEWAY_SEGMENT_PAUSE_MS": "600",
                },
            )
            links = {
                Link.CARRIER: carrier,
                Link.ENDPOINT: endpoint,
                Link.BRIDGE: bridge,
                Link.ENGINE: engine,
                Link.REDIS: redis,
            }
            async with local.running(settings) as stack:
                yield stack, links


async def _call_and_trouble(
    seconds: float, count: int, callers: Callers, troubles: Troubles
) -> None:
    """Call, and make trouble, until the time is over and all calls are."""
    until_s = asyncio.get_running_loop().time() + seconds
    async with together() as tasks:
        tasks.create_task(troubles.run(until_s))
        for _ in range(count):
            tasks.create_task(callers.call_on(until_s, Random()))  # noqa: S311 (not for secrets)


async def _show(console: Console, callers: Callers, troubles: Troubles, watch: Watch) -> None:
    """Say every half minute how it goes."""
    passed_s = 0.0
    while True:
        await asyncio.sleep(_PROGRESS_S)
        passed_s += _PROGRESS_S
        found = callers.found
        console.print(
            f"{passed_s / 60:5.1f} min: {callers.live} live, {callers.calls} over, "
            f"{callers.unclosed} unclosed; {troubles.count} faults, the last {troubles.newest}; "
            f"of {found.audio_ms / 1000:.0f} s {found.gap_ms / 1000:.1f} s in gaps, "
            f"{found.unaccounted_ms} ms unaccounted, {found.duplicated_ms} ms duplicated; "
            f"{watch.rss_mb:.1f} MB"
        )


def _unknown_calls(callers: Callers, before: Reading, after: Reading) -> int:
    """Count calls that the gateway says have ended, and nobody can read of."""
    return max(0, after.ended_calls - before.ended_calls - callers.calls)


async def _leases(redis: Redis) -> int:
    """Count what is still leased in Redis: places for sessions, and live streams."""
    now_s, _ = await redis.time()
    held = 0
    async for key in redis.scan_iter(match="cs:{cap:*}:places"):
        held += await redis.zcount(key, now_s * 1000, "inf")  # the others are free again
    async for key in redis.scan_iter(match="cs:{p*}:live"):
        held += await redis.zcard(key)
    return held


def report(outcome: Outcome) -> dict[str, object]:
    """Put an outcome into the words of `--json`."""
    found = outcome.found
    return {
        "calls": outcome.calls,
        "faults": outcome.faults,
        "audio_ms": found.audio_ms,
        "transcribed_ms": found.transcribed_ms,
        "gap_ms": found.gap_ms,
        "unaccounted_ms": found.unaccounted_ms,
        "duplicated_ms": found.duplicated_ms,
        "unclosed_calls": outcome.unclosed_calls,
        "leaked_slots": outcome.leaked_slots,
        "rss_mb_per_min": round(outcome.rss_mb_per_min, 2),
        "leaked_tasks": outcome.leaked_tasks,
        "leaked_fds": outcome.leaked_fds,
    }


def table(outcome: Outcome) -> Table:
    """Put an outcome into a table."""
    shown = Table("figure", "value", box=None, pad_edge=False)
    for name, value in report(outcome).items():
        shown.add_row(name, f"{value}")
    return shown
