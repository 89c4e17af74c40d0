"""What a peer can make grow costs no more each time: four times as much is four times the work."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from gateway.audio.loudness import LoudRuns
from gateway.audio.pipeline import AudioChunk
from gateway.calls.gaps import GapLedger
from gateway.calls.replay_buffer import ReplayBuffer
from gateway.carriers.events import AudioReceived
from gateway.carriers.protocols.reorder import Reorder
from gateway.carriers.protocols.wall_times import Epoch, WallTimes
from gateway.publishing.backlog import Backlog
from gateway.transcript.events import GapCause, TranscriptGap
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.token_clock import Placement, TokenClock

MOST: Final = 8.0  # times the work for four times as much; what is quadratic takes 16


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
        ledger.forget(0)


def declare_again(count: int) -> None:
    ledger = GapLedger("inbound")
    for n in range(count):
        ledger.declare(0, 100 * n, GapCause.RECONNECT)
        ledger.forget(50 * n)


def push_unsent(count: int) -> None:
    ring = ReplayBuffer(30_000)
    for n in range(count):
        ring.push(AudioChunk(b"", 10 * n, 10 * n + 10), 0.0)
        assert ring.unsent_ms <= 30_000


def be_loud(count: int) -> None:
    runs = LoudRuns()
    for n in range(count):
        runs.note(160 * n, 160 * n + 80)
        assert runs.total_ms


def overtake(count: int) -> None:
    reorder = Reorder(1000)
    for n in range(count):
        reorder.receive(frame(n + 2 if n % 2 == 0 else n))


def never_come(count: int) -> None:
    reorder = Reorder(1000)
    for n in range(count):
        reorder.receive(frame(2 * n + 2))


def alternate_wall_times(count: int) -> None:
    times = WallTimes(8, Epoch())
    for n in range(count):
        times.receive(frame(n + 1, bytes(8), 1_700_000_000_000 + 30_000 * (n % 2)))


def tick_over_shreds(count: int) -> None:
    clock = TokenClock()
    for n in range(count):
        clock.sent(100 * n, 100 * n + 1, 1, 0.0)
        if n % 80 == 0:
            clock.tick()


def say_much(count: int) -> None:
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
            backlog.acknowledge()


@pytest.mark.parametrize(
    "work",
    [
        declare_apart,
        declare_backwards,
        declare_again,
        push_unsent,
        be_loud,
        overtake,
        never_come,
        alternate_wall_times,
        tick_over_shreds,
        say_much,
        queue_gaps,
    ],
    ids=lambda work: work.__name__,
)
def test_four_times_as_much_is_no_sixteen_times_the_work(work: Callable[[int], None]) -> None:
    """Symptom: the ledger copied its list for each gap, and 6,000 of them took 10 s."""

    def cpu_s(count: int) -> float:
        before_s = time.thread_time()
        work(count)
        return time.thread_time() - before_s

    work(100)  # warm
    ratio = min(cpu_s(24_000) / cpu_s(6_000) for _ in range(3))
    assert ratio < MOST
