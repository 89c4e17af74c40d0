"""`./run demo`: starts the local stack, plays one call through it and reports the result."""

import asyncio
import contextlib
import os
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

import aiohttp
import typer
from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli import alerts, events, running
from cli.call import CARRIER
from cli.callers.call import RATE_HZ, Call
from cli.callers.caller import Caller
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.registry import CALLERS
from cli.errors import CommandError
from cli.json_output import AsJson, print_json
from cli.recordings import Inbound, Mono, Outbound, read_tracks
from cli.rules.report import STYLES
from cli.view import TranscriptView, showing
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import call_keys, encode_id
from workers.client import CallTranscript, Hole, follow
from workers.client.events import AssistAlert

_ALERTS_S: Final = 3.0  # from the call's last event until its rules were applied
_GRACE_S: Final = 30.0  # from the hang-up until the call's last event
_NEXT: Final = """
[bold]Next[/]
  ./run demo --inbound CALL.wav   play your own recording, one party per channel
  ./run demo --keep               keep the call's page open afterwards
  ./run up                        keep the stack and the pages running for ./run call
  README.md                       how to connect a real phone number"""


@dataclass(slots=True)
class Result:
    """A played call and its transcript."""

    call: Call
    transcript: CallTranscript
    first_delta_ms: int | None = None  # from the first audio frame sent to the first text in Redis
    alerts: list[AssistAlert] = field(default_factory=list)  # changes, in order

    @classmethod
    def of(cls, call: Call) -> Self:
        """Return the result of a call that has not been placed yet."""
        return cls(call, CallTranscript(call.call_id))


def demo(
    carrier: Annotated[str, CARRIER] = "twilio",
    inbound: Inbound = None,
    outbound: Outbound = None,
    mono: Mono = False,
    as_json: AsJson = False,
    redis_url: Annotated[
        str | None, typer.Option(help="Use this Redis instead of starting one.")
    ] = None,
    browser: Annotated[
        bool,
        typer.Option(help="Open the call's page, if this machine has a desktop and a terminal."),
    ] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the stack and the page until Ctrl-C.")
    ] = False,
) -> None:
    """Play a call through a local stack and show its transcript."""
    tracks = read_tracks(inbound, outbound, mono=mono)
    console = Console(stderr=as_json, highlight=False)
    result = Result.of(Call(tracks))

    def show() -> None:
        if as_json:
            print_json(report(result))
        else:
            console.print(summary(result))
            console.print(_NEXT)

    caller = CALLERS[carrier](CREDENTIALS)
    opens = browser and console.is_terminal and _has_desktop()
    running.run(_demo(caller, result, console, redis_url, show, opens_browser=opens, keeps=keep))
    if result.transcript.status != "completed":
        raise typer.Exit(1)


async def play(stack: local.Stack, caller: Caller, tracks: dict[str, bytes]) -> Result:
    """Place one call and follow it until its last event."""
    result = Result.of(Call(tracks))
    await _play(stack, caller, result)
    return result


async def _play(
    stack: local.Stack, caller: Caller, result: Result, view: TranscriptView | None = None
) -> None:
    """Place a result's call and follow it until its last event."""
    gateway = Gateway(stack.media_url, stack.public_url)
    async with (
        events.connect(stack.redis_url) as redis,
        aiohttp.ClientSession() as http,
        together() as tasks,
    ):
        watch = tasks.create_task(stack.until_failed())
        reading = tasks.create_task(_read(redis, result, view))
        await place(http, gateway, caller, result.call)
        try:
            async with asyncio.timeout(_GRACE_S):
                await reading
        except TimeoutError:
            raise CommandError(
                f"the call did not end within {_GRACE_S:g} s after the hang-up"
            ) from None
        if stack.settings.with_pages:
            result.alerts = await alerts.of_call(redis, result.call.call_id, wait_s=_ALERTS_S)
        watch.cancel()


async def _demo(
    caller: Caller,
    result: Result,
    console: Console,
    redis_url: str | None,
    show: Callable[[], None],
    *,
    opens_browser: bool,
    keeps: bool,
) -> None:
    if redis_url:
        await events.require(redis_url)
    settings = local.StackSettings(ports=local.Ports.free(), redis_url=redis_url, with_pages=True)
    begin_s = time.monotonic()
    async with contextlib.AsyncExitStack() as cleanup:
        with showing(console, "Starting Valkey, speech engine, endpoint, gateway and workers"):
            stack = await cleanup.enter_async_context(local.running(settings))
        length_s = max(len(audio) for audio in result.call.tracks.values()) / RATE_HZ
        took_s = time.monotonic() - begin_s
        url = stack.page_link(encode_id(result.call.call_id))
        console.print(
            f"Ready after {took_s:.1f} s. Playing a call of {length_s:.0f} s as {caller.name}.\n"
            f"Watch it in the browser: {url}\n",
            style="dim",
            soft_wrap=True,
        )
        if opens_browser:
            webbrowser.open(url)
        status = _Status(result, length_s)
        with TranscriptView(console, status=lambda: status.line()) as view:
            await _play(stack, caller, result, view)
        if not keeps:
            with showing(console, "Stopping"):
                await cleanup.aclose()
        console.print()
        show()
        if keeps:
            console.print("\nThe page stays open. Ctrl-C stops everything.")
            await stack.until_failed()


