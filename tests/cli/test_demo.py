"""The reports of the demo and the bench, whose JSON scripts rely on."""

import json

import msgspec
from rich.console import Console

from cli.audit import Account
from cli.bench import command as bench
from cli.bench.gauges import Reading
from cli.callers.call import Call
from cli.demo import Result, percentile, report, summary
from cli.view import TranscriptView
from tests.workers.client.stories import ended, event, words
from tests.workers.client.test_transcript import fold
from workers.client import AnyEvent, CallTranscript

STORY = (
    event("stream.started", 1),
    words("transcript.delta", 2, "It was the"),
    words("transcript.delta", 3, " best [of] times"),
    words("transcript.final", 4, "It was the best [of] times", start_ms=62_500, end_ms=64_000),
    words("transcript.delta", 5, "Quite", track="outbound", start_ms=65_000),
)


def played(*events: AnyEvent) -> Result:
    return Result(Call({"inbound": b""}), fold(*events), first_delta_ms=1500)


def test_demo_json() -> None:
    final = words("transcript.final", 6, "Quite.", track="outbound", start_ms=65_000)
    shown = json.loads(msgspec.json.encode(report(played(*STORY, final, ended(7)))))
    assert shown == {
        "call_id": "CA1",
        "status": "completed",
        "duration_ms": 1000,
        "first_delta_ms": 1500,
        "latency_ms": {"p50": 503, "p99": 505},
        "gap_ms": 40,
        "events": 7,
        "alerts": [],
        "segments": [
            {
                "track": "inbound",
                "role": "unknown",
                "segment": 1,
                "start_ms": 62_500,
                "end_ms": 64_000,
                "text": "It was the best [of] times",
            },
            {
                "track": "outbound",
                "role": "unknown",
                "segment": 1,
                "start_ms": 65_000,
                "end_ms": 480,
                "text": "Quite.",
            },
        ],
    }


def test_demo_summary() -> None:
    console = Console(width=100)
    with console.capture() as output:
        console.print(summary(played(*STORY, ended(6, "failed", reason="socket-lost"))))
    text = output.get()
    for expected in (
        "CA1  failed socket-lost",
        "inbound 6, outbound 1",
        "1500 ms after",
        "p50 503 ms, p99 505 ms",
        "40 ms",
        "6, 0 missing",
        "cs:{p53}:call:CA1",
    ):
        assert expected in text


def lines(*, terminal: bool, name_calls: bool = False) -> str:
    console = Console(width=40, force_terminal=terminal, no_color=True)
    call = CallTranscript("CA1")
    with console.capture() as output, TranscriptView(console, name_calls=name_calls) as view:
        for each in STORY:
            call.apply(each)
            view.update(call)
    return output.get()


def test_without_a_terminal_each_final_is_one_line() -> None:
    assert lines(terminal=False) == "01:02  inbound  It was the best [of] times\n"
    assert lines(terminal=False, name_calls=True).startswith("CA1  01:02  inbound  It was")


def test_terminal_shows_partial_text() -> None:
    assert "Quite" in lines(terminal=True)


def test_bench_json() -> None:
    """100 appends in the window took up to 10 ms; the gateway used 1.2 s of CPU time."""
    inf = float("inf")
    before = Reading({"gateway": 1.0, "load": 0.5}, 50 << 20, {0.01: 7, inf: 7}, {})
    after = Reading({"gateway": 2.2, "load": 0.7}, 60 << 20, {0.01: 107, inf: 107}, {})
    found = Account(audio_ms=1000, transcribed_ms=920, gap_ms=80, duplicated_ms=160)
    outcome = bench.Outcome(10, 10, before, after, 40 << 20, 1000, found, 640)
    assert bench.report(outcome) == {
        "calls": 10,
        "seconds": 10,
        "cpu_ms_per_call_s": 12.0,
        "calls_per_core_at_80": 66,
        "append_ms": {"p50": 5.0, "p99": 9.9},
        "publish_ms": {"p50": 0.0, "p99": 0.0},
        "rss_kib_per_call": 2048.0,
        "lost_ms": 80,
        "duplicated_ms": 160,
    }
    console = Console(width=100)
    with console.capture() as output:
        console.print(bench.table(outcome))
    assert "p50 5, p99 9.9" in output.get()
    assert "640: engine 620, path 20" in output.get()
    assert "load: CPU-ms per call-second" in output.get()


def test_percentiles() -> None:
    assert percentile([], 99) == 0
    assert percentile([7], 50) == 7
    assert percentile(list(range(100, 0, -1)), 50) == 51
    assert percentile(list(range(1, 101)), 99) == 100
