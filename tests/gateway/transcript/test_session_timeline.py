"""Positions of deltas on the media clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.session_timeline import Placement, SessionTimeline
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.dialects.voxtral import Voxtral

BYTES_PER_MS = 32


class TokenClock:
    """A timeline whose answers are the deltas of a Voxtral session."""

    def __init__(self) -> None:
        self.timeline = SessionTimeline()
        self.session = Voxtral().session(Options("m"))
        self.session.receive(b'{"type":"session.created"}')

    def record_sent(
        self, start_ms: int, end_ms: int, audio_ms: int, audio_received_s: float
    ) -> None:
        self.session.append(bytes(audio_ms * BYTES_PER_MS))
        self.timeline.record_sent(start_ms, end_ms, audio_ms, audio_received_s)

    def tick(self) -> Placement | None:
        """Return the position of the next delta; None if it has none."""
        events = self.session.receive(b'{"type":"transcription.delta","delta":""}')
        for answer in events:
            assert isinstance(answer, Answer)
            assert answer.until_ms == answer.end_ms
            return self.timeline.place(answer.start_ms, answer.end_ms, settled_ms=answer.start_ms)
        return None


def clock_with(*chunks: tuple[int, ...]) -> TokenClock:
    """Return a clock to which these chunks were sent; the nth was received at second n.

    Each chunk: start, end, and optionally by how much its audio is longer.
    """
    clock = TokenClock()
    for number, (start_ms, end_ms, *longer_ms) in enumerate(chunks, 1):
        clock.record_sent(start_ms, end_ms, end_ms - start_ms + sum(longer_ms), float(number))
    return clock


def ticks(clock: TokenClock, count: int) -> list[tuple[int, int, float]]:
    placed = [clock.tick() for _ in range(count)]
    return [(each.start_ms, each.end_ms, each.audio_received_s) for each in placed if each]


STEADY = [(5000 + 80 * n, 5080 + 80 * n) for n in range(4)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        # delta k covers chunk k; after the last chunk, the position stays
        (
            STEADY,
            [(5000, 5080, 1), (5080, 5160, 2), (5160, 5240, 3), (5240, 5320, 4), (5320, 5320, 4)],
        ),
        # a hold between two chunks
        ([(0, 80), (9000, 9080)], [(0, 80, 1), (9000, 9080, 2), (9080, 9080, 2)]),
        # a hold in the middle of a delta
        ([(0, 40), (9000, 9120)], [(0, 9040, 2), (9040, 9120, 2)]),
        # chunks shorter and longer than a token
        ([(0, 20), (20, 40), (40, 240)], [(0, 80, 3), (80, 160, 3), (160, 240, 3)]),
        # a delta that covers a whole hold-separated chunk
        ([(0, 30), (100, 120), (500, 600)], [(0, 530, 3), (530, 600, 3)]),
        # an empty last chunk that has only the tail of the resampler's filter
        ([(0, 80), (80, 80, 3)], [(0, 80, 1), (80, 80, 2)]),
        # padding does not move the audio after it
        (
            [(0, 80), (80, 80, 80), (80, 100, 60), (100, 180)],
            [(0, 80, 1), (80, 80, 2), (80, 100, 3), (100, 180, 4)],
        ),
    ],
)  # fmt: skip
def test_deltas_are_placed_on_the_media_clock(
    chunks: list[tuple[int, ...]], expected: list[tuple[int, int, float]]
) -> None:
    assert ticks(clock_with(*chunks), len(expected)) == expected


def test_sent_ms_is_the_end_of_the_newest_audio() -> None:
    timeline = SessionTimeline()
    assert timeline.sent_ms is None
    timeline.record_sent(5000, 5080, 80, 1.0)
    assert timeline.sent_ms == 5080
    timeline.record_sent(5080, 5160, 80, 2.0)
    assert timeline.sent_ms == 5160
    timeline.record_sent(5000, 5080, 80, 3.0)  # sent again, at the seam of two turns
    assert timeline.sent_ms == 5160


def test_delta_before_any_audio_has_no_position() -> None:
    clock = TokenClock()
    assert clock.tick() is None
    clock.record_sent(5000, 5080, 80, 1.0)
    assert clock.tick() == Placement(5000, 5080, 1.0)


def test_provisional_text_can_be_placed_again_from_its_start() -> None:
    timeline = SessionTimeline()
    for n in range(10):
        timeline.record_sent(5000 + 80 * n, 5080 + 80 * n, 80, float(n))
    assert timeline.place(400, 640) == Placement(5400, 5640, 7.0)
    assert timeline.place(80, 800, settled_ms=80) == Placement(5080, 5800, 9.0)
    assert timeline.media_ms(320) == 5320


def test_only_settled_audio_loses_its_position() -> None:
    timeline = SessionTimeline()
    for n in range(10):
        timeline.record_sent(5000 + 80 * n, 5080 + 80 * n, 80, float(n))
    assert timeline.place(400, 480, settled_ms=240) == Placement(5400, 5480, 5.0)
    assert timeline.place(240, 320) == Placement(5240, 5320, 3.0)
    assert timeline.place(80, 160).start_ms == 5240


def test_audio_that_is_sent_again_has_its_first_position() -> None:
    timeline = SessionTimeline()
    for start_ms in (5000, 5080, 5040, 5120):
        timeline.record_sent(start_ms, start_ms + 80, 80, start_ms / 1000)
    assert timeline.place(160, 320, settled_ms=160) == Placement(5040, 5200, 5.12)


def test_memory_is_bounded_and_positions_stay_exact_without_deltas() -> None:
    chunks = [(20 * n, 20 * n + 20) for n in range(50_000)]
    clock = clock_with(*chunks)
    assert len(clock.timeline._chunks) <= 8192  # noqa: SLF001 - the memory use is not visible otherwise
    placed = ticks(clock, 12_500)
    assert [(start, end) for start, end, _ in placed] == [
        (80 * n, 80 * n + 80) for n in range(12_500)
    ]
    received = [audio_received_s for *_, audio_received_s in placed]
    assert received == sorted(received)


# A chunk's length, the length of the hold before it, and by how much its audio is longer
SENT = st.tuples(st.integers(0, 500), st.integers(0, 5000), st.integers(0, 80))
STEPS = st.lists(st.one_of(SENT, st.just("tick")))


@given(STEPS)
def test_positions_never_decrease_and_stay_within_the_audio_sent(
    steps: list[tuple[int, int, int] | str],
) -> None:
    clock = TokenClock()
    sent_ms, first_ms, audio_received_s, audio_ms = 0, None, 0.0, 0
    placed = [Placement(0, 0, 0.0)]
    for step in steps:
        if step == "tick":
            placement = clock.tick()
            if placement is None:
                assert not audio_ms
                continue
            assert placement.start_ms <= placement.end_ms <= sent_ms
            assert placement.end_ms >= (first_ms or 0)
            placed.append(placement)
        else:
            assert isinstance(step, tuple)
            start_ms, audio_received_s = sent_ms + step[1], audio_received_s + 0.1
            sent_ms = start_ms + step[0]
            first_ms = start_ms if first_ms is None else first_ms
            audio_ms += step[0] + step[2]
            clock.record_sent(start_ms, sent_ms, step[0] + step[2], audio_received_s)
    for before, after in pairwise(placed):
        assert before.start_ms <= after.start_ms
        assert before.end_ms <= after.end_ms
        assert before.audio_received_s <= after.audio_received_s


def test_padding_of_a_delta_is_its_audio_without_a_position() -> None:
    clock = clock_with((5000, 5080), (5080, 5080, 80), (5080, 5100, 60))
    assert [each.padding_ms for _ in range(4) if (each := clock.tick())] == [0, 80, 60, 0]


@pytest.mark.parametrize(
    ("stretch", "limited"),
    [
        ((60, 400), (80, 400)),  # a word that seems to begin before the hold
        ((10, 90), (10, 80)),
        ((10, 70), (10, 70)),
        ((100, 300), (100, 300)),
        ((60, 900), (80, 900)),  # words before and after the second hold
        ((440, 900), (480, 900)),
        ((60, 540), (80, 480)),
        ((60, 100), (80, 100)),
    ],
)
def test_words_that_seem_to_begin_or_end_beyond_a_hold_are_on_one_side(
    stretch: tuple[int, int], limited: tuple[int, int]
) -> None:
    timeline = SessionTimeline()
    for start_ms, end_ms in ((0, 80), (90_000, 90_400), (99_000, 99_400)):
        timeline.record_sent(start_ms, end_ms, end_ms - start_ms, 0.0)
    assert timeline.within_run(*stretch) == limited
