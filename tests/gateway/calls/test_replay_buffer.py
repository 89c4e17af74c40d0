"""The buffer of audio that may have to be sent again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.pipeline import AudioChunk
from gateway.calls.replay_buffer import ReplayBuffer


def chunk(start_ms: int, length_ms: int = 80) -> AudioChunk:
    return AudioChunk(bytes(32 * length_ms), start_ms, start_ms + length_ms)


def buffer_of(count: int, limit_ms: int = 30_000) -> ReplayBuffer:
    buffer = ReplayBuffer(limit_ms)
    for i in range(count):
        assert buffer.push(chunk(80 * i), float(i)) == []
    return buffer


def send_all(buffer: ReplayBuffer) -> list[tuple[int, int]]:
    spans = []
    while unsent := buffer.unsent:
        spans.append((unsent[0].start_ms, unsent[0].end_ms))
        buffer.mark_sent()
    return spans


def test_chunks_are_sent_in_order_and_kept() -> None:
    buffer = buffer_of(3)
    assert send_all(buffer) == [(0, 80), (80, 160), (160, 240)]
    assert buffer.rewind(80) == 160
    assert send_all(buffer) == [(80, 160), (160, 240)]


def test_replay_may_begin_inside_a_chunk() -> None:
    buffer = buffer_of(3)
    send_all(buffer)
    assert buffer.rewind(100) == 140
    assert buffer.unsent is not None
    assert len(buffer.unsent[0].pcm) == 60 * 32
    assert send_all(buffer) == [(100, 160), (160, 240)]


def test_rewind_drops_unsent_audio_before_the_time() -> None:
    buffer = buffer_of(3)
    assert buffer.rewind(160) == 0
    assert send_all(buffer) == [(160, 240)]


def test_full_buffer_evicts_sent_audio_before_it_drops_unsent() -> None:
    buffer = buffer_of(3, limit_ms=240)
    buffer.mark_sent()
    assert buffer.push(chunk(240), 3.0) == []
    assert buffer.lost_ms == 80
    assert [each.start_ms for each in buffer.push(chunk(320), 4.0)] == [80]


def test_dropped_audio_is_not_replayed() -> None:
    buffer = buffer_of(3)
    send_all(buffer)
    buffer.drop_before(160)
    assert buffer.rewind(0) == 80
    assert buffer.lost_ms == 0


def test_drop_before_keeps_unsent_audio() -> None:
    buffer = buffer_of(2)
    buffer.drop_before(1000)
    assert send_all(buffer) == [(0, 80), (80, 160)]


def test_chunk_without_media_time_is_replayed() -> None:
    buffer = buffer_of(1)
    buffer.push(AudioChunk(bytes(96), 80, 80), 1.0)
    send_all(buffer)
    buffer.rewind(0)
    assert send_all(buffer) == [(0, 80), (80, 80)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 200)),
        st.tuples(st.sampled_from(["sent", "rewind", "drop"]), st.integers(0, 3000)),
    ),
    max_size=60,
)


@given(STEPS)
def test_length_is_limited_and_replayed_audio_is_contiguous(steps: list[tuple[str, int]]) -> None:
    buffer, position_ms = ReplayBuffer(500), 0
    for step, number in steps:
        if step == "push":
            buffer.push(chunk(position_ms, number), 0.0)
            position_ms += number
        elif step == "rewind":
            buffer.rewind(number)
        elif step == "drop":
            buffer.drop_before(number)
        elif buffer.unsent:
            buffer.mark_sent()
        assert 0 <= buffer.unsent_ms <= 500
    buffer.rewind(buffer.lost_ms)
    spans = send_all(buffer)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert not spans or spans[-1][1] == position_ms