def _has_desktop() -> bool:
    """Return whether a browser can be opened beside the terminal."""
    return sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


class _Status:
    """The status line below the transcript during the call."""

    def __init__(self, result: Result, length_s: float) -> None:
        self._result = result
        self._length_s = length_s
        self._spinner = Spinner("dots", style="green")

    def line(self) -> Spinner:
        """Return the current progress and latency."""
        now_s = time.monotonic()
        passed_s = min(now_s - (self._result.call.first_frame_s or now_s), self._length_s)
        text = f"played {passed_s:.0f} of {self._length_s:.0f} s"
        if passed_s >= self._length_s:
            text = "hung up; waiting for the final transcripts"
        if latencies := self._result.transcript.latencies_ms:
            text += f"; median latency {percentile(latencies, 50) / 1000:.1f} s"
        self._spinner.update(text=f"[dim]{text}")
        return self._spinner


async def _read(redis: RedisClient, result: Result, view: TranscriptView | None) -> None:
    """Apply the call's events as they are published, until the call is over."""
    transcript = result.transcript
    call_id = encode_id(transcript.call_id)
    async for event in follow(redis, call_id, partitions=events.PARTITIONS):
        if isinstance(event, Hole):
            continue  # the transcript counts missing events as well
        transcript.apply(event)
        if result.first_delta_ms is None and transcript.first_delta_seen:
            began_s = result.call.first_frame_s or time.monotonic()
            result.first_delta_ms = round((time.monotonic() - began_s) * 1000)
        if view:
            view.update(transcript)


def percentile(values: list[int], percent: float) -> float:
    """Return the value below which `percent` of the values lie; 0 if there are none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def report(result: Result) -> dict[str, object]:
    """Return a result as the object that `--json` prints."""
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
        "alerts": [
            {
                "state": alert.state,
                "rule": alert.rule,
                "severity": alert.severity,
                "title": alert.title,
                "track": alert.track,
                "start_ms": alert.start_ms,
                "end_ms": alert.end_ms,
            }
            for alert in result.alerts
        ],
        "segments": [
            {
                "track": segment.track,
                "role": segment.role,
                "segment": segment.segment,
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "text": segment.text,
            }
            for segment in transcript.segments
        ],
    }


def summary(result: Result) -> Table:
    """Return a result as a table."""
    transcript = result.transcript
    keys = call_keys(encode_id(transcript.call_id), events.PARTITIONS)
    words: dict[str, int] = {}
    for segment in transcript.segments:
        words[segment.speaker] = words.get(segment.speaker, 0) + len(segment.text.split())
    first = "none" if result.first_delta_ms is None else f"{result.first_delta_ms} ms"
    latency = (percentile(transcript.latencies_ms, percent) for percent in (50, 99))
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("call", f"{transcript.call_id}  {transcript.status} {transcript.reason}"),
        ("audio", f"{transcript.duration_ms / 1000:.1f} s per track"),
        ("words", ", ".join(f"{track} {count}" for track, count in words.items()) or "none"),
        ("first delta", f"{first} after the first audio frame"),
        ("latency", "p50 {} ms, p99 {} ms, from speech to publication".format(*latency)),
        ("gaps", f"{transcript.gap_ms} ms"),
        ("events", f"{transcript.events}, {transcript.missing} missing"),
        ("alerts", _alerts(result) or "none"),
        ("Redis", f"{keys.call}\n{keys.events}"),
    ):
        table.add_row(f"[bold]{name}", value)
    return table


def _alerts(result: Result) -> Text:
    """Return a line per alert that is raised at the end."""
    last = {alert.alert: alert for alert in result.alerts}
    lines = []
    for alert in last.values():
        if alert.state == "raised":
            time_s = (alert.start_ms or 0) / 1000
            when = (
                "" if alert.start_ms is None else f"{int(time_s // 60):02d}:{time_s % 60:02.0f}  "
            )
            line = Text(when, "dim")
            line.append(f"{alert.severity:8}  ", STYLES.get(alert.severity, ""))
            line.append(f"{alert.title} ({alert.rule})", "default")
            lines.append(line)
    return Text("\n").join(lines)
