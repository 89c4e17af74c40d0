"""One track's audio, from the carrier's frames to chunks for the model. Pure.

    payload -> media clock -> [silence for missing audio] -> buffer -> decode -> 16 kHz -> chunk

`receive` runs for every frame of every track, fifty times a second each: it only appends, and the
work is done once per chunk.
"""

from typing import Final

import msgspec

from gateway.audio.clock import MediaClock
from gateway.audio.encodings import TrackFormat, decode
from gateway.audio.resampler import RESAMPLERS
from gateway.errors import CarrierError

BYTES_PER_MS: Final = 32  # of what the model gets
MAX_SILENCE_MS: Final = 30_000  # a longer jump is not filled: the model need not hear a long hold


class AudioChunk(msgspec.Struct, frozen=True, gc=False):
    """Audio for the model, and where it lies on the track's media clock.

    The next chunk's `start_ms` is this one's `end_ms`, except after a jump that was not filled. The
    audio is as long as the times say, or longer: a filter's tail has no place on the media clock,
    nor has padding beyond the pause it was for.
    """

    pcm: bytes  # PCM16 little-endian, 16 kHz mono
    start_ms: int
    end_ms: int

    @property
    def audio_ms(self) -> int:
        """How long the audio is."""
        return len(self.pcm) // BYTES_PER_MS

    def __repr__(self) -> str:
        """Describe the chunk without its audio."""
        return f"AudioChunk({len(self.pcm)} bytes, {self.start_ms}-{self.end_ms} ms)"


