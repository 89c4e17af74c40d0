"""The ring of audio that may be heard again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.pipeline import AudioChunk
from gateway.calls.replay_buffer import ReplayBuffer


def chunk(start_ms: int, length_ms: int = 80) -> AudioChunk:
    return AudioChunk(bytes(32 * length_ms), start_ms, start_ms + length_ms)


def ring_of(count: int, limit_ms: int = 30_000) -> ReplayBuffer:
    ring = ReplayBuffer(limit_ms)
    for i in range(count):
        assert ring.push(chunk(80 * i), float(i)) == []
    return ring


def drained(ring: ReplayBuffer) -> list[tuple[int, int]]:
    spans = []
    while waiting := ring.unsent:
        spans.append((waiting[0].start_ms, waiting[0].end_ms))
        ring.sent()
    return spans


def test_chunks_are_sent_in_order_and_kept() -> None:
    ring = ring_of(3)
    assert drained(ring) == [(0, 80), (80, 160), (160, 240)]
    assert ring.rewind(80) == 160
    assert drained(ring) == [(80, 160), (160, 240)]


def test_a_replay_may_begin_inside_a_chunk() -> None:
    ring = ring_of(3)
    drained(ring)
    assert ring.rewind(100) == 140
    assert ring.unsent is not None
    assert len(ring.unsent[0].pcm) == 60 * 32
    assert drained(ring) == [(100, 160), (160, 240)]


def test_what_is_before_a_replay_is_not_sent_at_all() -> None:
    ring = ring_of(3)
    assert ring.rewind(160) == 0
    assert drained(ring) == [(160, 240)]


def test_what_was_sent_makes_room_first_and_silently() -> None:
    ring = ring_of(3, limit_ms=240)
    ring.sent()
    assert ring.push(chunk(240), 3.0) == []
    assert ring.lost_ms == 80
    assert [each.start_ms for each in ring.push(chunk(320), 4.0)] == [80]


def test_the_forgotten_is_not_heard_again() -> None:
    ring = ring_of(3)
    drained(ring)
    ring.forget(160)
    assert ring.rewind(0) == 80
    assert ring.lost_ms == 0


def test_what_is_unsent_is_never_forgotten() -> None:
    ring = ring_of(2)
    ring.forget(1000)
    assert drained(ring) == [(0, 80), (80, 160)]


def test_the_interpolators_tail_goes_along() -> None:
    ring = ring_of(1)
    ring.push(AudioChunk(bytes(96), 80, 80), 1.0)
    drained(ring)
    ring.rewind(0)
    assert drained(ring) == [(0, 80), (80, 80)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 200)),
        st.tuples(st.sampled_from(["sent", "rewind", "forget"]), st.integers(0, 3000)),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_is_bounded_and_what_is_sent_is_in_order(steps: list[tuple[str, int]]) -> None:
    ring, position_ms = ReplayBuffer(500), 0
    for step, number in steps:
        if step == "push":
            ring.push(chunk(position_ms, number), 0.0)
            position_ms += number
        elif step == "rewind":
            ring.rewind(number)
        elif step == "forget":
            ring.forget(number)
        elif ring.unsent:
            ring.sent()
        assert 0 <= ring.unsent_ms <= 500
    ring.rewind(ring.lost_ms)
    spans = drained(ring)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert not spans or spans[-1][1] == position_ms
