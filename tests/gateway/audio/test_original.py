"""G.711 audio is restored from what the pipeline makes of it, however it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import G711, Encoding, TrackFormat
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.audio.resampler import Original, Unchanged, server_resampler
from gateway.calls.replay_buffer import ReplayBuffer

LAWS = pytest.mark.parametrize("law", sorted(G711))
DELAY, TAIL = 11, 12  # of the half-band filter, in samples of 8 kHz
EVERY_CODE = bytes(range(256)) * 11


def chunks(law: Encoding, frames: list[bytes]) -> list[AudioChunk]:
    pipeline = TrackPipeline(TrackFormat("inbound", law, 8000))
    pieces = [piece for frame in frames for piece in pipeline.receive(frame, None, None)]
    return [each for each in [*pieces, *pipeline.flush()] if isinstance(each, AudioChunk)]


def restored(law: Encoding, parts: list[AudioChunk]) -> bytes:
    original = server_resampler(law)
    return b"".join(original.process(part.pcm) for part in parts) + original.flush()


def as_sent(law: Encoding, audio: bytes) -> bytes:
    """Return a track's audio with its silence around it; mu-law has two codes for zero."""
    audio = law.silence * DELAY + audio + law.silence * TAIL
    return audio.replace(b"\x7f", b"\xff") if law is Encoding.PCMU else audio


@LAWS
@given(cuts=st.lists(st.integers(0, len(EVERY_CODE)), max_size=20))
def test_every_code_is_restored_however_it_arrives(law: Encoding, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(EVERY_CODE)]
    frames = [EVERY_CODE[at:end] for at, end in pairwise(bounds)]
    assert restored(law, chunks(law, frames)) == as_sent(law, EVERY_CODE)


@LAWS
@given(
    frames=st.lists(
        st.tuples(st.binary(max_size=700), st.integers(0, 31_000), st.booleans()), max_size=12
    )
)
def test_every_chunk_has_pairs_of_samples(
    law: Encoding, frames: list[tuple[bytes, int, bool]]
) -> None:
    """A chunk with an odd number of samples would exchange the two samples of each later pair."""
    pipeline, at_ms = TrackPipeline(TrackFormat("inbound", law, 8000)), 0
    pieces: list[AudioChunk | AudioGap] = []
    for payload, jump_ms, is_lost in frames:
        at_ms += jump_ms
        if is_lost:
            pieces += pipeline.lose(len(payload), at_ms, None)
        else:
            pieces += pipeline.receive(payload, at_ms, None)
        pieces += pipeline.pad(100)
        at_ms += len(payload) // 8
    pieces += pipeline.flush()
    assert all(len(each.pcm) % 4 == 0 for each in pieces if isinstance(each, AudioChunk))


@LAWS
@pytest.mark.parametrize("from_ms", [0, 1, 79, 80, 113, 351])
def test_a_replay_from_any_time_sends_the_same(law: Encoding, from_ms: int) -> None:
    buffer = ReplayBuffer(10_000)
    for chunk in chunks(law, [EVERY_CODE]):
        buffer.push(chunk, 0.0)
        buffer.mark_sent()
    buffer.rewind(from_ms)
    rest: list[AudioChunk] = []
    while buffer.unsent:
        rest.append(buffer.unsent[0])
        buffer.mark_sent()
    assert restored(law, rest) == as_sent(law, EVERY_CODE)[8 * from_ms :]


def test_other_audio_is_sent_as_pcm() -> None:
    assert isinstance(server_resampler(Encoding.PCMU), Original)
    assert isinstance(server_resampler(Encoding.L16LE), Unchanged)
    assert len(server_resampler(Encoding.L16LE, 24_000).process(bytes(32_000))) > 47_900
