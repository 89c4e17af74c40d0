"""`./run demo`: the local stack, one call through it, and what came of it."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from cli import events, recordings, running
from cli.callers.call import Call
from cli.callers.caller import Caller
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.registry import CALLERS
from cli.carrier_option import CARRIER
from cli.errors import CommandError
from cli.transcript import CallTranscript, percentile
from cli.view import TranscriptView
from cli.wav import read_mulaw
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together
from gateway.transcript.keys import call_keys, encode_id

_GRACE_S: Final = 30.0  # from the hang-up until the call's last event


@dataclass(slots=True)
class Result:
    """A call that was played, and its transcript."""

    call: Call
    transcript: CallTranscript
    first_delta_ms: int | None = None  # first audio frame sent -> first text visible in Redis


def demo(
    carrier: Annotated[str, CARRIER] = "twilio",
    inbound: Annotated[
        Path | None, typer.Option(help="WAV of the caller. Default: A Tale of Two Cities.")
    ] = None,
    outbound: Annotated[
        Path | None, typer.Option(help="WAV of the agent. Default: a scene of Endgame.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")
    ] = False,
    redis_url: Annotated[
        str | None, typer.Option(help="Use this Redis instead of one of the demo's own.")
    ] = None,
) -> None:
    """Play one call through the whole path on this machine."""
    tracks = read_tracks(inbound, outbound)
    console = Console(stderr=as_json)
    result = running.run(_demo(CALLERS[carrier](CREDENTIALS), tracks, console, redis_url))
    if as_json:
        print(msgspec.json.encode(report(result)).decode())  # noqa: T201 (the command's product)
    else:
        console.print(summary(result))
    if result.transcript.status != "completed":
        raise typer.Exit(1)


def read_tracks(inbound: Path | None, outbound: Path | None) -> dict[str, bytes]:
    """Read a call's two tracks as mu-law; a recording stands in for a file that is not given."""
    return {
        "inbound": read_mulaw(inbound or recordings.two_cities()),
        "outbound": read_mulaw(outbound or recordings.nagg_and_nell()),
    }


async def play(
    stack: local.Stack,
    caller: Caller,
    tracks: dict[str, bytes],
    view: TranscriptView | None = None,
) -> Result:
    """Place one call and follow it until its last event."""
    result = Result(call := Call(tracks), CallTranscript(call.call_id))
    gateway = Gateway(stack.media_url, stack.public_url)
    async with (
        events.connect(stack.redis_url) as redis,
        aiohttp.ClientSession() as http,
        together() as tasks,
    ):
        watch = tasks.create_task(stack.until_failed())
        reading = tasks.create_task(_read(redis, result, view))
        await place(http, gateway, caller, call)
        try:
            async with asyncio.timeout(_GRACE_S):
                await reading
        except TimeoutError:
            raise CommandError(f"the call did not end within {_GRACE_S:g} s of hang-up") from None
        watch.cancel()
    return result


async def _demo(
    caller: Caller, tracks: dict[str, bytes], console: Console, redis_url: str | None
) -> Result:
    if redis_url:
        await events.require(redis_url)
    settings = local.StackSettings(ports=local.Ports.free(), redis_url=redis_url)
    console.print("Starting Valkey, speech engine, bridge, endpoint and gateway ...", style="dim")
    begin_s = time.monotonic()
    async with local.running(settings) as stack:
        took_s = time.monotonic() - begin_s
        length_s = max(len(audio) for audio in tracks.values()) / 8000
        console.print(f"Ready after {took_s:.1f} s; the call takes {length_s:.0f} s.", style="dim")
        with TranscriptView(console) as view:
            return await play(stack, caller, tracks, view)


async def _read(redis: events.RedisClient, result: Result, view: TranscriptView | None) -> None:
    """Fold the call's events as they appear, until it is over."""
    transcript = result.transcript
    async for event in events.follow(redis, [events.call_key(transcript.call_id)]):
        transcript.apply(event)
        if result.first_delta_ms is None and transcript.first_delta_seen:
            began_s = result.call.first_frame_s or time.monotonic()
            result.first_delta_ms = round((time.monotonic() - began_s) * 1000)
        if view:
            view.update(transcript)
        if transcript.over:
            return


def report(result: Result) -> dict[str, object]:
    """Put a result into the words of `--json`."""
    transcript = result.transcript
    return {
        "call_id": transcript.call_id,
        "status": transcript.status,
        "duration_ms": transcript.duration_ms,
        "first_delta_ms": result.first_delta_ms,
        "latency_ms": {
            "p50": percentile(transcript.latencies_ms, 50),
            "p99": percentile(transcript.latencies_ms, 99),
        },
        "gap_ms": transcript.gap_ms,
        "events": transcript.events,
        "segments": [
            {
                "track": segment.track,
                "segment": segment.segment,
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "text": segment.text,
            }
            for segment in transcript.segments
        ],
    }


def summary(result: Result) -> Table:
    """Put a result into a table."""
    transcript = result.transcript
    keys = call_keys(encode_id(transcript.call_id), events.PARTITIONS)
    words: dict[str, int] = {}
    for segment in transcript.segments:
        words[segment.track] = words.get(segment.track, 0) + len(segment.text.split())
    first = "none" if result.first_delta_ms is None else f"{result.first_delta_ms} ms"
    latency = (percentile(transcript.latencies_ms, percent) for percent in (50, 99))
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("call", f"{transcript.call_id}  {transcript.status} {transcript.reason}"),
        ("audio", f"{transcript.duration_ms / 1000:.1f} s per track"),
        ("words", ", ".join(f"{track} {count}" for track, count in words.items()) or "none"),
        ("first delta", f"{first} after the first audio frame"),
        ("latency", "p50 {} ms, p99 {} ms, from spoken to published".format(*latency)),
        ("gaps", f"{transcript.gap_ms} ms"),
        ("events", f"{transcript.events}, {transcript.missing} missing"),
        ("Redis", f"{keys.call}\n{keys.events}"),
    ):
        table.add_row(f"[bold]{name}", value)
    return table
