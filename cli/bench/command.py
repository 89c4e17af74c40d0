"""`./run bench`: generates the load and reports the measurements."""

import asyncio
import gc
import os
from dataclasses import dataclass
from typing import Annotated, Final

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from cli import audit, demo, events, running
from cli.bench import gauges
from cli.callers import twilio
from cli.callers.call import Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.errors import CommandError
from cli.json_output import AsJson, print_json
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together
from gateway.redis_client.client import RedisClient

_RAMP_S: Final = 3.0  # the starts of the calls are spread over this
_SETTLE_S: Final = 2.0  # from the last start until the window opens
_AFTER_S: Final = 1.0  # from the end of the window until the first hang-up
_FRAME_S: Final = 0.020
_GRACE_S: Final = 60.0  # timeout from a call's latest event to its next one
# The engine's first delta needs 9000 samples, which are in eight chunks of 80 ms. The 32nd frame
# completes them, and is sent 31 frames after the first.
_ENGINE_FIRST_DELTA_MS: Final = 31 * 20
_WARM_UP_MS: Final = 1500
_TARGET_LOAD: Final = 0.8


@dataclass(frozen=True, slots=True)
class Outcome:
    """The measurements and the result of the audit."""

    calls: int
    seconds: float
    before: gauges.Reading
    after: gauges.Reading
    idle_rss_bytes: int
    sent_ms: int  # audio of all tracks
    found: audit.Account
    first_delta_ms: int  # of a single call before the load

    @property
    def lost_ms(self) -> int:
        """Milliseconds of audio without a transcript, whether in a gap or not."""
        return self.sent_ms - self.found.transcribed_ms

    @property
    def cpu_ms_per_call_s(self) -> dict[str, float]:
        """CPU milliseconds per call and second of each process."""
        spent_s = {part: s - self.before.cpu_s[part] for part, s in self.after.cpu_s.items()}
        return {part: s * 1000 / self.calls / self.seconds for part, s in spent_s.items()}


