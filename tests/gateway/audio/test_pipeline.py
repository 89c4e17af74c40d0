"""One track's audio: frames in, chunks and gaps out."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.decimator import THIRD_BAND
from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.interpolator import HALF_BAND
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.errors import CarrierError, Fault

FRAME = bytes(range(160))  # 20 ms of mu-law
PCMU = TrackFormat("inbound", Encoding.PCMU, 8000)
LINEAR = TrackFormat("inbound", Encoding.L16LE, 16_000)  # comes out as it went in
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
    """All that a track of these frames gives."""
    pipeline = TrackPipeline(form)
    pieces = [piece for frame in frames for piece in pipeline.receive(*frame)]
    return pieces + pipeline.flush()


def timeline(pieces: Sequence[AudioChunk | AudioGap]) -> list[str]:
    """The pieces without their audio."""
    return [
        f"{piece.start_ms}-{piece.end_ms}"
        if isinstance(piece, AudioChunk)
        else f"gap {piece.from_ms}-{piece.to_ms}"
        for piece in pieces
    ]


def audio(pieces: Pieces) -> bytes:
    return b"".join(piece.pcm for piece in pieces if isinstance(piece, AudioChunk))


# Each: what the carrier sent (timestamp and number of a 20 ms frame), what comes out.
@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], []),
        ([(0, 1)], ["0-20"]),
        ([(0, 1), (20, 2), (40, 3), (60, 4)], ["0-80", "80-80"]),
        ([(0, 1), (20, 2), (40, 3), (60, 4), (80, 5)], ["0-80", "80-100"]),
        # positioned by the first timestamp
        ([(5000, 9), (5020, 10)], ["5000-5040"]),
        # no timestamps: counted
        ([(None, None)] * 5, ["0-80", "80-100"]),
        # one frame lost
        ([(0, 1), (40, 3), (60, 4)], ["gap 20-40", "0-80", "80-80"]),
        # frames the carrier left out without a hole in its numbers
        ([(0, 1), (120, 2)], ["gap 20-120", "0-80", "80-140"]),
        # a jitter of the carrier's clock
        ([(0, 1), (90, 2), (10, 3), (60, 4)], ["0-80", "80-80"]),
        # a timestamp that is nonsense
        ([(0, 1), (10**12, 2), (-7, 3), (60, 4)], ["0-80", "80-80"]),
        # a repeated frame, and one from before
        ([(0, 1), (20, 2), (20, 2), (0, 1), (40, 3)], ["0-60"]),
        # a long hold is declared, not filled; what came before it comes out whole
        ([(0, 1), (60_000, 2), (60_020, 3)], ["0-20", "gap 20-60000", "60000-60040"]),
        ([(1000, 1), (60_000, 2), (60_040, 4)],
         ["1000-1020", "gap 1020-60000", "gap 60020-60040", "60000-60060"]),
    ],
)  # fmt: skip
def test_timeline(frames: list[tuple[int | None, int | None]], expected: list[str]) -> None:
    assert timeline(run([(FRAME, *frame) for frame in frames])) == expected


@given(FORMATS, st.binary(max_size=9000), st.lists(st.integers(0, 2000)))
def test_framing_changes_no_bit(form: TrackFormat, payload: bytes, sizes: list[int]) -> None:
    frames: list[Frame] = []
    rest = payload
    for size in sizes:
        frames.append((rest[:size], None, None))
        rest = rest[size:]
    frames.append((rest, None, None))
    assert run(frames, form) == run([(payload, None, None)], form)


@given(FORMATS, st.integers(0, 9000), st.integers(0, 10**6))
def test_chunks_are_80_ms_and_leave_nothing_out(
    form: TrackFormat, length: int, first_ms: int
) -> None:
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
def test_lost_frames_are_declared_and_the_others_stay_in_their_place(kept: list[bool]) -> None:
    """16 kHz linear audio comes out as it went in; frame n is made of the byte n."""
    kept[-1] = kept[0] = True  # what is lost at the ends nobody can know
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
def test_missing_audio_sounds_like_silence(encoding: Encoding) -> None:
    form = TrackFormat("inbound", encoding, 8000)
    frame = FRAME * encoding.sample_bytes
    silence = encoding.silence * len(frame)
    with_hole = run([(frame, 0, 1), (frame, 40, 3)], form)
    with_silence = run([(frame, 0, 1), (silence, 20, 2), (frame, 40, 3)], form)
    assert with_hole == [AudioGap(20, 40), *with_silence]


def test_silence_is_bounded() -> None:
    longest = run([(FRAME, 0, 1), (FRAME, 30_020, 2)])
    assert timeline(longest)[0] == "gap 20-30020"
    assert len(audio(longest)) == 32 * 30_040 + TAIL_BYTES
    longer = run([(FRAME, 0, 1), (FRAME, 30_021, 2)])
    assert timeline(longer) == ["0-20", "gap 20-30021", "30021-30041"]
    assert len(audio(longer)) == 32 * 40 + 2 * TAIL_BYTES


def test_a_long_hold_is_not_filled_however_long_the_call() -> None:
    """Symptom: minutes of silence for the model after a hold; a burst that stalled all calls."""
    talk: list[tuple[bytes, int | None, int | None]] = [(FRAME, 20 * n, n) for n in range(3000)]
    pieces = run([*talk, (FRAME, 120_000, 3001)])
    assert timeline(pieces)[-2:] == ["gap 60000-120000", "120000-120020"]


def test_many_jumps_cannot_make_more_silence_than_one_and_what_was_received() -> None:
    """Symptom: 30 kB of messages that kept the process busy for a second."""
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
def test_padding_lies_between_chunks_that_are_as_without_it(
    form: TrackFormat, frames: list[tuple[int, int | None, int]]
) -> None:
    """Of each frame: the padding before it, what is missing before it, its length in bytes."""
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


def test_nothing_is_padded_before_anything_was_said() -> None:
    pipeline = TrackPipeline(PCMU)
    assert pipeline.pad(200) == []
    assert timeline(pipeline.receive(FRAME * 4, 5000, 1)) == ["5000-5080"]


def test_counts_what_it_took() -> None:
    pipeline = TrackPipeline(PCMU)
    for sequence in (1, 2, 2, 1, 3):
        pipeline.receive(FRAME, None, sequence)
    assert (pipeline.frames, pipeline.duplicates, pipeline.received_bytes) == (3, 2, 480)
    assert pipeline.position_ms == 60


def test_flush_before_any_frame_gives_nothing() -> None:
    assert TrackPipeline(PCMU).flush() == []


@pytest.mark.parametrize("rate_hz", [0, 11_025, 22_050, 48_000])
def test_other_rates_are_refused(rate_hz: int) -> None:
    with pytest.raises(CarrierError, match="unsupported-encoding") as caught:
        TrackPipeline(TrackFormat("inbound", Encoding.L16LE, rate_hz))
    assert caught.value.fault is Fault.CARRIER


def test_chunk_length_is_a_choice() -> None:
    pieces = TrackPipeline(PCMU, chunk_ms=40).receive(FRAME * 5, 0, 1)
    assert timeline(pieces) == ["0-40", "40-80"]


def test_repr_shows_no_audio() -> None:
    assert repr(AudioChunk(b"secret", 80, 160)) == "AudioChunk(6 bytes, 80-160 ms)"
