"""`./run soak`: starts the stack, runs the soak and reports the outcome."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Annotated, Final

import aiohttp
import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from cli import audit, running
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from cli.json_output import AsJson, print_json
from cli.soak.callers import Callers
from cli.soak.fault_injection import FaultInjector, Link
from cli.soak.watch import Reading, Watch
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together
from deploy.local.proxy import FaultProxy

_PROGRESS_S: Final = 30.0
_SESSIONS_PER_CALL: Final = 4  # two tracks, each with two sessions during a rollover
_LEASE_S: Final = 10
_SETTLE_S: Final = 5.0
_IDLE_AFTER_S: Final = 60.0  # for the gateway to release the resources of calls
_MAX_MB_PER_MIN: Final = 1.0  # tolerated growth of memory: allocators are not exact
_MIN_GROWTH_S: Final = 300.0  # a shorter soak cannot measure growth
_STEADY: Final = ("gateway", "endpoint", "redis")  # processes that no fault terminates


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a soak."""

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
        """Whether the gateway passed: no audio unaccounted for, and no leaks."""
        leaked = self.leaked_slots or self.leaked_tasks or self.leaked_fds
        grew = self.seconds >= _MIN_GROWTH_S and self.rss_mb_per_min > _MAX_MB_PER_MIN
        return bool(self.calls) and self.found.whole and not (self.unclosed_calls or leaked or grew)


def soak(
    minutes: Annotated[
        float, typer.Option(min=0.5, max=1440, help="How long new calls are started.")
    ] = 20,
    calls: Annotated[
        int, typer.Option(min=1, max=500, help="Number of simultaneous two-track calls.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Keep calling while everything around the gateway fails."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    outcome = running.run(_soak(minutes * 60, calls, console))
    if as_json:
        print_json(report(outcome))
    else:
        Console(highlight=False).print(table(outcome))
    if not outcome.kept:
        console.print(
            "FAILED: audio is unaccounted for, or resources leaked; see the figures above"
        )
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
        injector = FaultInjector(stack, links, spared, Random())  # noqa: S311 (not for secrets)
        console.print(f"{count} calls at once; new ones are started for {seconds / 60:g} min ...")
        async with together() as tasks:
            background = [
                tasks.create_task(watch.run()),
                tasks.create_task(_show(console, callers, injector, watch)),
                *(tasks.create_task(stack.parts[part].until_exit()) for part in _STEADY),
            ]
            await _call_and_inject(seconds, count, callers, injector)
            for each in background:
                each.cancel()
        after = await watch.until_idle(before, _IDLE_AFTER_S)
        leases = await _leases(redis)
        reconnects = after.reconnects - before.reconnects
        rollovers = after.rollovers - before.rollovers
        console.print(
            f"The gateway's sessions had {reconnects} reconnects and {rollovers} rollovers."
        )
    return Outcome(
        seconds=seconds,
        calls=callers.calls,
        faults=injector.count,
        found=callers.found,
        unclosed_calls=callers.unclosed + _unknown_calls(callers, before, after),
        leaked_slots=max(leases, after.slots, after.sessions, after.live_calls),
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
                    # Short, so that a call of one minute has several rollovers.
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


async def _call_and_inject(
    seconds: float, count: int, callers: Callers, injector: FaultInjector
) -> None:
    """Play calls and inject faults until the time is over and all calls have ended."""
    until_s = asyncio.get_running_loop().time() + seconds
    async with together() as tasks:
        tasks.create_task(injector.run(until_s))
        for _ in range(count):
            tasks.create_task(callers.call_on(until_s, Random()))  # noqa: S311 (not for secrets)


async def _show(console: Console, callers: Callers, injector: FaultInjector, watch: Watch) -> None:
    """Print the progress every 30 s."""
    passed_s = 0.0
    while True:
        await asyncio.sleep(_PROGRESS_S)
        passed_s += _PROGRESS_S
        found = callers.found
        console.print(
            f"{passed_s / 60:5.1f} min: {callers.live} live, {callers.calls} ended, "
            f"{callers.unclosed} unclosed; {injector.count} faults, the last {injector.newest}; "
            f"of {found.audio_ms / 1000:.0f} s {found.gap_ms / 1000:.1f} s in gaps, "
            f"{found.unaccounted_ms} ms unaccounted, {found.duplicated_ms} ms duplicated; "
            f"{watch.rss_mb:.1f} MB"
        )


def _unknown_calls(callers: Callers, before: Reading, after: Reading) -> int:
    """Count the calls that ended according to the gateway's metrics but have no events."""
    return max(0, after.ended_calls - before.ended_calls - callers.calls)


async def _leases(redis: Redis) -> int:
    """Count the leases in Redis: session slots and live streams."""
    now_s, _ = await redis.time()
    held = 0
    async for key in redis.scan_iter(match="cs:{cap:*}:places"):
        held += await redis.zcount(key, now_s * 1000, "inf")  # the others have expired
    async for key in redis.scan_iter(match="cs:{p*}:live"):
        held += await redis.zcard(key)
    return held


def report(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as the object that `--json` prints."""
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
    """Return an outcome as a table."""
    shown = Table("figure", "value", box=None, pad_edge=False)
    for name, value in report(outcome).items():
        shown.add_row(name, f"{value}")
    return shown
