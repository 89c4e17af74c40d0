"""One track's audio, from the carrier's frames to chunks for the model. Pure.

    per frame   payload -> media clock -> [silence for missing audio] -> buffer
                           the first audio also -> codec detector
    per chunk   buffer -> decode -> 16 kHz -> chunk

`receive` runs for every frame of every track, 50 times a second per track.
"""

from typing import Final

import msgspec

from gateway.audio.clock import MediaClock
from gateway.audio.codec_detection import CodecDetector
from gateway.audio.encodings import Encoding, TrackFormat, decode
from gateway.audio.resampler import RESAMPLERS
from gateway.errors import CarrierError

BYTES_PER_MS: Final = 32  # of PCM16 at 16 kHz, the input of the model
# Allowed leaps of the clock: 100 restarts of the timestamps (25 leaps each), plus one leap for each
# 10 ms of received audio, as if every other 10 ms frame were lost.
_LEAPS: Final = 2500
_LEAPS_PER_MS: Final = 0.1
MAX_SILENCE_MS: Final = 30_000  # a longer jump, such as a hold, is not filled with silence


class AudioChunk(msgspec.Struct, frozen=True, gc=False):
    """Audio for the model, and its position on the track's media clock.

    The next chunk's `start_ms` is this chunk's `end_ms`, except after a jump that was not filled.
    The audio can be longer than `end_ms - start_ms`: padding and a filter's tail have no position
    on the media clock.
    """

    pcm: bytes  # PCM16 little-endian, 16 kHz mono
    start_ms: int
    end_ms: int

    def __repr__(self) -> str:
        """Describe the chunk without its audio."""
        return f"AudioChunk({len(self.pcm)} bytes, {self.start_ms}-{self.end_ms} ms)"