def bench(
    calls: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of simultaneous two-track calls.")
    ] = 40,
    seconds: Annotated[
        int, typer.Option(min=1, max=3600, help="Length of the measured window.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Measure a gateway under load; check that no audio is lost."""
    console = Console(stderr=as_json, highlight=False)
    outcome = running.run(_bench(calls, seconds, console))
    if as_json:
        print_json(report(outcome))
    else:
        console.print(table(outcome))
    if outcome.lost_ms or not outcome.found.whole:
        console.print(f"FAILED: {outcome.lost_ms} ms lost, {outcome.found}")
        raise typer.Exit(1)


async def _bench(count: int, seconds: int, console: Console) -> Outcome:
    console.print(f"Preparing {count} calls of noise ...", style="dim")
    length_ms = int((_RAMP_S + _SETTLE_S + seconds + _AFTER_S) * 1000)
    calls = [_noise_call(number, length_ms) for number in range(count)]
    gc.freeze()  # the prepared frames: hundreds of thousands of objects that stay in use
    settings = local.StackSettings(
        ports=local.Ports.free(),
        engine_model="checksum",
        engine={"ENGINE_MAX_NUM_SEQS": str(2 * count)},
        gateway={"GATEWAY_MAX_CALLS": str(count), "GATEWAY_OVERLOAD_CPU": "100"},
    )
    async with local.running(settings) as stack, events.connect(stack.redis_url) as redis:
        first_ms = await _first_delta_ms(stack)
        console.print(f"Playing them for {length_ms / 1000:.0f} s ...", style="dim")
        before, after, idle = await _play(stack, calls, seconds)
        console.print("Comparing checksums ...", style="dim")
        found = audit.Account()
        for call in calls:
            found += audit.account(await _events(redis, call.call_id), call.tracks)
    sent_ms = sum(len(audio) // 8 for call in calls for audio in call.tracks.values())
    return Outcome(count, seconds, before, after, idle.gateway_rss_bytes, sent_ms, found, first_ms)


async def _first_delta_ms(stack: local.Stack) -> int:
    """Play a single call, which also warms up the gateway; return its time to the first text."""
    result = await demo.play(
        stack, twilio.Twilio(CREDENTIALS), {"inbound": audit.noise(0, _WARM_UP_MS)}
    )
    if result.first_delta_ms is None:
        raise CommandError(f"the warm-up call had no text: {result.transcript.reason}")
    return result.first_delta_ms


def _noise_call(number: int, length_ms: int) -> Call:
    """Return a call with unique audio and prepared media messages."""
    tracks = {
        "inbound": audit.noise(2 * number, length_ms),
        "outbound": audit.noise(2 * number + 1, length_ms),
    }
    call = Call(tracks)
    call.prepared = list(twilio.dialogue(call, {}).media())
    return call


async def _play(
    stack: local.Stack, calls: list[Call], seconds: int
) -> tuple[gauges.Reading, gauges.Reading, gauges.Reading]:
    """Play all calls; return the readings at the start and end of the window, and when idle."""
    gateway = Gateway(stack.media_url, stack.public_url)
    caller = twilio.Twilio(CREDENTIALS)
    admin_url = f"http://{local.HOST}:{stack.settings.ports.admin}"
    pids = {part: running_part.pid for part, running_part in stack.parts.items()}
    pids["load"] = os.getpid()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, together() as tasks:
        watch = tasks.create_task(stack.until_failed())
        idle = await gauges.read(http, admin_url, pids)

        async def one(number: int, call: Call) -> None:
            # Spread over the ramp and over a frame of 20 ms: frames of real calls do not coincide.
            await asyncio.sleep(number / len(calls) * (_RAMP_S + _FRAME_S))
            await place(http, gateway, caller, call)

        playing = [tasks.create_task(one(number, call)) for number, call in enumerate(calls)]
        await asyncio.sleep(_RAMP_S + _SETTLE_S)
        before = await gauges.read(http, admin_url, pids)
        await asyncio.sleep(seconds)
        after = await gauges.read(http, admin_url, pids)
        await asyncio.gather(*playing)
        watch.cancel()
    return before, after, idle


async def _events(redis: RedisClient, call_id: str) -> list[events.Event]:
    try:
        return await events.until_ended(redis, call_id, idle_s=_GRACE_S)
    except TimeoutError:
        raise CommandError(f"call {call_id} did not end within {_GRACE_S:g} s") from None


def report(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as the object that `--json` prints."""
    cpu_ms = outcome.cpu_ms_per_call_s["gateway"]
    before, after = outcome.before, outcome.after
    append = gauges.quantiles_ms(before.append, after.append, (0.5, 0.99))
    publish = gauges.quantiles_ms(before.publish, after.publish, (0.5, 0.99))
    grown_bytes = after.gateway_rss_bytes - outcome.idle_rss_bytes
    return {
        "calls": outcome.calls,
        "seconds": outcome.seconds,
        "cpu_ms_per_call_s": round(cpu_ms, 2),
        "calls_per_core_at_80": int(_TARGET_LOAD * 1000 / cpu_ms) if cpu_ms else 0,
        "append_ms": dict(zip(("p50", "p99"), append, strict=True)),
        "publish_ms": dict(zip(("p50", "p99"), publish, strict=True)),
        "rss_kib_per_call": round(grown_bytes / 1024 / outcome.calls, 1),
        "lost_ms": outcome.lost_ms,
        "duplicated_ms": outcome.found.duplicated_ms,
    }


def table(outcome: Outcome) -> Table:
    """Return an outcome as a table, which also has the CPU time of the other processes."""
    shown = Table("figure", "value", box=None, pad_edge=False)
    for name, value in report(outcome).items():
        if isinstance(value, dict):
            shown.add_row(name, ", ".join(f"{quantile} {ms:g}" for quantile, ms in value.items()))
        else:
            shown.add_row(name, f"{value}")
    path_ms = outcome.first_delta_ms - _ENGINE_FIRST_DELTA_MS
    shares = f"{outcome.first_delta_ms}: engine {_ENGINE_FIRST_DELTA_MS}, path {path_ms}"
    shown.add_row("first_delta_ms", shares)
    for part, cpu_ms in outcome.cpu_ms_per_call_s.items():
        if part != "gateway":
            shown.add_row(f"[dim]{part}: CPU-ms per call-second", f"[dim]{cpu_ms:.2f}")
    return shown
