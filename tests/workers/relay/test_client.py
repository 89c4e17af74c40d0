"""The JavaScript client and the pages' code, tested by Node.js."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.workers.client.stories import event as typed
from workers.client import AnyEvent, CallTranscript

_FOLDER = Path(__file__).parent / "client"
_NODE = shutil.which("node")
_TIMEOUT_S = 60

pytestmark = pytest.mark.skipif(_NODE is None, reason="Node.js is not installed")

type Event = dict[str, object]


def _node(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (files of this folder)
        [str(_NODE), *arguments],
        input=stdin,
        cwd=_FOLDER,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )


def test_tests_of_node_pass() -> None:
    tests = sorted(path.name for path in _FOLDER.glob("*.test.mjs"))
    result = _node("--test", "--test-reporter=spec", *tests)
    assert result.returncode == 0, result.stdout
    assert len(tests) == 6


_TIMES = st.integers(0, 3)


@st.composite
def _events(draw: st.DrawFn) -> Event:
    """An event of a few streams, epochs, tracks and segments, in any order."""
    start_ms = draw(_TIMES)
    event: Event = {
        "type": draw(
            st.sampled_from(
                ["transcript.delta", "transcript.final", "stream.started", "stream.new"]
            )
        ),
        "call_id": "CA1",
        "stream_id": draw(st.sampled_from("AB")),
        "epoch": draw(st.integers(1, 3)),
        "n": draw(st.integers(1, 12)),
        "at": "2026-11-21T10:06:56.123Z",
        "track": draw(st.sampled_from(["inbound", "outbound"])),
        "role": "customer",
        "segment": draw(st.integers(1, 2)),
        "rev": draw(st.integers(0, 2)),
        "text": draw(st.sampled_from(["", " a", " é👋"])),
        "start_ms": start_ms,
        "end_ms": start_ms + draw(_TIMES),
        "latency_ms": draw(_TIMES),
    }
    if draw(st.integers(0, 9)) == 0:
        status = draw(st.sampled_from(["completed", "failed", "lost"]))
        ending = {"type": "stream.ended", "status": status, "reason": status[:2]}
        event |= ending | {"duration_ms": draw(_TIMES), "gap_ms": draw(_TIMES)}
    if event["type"] == "stream.started" and draw(st.booleans()):
        event["resumes"] = 1
    return event


def _mostly_in_order(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event["epoch"], event["n"]))


_CALLS = st.lists(_events(), max_size=30) | st.lists(_events(), max_size=30).map(_mostly_in_order)


def _fold(events: list[Event]) -> Mapping[str, object]:
    transcript = CallTranscript("CA1")
    applied = [transcript.apply(_typed(event)) for event in events]
    segments = [
        [s.stream_id, s.track, s.segment, s.rev, s.start_ms, s.end_ms, s.role, s.text, s.final]
        for s in transcript.segments
    ]
    return {
        "applied": applied,
        "missing": transcript.missing,
        "status": transcript.status,
        "reason": transcript.reason,
        "duration_ms": transcript.duration_ms,
        "gap_ms": transcript.gap_ms,
        "latencies": transcript.latencies_ms,
        "segments": sorted(segments),
    }


def _typed(event: Event) -> AnyEvent:
    own = {**event, "call": event["call_id"], "stream": event["stream_id"]}
    for name in ("call_id", "stream_id"):
        del own[name]
    kind, n = str(own.pop("type")), int(str(own.pop("n")))
    return typed(kind, n, **own)  # type: ignore[arg-type]


@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # a process for each example
@given(st.lists(_CALLS, min_size=20, max_size=40))
def test_transcript_equals_that_of_the_python_kit(calls: list[list[Event]]) -> None:
    found = json.loads(_node("fold.mjs", stdin=json.dumps(calls)).stdout)
    for events, call in zip(calls, found, strict=True):
        call["segments"].sort()
        assert call == _fold(events), events