class AudioGap(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the track that the carrier did not deliver."""

    from_ms: int
    to_ms: int


class TrackPipeline:
    """The audio path of one track.

    Args:
        form: what the carrier announced.
        chunk_ms: length of a chunk; 80 ms are one token of the model.

    Raises:
        CarrierError: unsupported-encoding, for a rate other than 8, 16 or 24 kHz.

    Attributes:
        frames: frames taken.
        received_bytes: their payload.
        duplicates: frames dropped because their number had been passed.
    """

    __slots__ = (
        "_buffer",
        "_buffer_start",
        "_bytes_per_ms",
        "_chunk_bytes",
        "_clock",
        "_encoding",
        "_flushed_bytes",
        "_heard_until",
        "_max_silence_bytes",
        "_padded_bytes",
        "_resampler",
        "_silence_left_bytes",
        "duplicates",
        "frames",
        "received_bytes",
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
        self.duplicates = 0
        self._flushed_bytes = 0
        self._encoding = form.encoding
        self._bytes_per_ms = bytes_per_ms
        self._chunk_bytes = chunk_ms * bytes_per_ms
        self._max_silence_bytes = MAX_SILENCE_MS * bytes_per_ms
        # All silence together: as much again as was received. Else small messages make much work.
        self._silence_left_bytes = self._max_silence_bytes
        self._clock = MediaClock(bytes_per_ms)
        self._resampler = RESAMPLERS[form.rate_hz]()
        self._buffer = bytearray()  # payload not yet in a chunk
        self._padded_bytes = 0  # since the last frame, in the buffer or in chunks
        # On the clock, in payload bytes
        self._buffer_start = 0
        self._heard_until = 0  # where padding longer than its pause ended: no chunk is before

    @property
    def position_ms(self) -> int:
        """The media time up to which audio was received."""
        return self._clock.to_ms(self._clock.position_bytes)

    def receive(
        self, payload: bytes, timestamp_ms: int | None, sequence: int | None
    ) -> list[AudioChunk | AudioGap]:
        """Take one frame.

        Args:
            payload: any number of bytes, in the track's encoding.
            timestamp_ms: the frame's start on the media clock, if the carrier says.
            sequence: the frame's number in its track, if the carrier numbers frames.

        Returns:
            What the frame completed, in the order of the media clock; usually nothing.
        """
        if self._clock.is_duplicate(len(payload), timestamp_ms, sequence):
            self.duplicates += 1
            return []
        jump_bytes = self._clock.place(len(payload), timestamp_ms, sequence)
        start = self._clock.position_bytes - len(payload)
        if jump_bytes and (half := start % self._encoding.sample_bytes):
            # What comes after a hole begins with a whole sample, wherever the last one was cut.
            self._clock.position_bytes += half
            jump_bytes, start = jump_bytes + half, start + half
        if self._padded_bytes > jump_bytes:
            self._take_back(self._padded_bytes - jump_bytes)
        pieces = self._jump(jump_bytes, start) if jump_bytes else []
        if not self.frames:
            self._buffer_start = start
        self.frames += 1
        self.received_bytes += len(payload)
        self._buffer += payload
        pieces += self._cut_chunks()
        return pieces

    def pad(self, ms: int) -> list[AudioChunk]:
        """Add silence in a pause of the stream, so that the model hears the end of what was said.

        The clock does not count it: it is the beginning of the silence that fills the jump after
        the pause, so all comes out as if it had not been added, only sooner. What the jump turns
        out too short for is taken back; if it is in a chunk already, the audio that lies where it
        lay gets the time of its end. Nothing is dropped, and what lies past its end does not move.

        Args:
            ms: how much. Of all there is then, less than a chunk waits for more.

        Returns:
            The chunks it completed; none before the first frame.
        """
        if self.received_bytes == self._flushed_bytes:
            return []
        silence_bytes = min(ms * self._bytes_per_ms, self._room_bytes)
        self._padded_bytes += silence_bytes
        self._add_silence(silence_bytes)
        return self._cut_chunks()

    def flush(self) -> list[AudioChunk | AudioGap]:
        """Give what is left since the last time; half a sample is dropped.

        The tail of the filter makes the last chunk up to 3 ms longer than its times say.
        """
        if self.received_bytes == self._flushed_bytes:
            return []
        self._flushed_bytes = self.received_bytes
        rest = self._cut(len(self._buffer) - len(self._buffer) % self._encoding.sample_bytes)
        self._buffer.clear()
        pcm = rest.pcm + self._resampler.flush()
        return [AudioChunk(pcm, rest.start_ms, rest.end_ms)] if pcm else []

    def _jump(self, jump_bytes: int, end: int) -> list[AudioChunk | AudioGap]:
        """Declare missing audio and put silence in its place, unless that would be too much."""
        gap = AudioGap(self._clock.to_ms(end - jump_bytes), self._clock.to_ms(end))
        missing_bytes = jump_bytes - self._padded_bytes
        self._padded_bytes = 0
        if jump_bytes <= self._max_silence_bytes and missing_bytes <= self._room_bytes:
            self._add_silence(missing_bytes)
            return [gap]
        before = self.flush()
        self._buffer_start = end
        return [*before, gap]

    def _take_back(self, excess_bytes: int) -> None:
        """Take out padding that the jump after it is too short for, or give its place away."""
        unheard_bytes = min(excess_bytes, len(self._buffer))
        # A whole number of samples stays, else the bytes of all that comes later would be swapped.
        unheard_bytes -= (excess_bytes - unheard_bytes) % self._encoding.sample_bytes
        del self._buffer[len(self._buffer) - unheard_bytes :]
        self._padded_bytes -= excess_bytes
        self._heard_until = max(self._heard_until, self._buffer_start)
        self._buffer_start -= excess_bytes - unheard_bytes

    @property
    def _room_bytes(self) -> int:
        """Silence that may still be added."""
        return self._silence_left_bytes + self.received_bytes

    def _add_silence(self, size: int) -> None:
        self._silence_left_bytes -= size
        self._buffer += self._encoding.silence * size

    def _cut_chunks(self) -> list[AudioChunk]:
        chunks = []
        while len(self._buffer) >= self._chunk_bytes:
            chunks.append(self._cut(self._chunk_bytes))
        return chunks

    def _cut(self, size: int) -> AudioChunk:
        """Make a chunk of the first bytes of the buffer, a whole number of samples."""
        pcm = self._resampler.process(decode(self._encoding, bytes(self._buffer[:size])))
        del self._buffer[:size]
        start, self._buffer_start = self._buffer_start, self._buffer_start + size
        return AudioChunk(pcm, self._to_ms(start), self._to_ms(self._buffer_start))

    def _to_ms(self, position: int) -> int:
        """The time of a chunk's edge: not before one that was given already."""
        return self._clock.to_ms(max(position, self._heard_until))