class AudioGap(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the track that the carrier did not deliver."""

    from_ms: int
    to_ms: int
    is_lost: bool = False  # its frames were sent; if False, the carrier may have omitted silence


class TrackPipeline:
    """The audio path of one track.

    Args:
        form: the format that the carrier announced.
        chunk_ms: length of a chunk; 80 ms are one token of the model.

    Raises:
        CarrierError: unsupported-encoding, for a rate other than 8, 16 or 24 kHz.

    Attributes:
        frames: number of frames received.
        received_bytes: total length of their payloads.
        lost_frames: number of frames whose audio was lost.
        duplicates: number of frames dropped as duplicates.
        suspected_encoding: the detected encoding, if it differs from the announced one.
        has_unusable_timestamps: whether the carrier's timestamps leap too often to be usable.
    """

    __slots__ = (
        "_buffer",
        "_bytes_per_ms",
        "_chunk_bytes",
        "_clock",
        "_detector",
        "_encoding",
        "_flushed_bytes",
        "_leap_limit",
        "_max_silence_bytes",
        "_resampler",
        "_silence_left_bytes",
        "duplicates",
        "frames",
        "has_unusable_timestamps",
        "lost_frames",
        "received_bytes",
        "suspected_encoding",
    )

    def __init__(self, form: TrackFormat, chunk_ms: int = 80) -> None:
        if form.rate_hz not in RESAMPLERS:
            known = ", ".join(map(str, RESAMPLERS))
            raise CarrierError(
                "unsupported-encoding", f"{form.rate_hz} Hz, expected one of {known}"
            )
        bytes_per_ms = form.bytes_per_ms
        self.frames = 0
        self.received_bytes = 0
        self.lost_frames = 0
        self.duplicates = 0
        self.suspected_encoding: Encoding | None = None
        self._detector: CodecDetector | None = CodecDetector(form)  # None once it is done
        self._flushed_bytes = 0
        self.has_unusable_timestamps = False
        self._leap_limit = _LEAPS  # a higher number of leaps is checked again
        self._encoding = form.encoding
        self._bytes_per_ms = bytes_per_ms
        self._chunk_bytes = chunk_ms * bytes_per_ms
        self._max_silence_bytes = MAX_SILENCE_MS * bytes_per_ms
        # Total silence is limited to this plus the length of the received audio. Without a limit, a
        # few small messages with large jumps would create a lot of work.
        self._silence_left_bytes = self._max_silence_bytes
        self._clock = MediaClock(bytes_per_ms)
        self._resampler = RESAMPLERS[form.rate_hz]()
        self._buffer = bytearray()  # audio before the clock's position that is not yet in a chunk

    @property
    def position_ms(self) -> int:
        """Media time up to which audio was received."""
        return self._clock.to_ms(self._clock.position_bytes)

    @property
    def received_ms(self) -> float:
        """Length of the audio received, without gaps and silence."""
        return self.received_bytes / self._bytes_per_ms

    def receive(
        self, payload: bytes, timestamp_ms: int | None, sequence: int | None
    ) -> list[AudioChunk | AudioGap]:
        """Process one frame.

        Args:
            payload: any number of bytes, in the track's encoding.
            timestamp_ms: the frame's start on the media clock, if the carrier sends it.
            sequence: the frame's number in its track, if the carrier numbers frames.

        Returns:
            The chunks and gaps that the frame completed, in media clock order; usually none.
        """
        if self._clock.is_duplicate(len(payload), timestamp_ms, sequence):
            self.duplicates += 1
            return []
        pieces: list[AudioChunk | AudioGap] = []
        if self._clock.lost_bytes and (run_bytes := self._clock.recover(timestamp_ms)):
            pieces += self._skip(run_bytes, 0, is_lost=True)
        if jump_bytes := self._clock.place(len(payload), timestamp_ms, sequence):
            pieces += self._skip(jump_bytes, len(payload), is_lost=False)
        if self._clock.leaps > self._leap_limit:
            self._check_leaps()
        self.frames += 1
        self.received_bytes += len(payload)
        self._buffer += payload
        if self._detector is not None:
            # Only received audio, without the silence that replaces missing audio.
            self._detector.receive(payload)
            if self._detector.is_done:
                self.suspected_encoding = self._detector.found
                self._detector = None
        while len(self._buffer) >= self._chunk_bytes:
            pieces.append(self._cut(self._chunk_bytes, self._clock.position_bytes))
        return pieces

    def lose(
        self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None
    ) -> list[AudioChunk | AudioGap]:
        """Count one frame whose audio is lost; a run of lost frames becomes one gap.

        Args:
            frame_bytes: expected length of its payload.
            timestamp_ms: as in `receive`.
            sequence: as in `receive`.

        Returns:
            As in `receive`; not empty only if at least `MAX_SILENCE_MS` are lost.
        """
        clock = self._clock
        if clock.is_duplicate(frame_bytes, timestamp_ms, sequence):
            self.duplicates += 1
            return []
        self.lost_frames += 1
        clock.lose(frame_bytes, timestamp_ms, sequence)
        return self.flush() if clock.lost_bytes >= self._max_silence_bytes else []

    def pad(self, ms: int) -> list[AudioChunk]:
        """Return silence that makes the model send its pending words while no audio arrives.

        The silence has no position on the media clock. It is inserted between two chunks and does
        not change them: if the carrier was only late, the audio after it keeps its position.

        Args:
            ms: minimum length of the silence.

        Returns:
            The chunks of silence; none if no frame was received since the start or last `flush`.
        """
        if self.received_bytes == self._flushed_bytes:
            return []
        size = self._chunk_bytes // self._bytes_per_ms * BYTES_PER_MS
        at_ms = self._clock.to_ms(self._clock.position_bytes - len(self._buffer))
        return [AudioChunk(bytes(size), at_ms, at_ms)] * -(-ms * BYTES_PER_MS // size)

    def flush(self) -> list[AudioChunk | AudioGap]:
        """Return the remaining audio and gap; drop half a sample.

        The tail of the filter makes the last chunk up to 3 ms longer than `end_ms - start_ms`.
        """
        clock = self._clock
        pieces, end = self._end_at(clock.position_bytes), clock.position_bytes
        if clock.recover():
            to_ms = clock.to_ms(clock.position_bytes)
            pieces.append(AudioGap(clock.to_ms(end), to_ms, is_lost=True))
        return pieces

    def _end_at(self, end: int) -> list[AudioChunk | AudioGap]:
        """Return the buffered audio, which ends at a clock position, and the filter's tail."""
        if self.received_bytes == self._flushed_bytes:
            return []
        self._flushed_bytes = self.received_bytes
        rest = self._cut(len(self._buffer) - len(self._buffer) % self._encoding.sample_bytes, end)
        self._buffer.clear()
        pcm = rest.pcm + self._resampler.flush()
        return [AudioChunk(pcm, rest.start_ms, rest.end_ms)] if pcm else []

    def _skip(
        self, jump_bytes: int, frame_bytes: int, *, is_lost: bool
    ) -> list[AudioChunk | AudioGap]:
        """Return a gap for missing audio; fill it with silence unless the limits are exceeded.

        Args:
            jump_bytes: length of the missing audio.
            frame_bytes: length of the frame after it; the clock has counted both.
            is_lost: as in `AudioGap`.
        """
        start = self._clock.position_bytes - frame_bytes
        # Audio after a hole starts with a whole sample, even if half of one was received before it.
        half = start % self._encoding.sample_bytes
        self._clock.position_bytes += half
        jump_bytes, end = jump_bytes + half, start + half
        if self._detector is not None:
            self._detector.align()
        gap = AudioGap(self._clock.to_ms(end - jump_bytes), self._clock.to_ms(end), is_lost)
        if jump_bytes <= self._max_silence_bytes and jump_bytes <= self._room_bytes:
            self._silence_left_bytes -= jump_bytes
            self._buffer += self._encoding.silence * jump_bytes
            return [gap]
        return [*self._end_at(end - jump_bytes), gap]

    def _check_leaps(self) -> None:
        """Detect that the clock leaps too often: each leap costs a gap and a chunk."""
        self._leap_limit = _LEAPS + int(_LEAPS_PER_MS * self.received_ms)
        self.has_unusable_timestamps = self._clock.leaps > self._leap_limit

    @property
    def _room_bytes(self) -> int:
        """Length of the silence that may still be added."""
        return self._silence_left_bytes + self.received_bytes

    def _cut(self, size: int, end: int) -> AudioChunk:
        """Remove bytes from the start of the buffer and return them as a chunk.

        Args:
            size: number of bytes, a whole number of samples.
            end: position of the buffer's end on the clock, in payload bytes.
        """
        start = end - len(self._buffer)
        pcm = self._resampler.process(decode(self._encoding, bytes(self._buffer[:size])))
        del self._buffer[:size]
        return AudioChunk(pcm, self._clock.to_ms(start), self._clock.to_ms(start + size))
