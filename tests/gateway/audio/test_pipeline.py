"""One track's audio: frames in, chunks and gaps out."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.audio.resampler import HALF_BAND, THIRD_BAND
from gateway.errors import CarrierError, Fault

FRAME = bytes(range(160))  # 20 ms of mu-law
PCMU = TrackFormat("inbound", Encoding.PCMU, 8000)
LINEAR = TrackFormat("inbound", Encoding.L16LE, 16_000)  # is not changed by the pipeline
TAIL_BYTES_BY_RATE = {
    8000: 2 * HALF_BAND.tail_samples,
    16000: 0,
    24000: 2 * THIRD_BAND.tail_samples,
}
TAIL_BYTES = TAIL_BYTES_BY_RATE[8000]

type Pieces = list[AudioChunk | AudioGap]
type Frame = tuple[bytes, int | None, int | None]

FORMATS = st.builds(
    TrackFormat,
    st.just("inbound"),
    st.sampled_from(Encoding),
    st.sampled_from([8000, 16000, 24000]),
)


def run(frames: list[Frame], form: TrackFormat = PCMU) -> Pieces:
    """Return the pieces of a whole track of these frames."""
    pipeline = TrackPipeline(form)
    pieces = [piece for frame in frames for piece in pipeline.receive(*frame)]
    return pieces + pipeline.flush()


def timeline(pieces: Sequence[AudioChunk | AudioGap]) -> list[str]:
    """Describe the pieces without their audio."""
    return [
        f"{piece.start_ms}-{piece.end_ms}"
        if isinstance(piece, AudioChunk)
        else f"gap {piece.from_ms}-{piece.to_ms}"
        for piece in pieces
    ]


def audio(pieces: Pieces) -> bytes:
    return b"".join(piece.pcm for piece in pieces if isinstance(piece, AudioChunk))


# Each case: the timestamps and numbers of the carrier's 20 ms frames, and the expected pieces.
@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], []),
        ([(0, 1)], ["0-20"]),
        ([(0, 1), (20, 2), (40, 3), (60, 4)], ["0-80", "80-80"]),
        ([(0, 1), (20, 2), (40, 3), (60, 4), (80, 5)], ["0-80", "80-100"]),
        # positioned by the first timestamp
        ([(5000, 9), (5020, 10)], ["5000-5040"]),
        # no timestamps: the frames are counted
        ([(None, None)] * 5, ["0-80", "80-100"]),
        # one frame lost
        ([(0, 1), (40, 3), (60, 4)], ["gap 20-40", "0-80", "80-80"]),
        # frames that the carrier omitted without a hole in its numbers
        ([(0, 1), (120, 2)], ["gap 20-120", "0-80", "80-140"]),
        # jitter of the carrier's clock
        ([(0, 1), (90, 2), (10, 3), (60, 4)], ["0-80", "80-80"]),
        # unusable timestamps
        ([(0, 1), (10**12, 2), (-7, 3), (60, 4)], ["0-80", "80-80"]),
        # a repeated frame, and an older one
        ([(0, 1), (20, 2), (20, 2), (0, 1), (40, 3)], ["0-60"]),
        # a long hold is declared, not filled; the audio before it is flushed
        ([(0, 1), (60_000, 2), (60_020, 3)], ["0-20", "gap 20-60000", "60000-60040"]),
        ([(1000, 1), (60_000, 2), (60_040, 4)],
         ["1000-1020", "gap 1020-60000", "gap 60020-60040", "60000-60060"]),
    ],
)  # fmt: skip
def test_timeline_of_chunks_and_gaps(
    frames: list[tuple[int | None, int | None]], expected: list[str]
) -> None:
    assert timeline(run([(FRAME, *frame) for frame in frames])) == expected


@given(FORMATS, st.binary(max_size=9000), st.lists(st.integers(0, 2000)))
def test_output_does_not_depend_on_framing(
    form: TrackFormat, payload: bytes, sizes: list[int]
) -> None:
    frames: list[Frame] = []
    rest = payload
    for size in sizes:
        frames.append((rest[:size], None, None))
        rest = rest[size:]
    frames.append((rest, None, None))
    assert run(frames, form) == run([(payload, None, None)], form)


@given(FORMATS, st.integers(0, 9000), st.integers(0, 10**6))
def test_chunks_are_80_ms_and_complete(form: TrackFormat, length: int, first_ms: int) -> None:
    pieces = run([(bytes(length), first_ms, None)], form)
    chunks = [piece for piece in pieces if isinstance(piece, AudioChunk)]
    assert len(chunks) == len(pieces)
    samples_at_16k = length // form.encoding.sample_bytes * 16_000 // form.rate_hz
    tail_bytes = TAIL_BYTES_BY_RATE[form.rate_hz] if length else 0
    assert len(audio(pieces)) == 2 * samples_at_16k + tail_bytes
    assert all(len(chunk.pcm) == 2560 for chunk in chunks[:-1])
    ends = [first_ms, *(chunk.end_ms for chunk in chunks)]
    assert [chunk.start_ms for chunk in chunks] == ends[:-1]
    assert ends[-1] == first_ms + samples_at_16k // 16


@given(st.lists(st.booleans(), min_size=1, max_size=150))
def test_lost_frames_are_declared_and_the_others_keep_their_position(kept: list[bool]) -> None:
    """16 kHz linear audio is not changed by the pipeline; frame n consists of the byte n."""
    kept[-1] = kept[0] = True  # losses at the ends cannot be detected
    frames: list[Frame] = [(bytes([n]) * 640, 20 * n, n + 1) for n, here in enumerate(kept) if here]
    pieces = run(frames, LINEAR)
    assert audio(pieces) == b"".join(bytes([n if here else 0]) * 640 for n, here in enumerate(kept))
    missing = {
        time_ms
        for piece in pieces
        if isinstance(piece, AudioGap)
        for time_ms in range(piece.from_ms, piece.to_ms, 20)
    }
    assert missing == {20 * n for n, here in enumerate(kept) if not here}


@pytest.mark.parametrize("encoding", Encoding)
def test_missing_audio_is_replaced_by_silence(encoding: Encoding) -> None:
    form = TrackFormat("inbound", encoding, 8000)
    frame = FRAME * encoding.sample_bytes
    silence = encoding.silence * len(frame)
    with_hole = run([(frame, 0, 1), (frame, 40, 3)], form)
    with_silence = run([(frame, 0, 1), (silence, 20, 2), (frame, 40, 3)], form)
    assert with_hole == [AudioGap(20, 40), *with_silence]


def test_a_jump_beyond_30_s_is_not_filled() -> None:
    longest = run([(FRAME, 0, 1), (FRAME, 30_020, 2)])
    assert timeline(longest)[0] == "gap 20-30020"
    assert len(audio(longest)) == 32 * 30_040 + TAIL_BYTES
    longer = run([(FRAME, 0, 1), (FRAME, 30_021, 2)])
    assert timeline(longer) == ["0-20", "gap 20-30021", "30021-30041"]
    assert len(audio(longer)) == 32 * 40 + 2 * TAIL_BYTES


def test_a_long_hold_is_not_filled_after_a_long_call() -> None:
    """Symptom: after a hold, minutes of silence for the model; the burst stalled all calls."""
    talk: list[tuple[bytes, int | None, int | None]] = [(FRAME, 20 * n, n) for n in range(3000)]
    pieces = run([*talk, (FRAME, 120_000, 3001)])
    assert timeline(pieces)[-2:] == ["gap 60000-120000", "120000-120020"]


def test_silence_of_many_jumps_is_limited() -> None:
    """Symptom: 30 kB of messages kept the process busy for a second."""
    jumping: list[tuple[bytes, int | None, int | None]] = [
        (FRAME, 20_000 * n, n) for n in range(100)
    ]
    assert len(audio(run(jumping))) <= 32 * (30_000 + 2 * 100 * 20) + 100 * TAIL_BYTES


def test_half_a_sample_before_a_loss_does_not_swap_the_bytes_after_it() -> None:
    frame = struct.pack("<320h", *range(1, 321))
    for later_ms in (40, 40_000):
        pieces = run([(frame + b"\x05", 0, 1), (frame, later_ms, 3)], LINEAR)
        assert audio(pieces).endswith(frame)


FRAMES = st.lists(
    st.tuples(st.integers(0, 400), st.none() | st.integers(0, 400), st.integers(1, 3000)),
    max_size=8,
)


@given(FORMATS, FRAMES)
def test_padding_does_not_change_the_other_chunks(
    form: TrackFormat, frames: list[tuple[int, int | None, int]]
) -> None:
    """For each frame: the padding before it, the missing time before it, its length in bytes."""
    padded, bare = TrackPipeline(form), TrackPipeline(form)
    pieces: Pieces = []
    expected: Pieces = []
    for n, (pad_ms, missing_ms, size) in enumerate(frames):
        padding = padded.pad(pad_ms)
        assert len(audio([*padding])) >= (32 * pad_ms if n else 0)
        for chunk in padding:
            assert not any(chunk.pcm)
            assert chunk.start_ms == chunk.end_ms <= padded.position_ms
            ends = [piece.end_ms for piece in pieces if isinstance(piece, AudioChunk)]
            assert not ends or chunk.start_ms >= ends[-1]
        time_ms = None if missing_ms is None else bare.position_ms + missing_ms
        frame = (bytes([n + 2]) * size, time_ms, 3 * n + 2)
        pieces += padded.receive(*frame)
        expected += bare.receive(*frame)
    assert pieces + padded.flush() == expected + bare.flush()
    assert padded.position_ms == bare.position_ms


def test_no_padding_before_the_first_frame() -> None:
    pipeline = TrackPipeline(PCMU)
    assert pipeline.pad(200) == []
    assert timeline(pipeline.receive(FRAME * 4, 5000, 1)) == ["5000-5080"]


def test_frames_duplicates_and_bytes_are_counted() -> None:
    pipeline = TrackPipeline(PCMU)
    for sequence in (1, 2, 2, 1, 3):
        pipeline.receive(FRAME, None, sequence)
    assert (pipeline.frames, pipeline.duplicates, pipeline.received_bytes) == (3, 2, 480)
    assert pipeline.position_ms == 60


def test_flush_before_any_frame_returns_nothing() -> None:
    assert TrackPipeline(PCMU).flush() == []


@pytest.mark.parametrize("rate_hz", [0, 11_025, 22_050, 48_000])
def test_unsupported_rates_are_rejected(rate_hz: int) -> None:
    with pytest.raises(CarrierError, match="unsupported-encoding") as caught:
        TrackPipeline(TrackFormat("inbound", Encoding.L16LE, rate_hz))
    assert caught.value.fault is Fault.CARRIER


def test_chunk_length_is_configurable() -> None:
    pieces = TrackPipeline(PCMU, chunk_ms=40).receive(FRAME * 5, 0, 1)
    assert timeline(pieces) == ["0-40", "40-80"]


def test_repr_shows_no_audio() -> None:
    assert repr(AudioChunk(b"secret", 80, 160)) == "AudioChunk(6 bytes, 80-160 ms)"
