"""The work is linear in what a peer sends: four times the data is four times the work."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from gateway.audio.loudness import LoudRuns
from gateway.audio.pipeline import AudioChunk
from gateway.calls.replay_buffer import ReplayBuffer
from gateway.calls.replay_state import GapLedger
from gateway.carriers.events import AudioReceived
from gateway.carriers.protocols.reorder import Reorder
from gateway.carriers.protocols.wall_times import Epoch, WallTimes
from gateway.publishing.backlog import Backlog
from gateway.transcript.events import GapCause, TranscriptGap
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement, SessionTimeline

MAX_RATIO: Final = 8.0  # of the work for four times the data; quadratic work is 16 times


def frame(number: int, payload: bytes = b"x", at_ms: int | None = None) -> AudioReceived:
    return AudioReceived("inbound", payload, at_ms, number)


def declare_apart(count: int) -> None:
    ledger = GapLedger("inbound")
    for n in range(count):
        ledger.declare(30_000 * n + 20, 30_000 * n + 30_000, GapCause.CARRIER_LOSS)


def declare_backwards(count: int) -> None:
    ledger = GapLedger("inbound")
    for n in reversed(range(count)):
        ledger.declare(100 * n, 100 * n + 50, GapCause.CARRIER_LOSS)
        ledger.drop_before(0)


def declare_again(count: int) -> None:
    ledger = GapLedger("inbound")
    for n in range(count):
        ledger.declare(0, 100 * n, GapCause.RECONNECT)
        ledger.drop_before(50 * n)


def push_unsent(count: int) -> None:
    buffer = ReplayBuffer(30_000)
    for n in range(count):
        buffer.push(AudioChunk(b"", 10 * n, 10 * n + 10), 0.0)
        assert buffer.unsent_ms <= 30_000


def note_loud_runs(count: int) -> None:
    runs = LoudRuns()
    for n in range(count):
        runs.note(160 * n, 160 * n + 80)
        assert runs.total_ms


def overtake(count: int) -> None:
    reorder = Reorder(1000)
    for n in range(count):
        reorder.receive(frame(n + 2 if n % 2 == 0 else n))


def lose_every_second_frame(count: int) -> None:
    reorder = Reorder(1000)
    for n in range(count):
        reorder.receive(frame(2 * n + 2))


def alternate_wall_times(count: int) -> None:
    times = WallTimes(8, Epoch())
    for n in range(count):
        times.receive(frame(n + 1, bytes(8), 1_700_000_000_000 + 30_000 * (n % 2)))


def place_answers_over_short_chunks(count: int) -> None:
    timeline = SessionTimeline()
    for n in range(count):
        timeline.record_sent(100 * n, 100 * n + 1, 1, 0.0)
        if n % 80 == 79:
            timeline.place(n - 79, n + 1, settled_ms=n - 79)


def receive_many_words(count: int) -> None:
    segmenter = Segmenter("inbound", "customer", max_ms=10**9)
    for n in range(count):
        segmenter.delta(" word", Placement(n, n + 1, 0.0), 0.0)
    segmenter.restart()


def queue_gaps(count: int) -> None:
    backlog = Backlog()
    for n in range(count):
        backlog.add(TranscriptGap("inbound", n, n + 1, GapCause.CARRIER_LOSS), 0.0)
        if n % 500 == 0:
            backlog.batch(100, 0.0)
            backlog.remove_batch()


@pytest.mark.parametrize(
    "work",
    [
        declare_apart,
        declare_backwards,
        declare_again,
        push_unsent,
        note_loud_runs,
        overtake,
        lose_every_second_frame,
        alternate_wall_times,
        place_answers_over_short_chunks,
        receive_many_words,
        queue_gaps,
    ],
    ids=lambda work: work.__name__,
)
def test_work_is_linear(work: Callable[[int], None]) -> None:
    """Symptom: the ledger copied its list for each gap; 6,000 gaps took 10 s."""

    def cpu_s(count: int) -> float:
        before_s = time.thread_time()
        work(count)
        return time.thread_time() - before_s

    work(100)  # warms up caches
    ratio = min(cpu_s(24_000) / cpu_s(6_000) for _ in range(3))
    assert ratio < MAX_RATIO
