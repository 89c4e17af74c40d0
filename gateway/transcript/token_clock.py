"""Estimate when a word was said from the number of deltas received. Pure.

The model reports no times, but it sends exactly one delta per 80 ms of audio, empty or not. It
waits for its configured delay before it sends the first delta. The delay affects when a delta
arrives, not which audio it covers: delta k of a generation covers the kth 80 ms of its audio.
The media clock can jump between chunks. So the position of each chunk is stored, to convert a time
in the session's audio to a time on the media clock.

    session audio, ms    0        80       160      240
    chunks               |--------|--------|--------|
    media clock        5000     5080   9000     9080  9160       (a hold between the 1st and 2nd)
"""

from collections import deque
from typing import Final

import msgspec

TOKEN_MS: Final = 80

# Chunks stored separately until their deltas arrive. Beyond this number (11 minutes of 80 ms chunks
# without a delta), newer audio extends the last chunk, whose position stays exact. Only its time of
# arrival does not.
_MAX_CHUNKS: Final = 8192


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The position of the audio that one delta covers."""

    start_ms: int  # on the media clock
    end_ms: int
    audio_received_s: float  # when the audio at `end_ms` was received, on the monotonic clock
    padding_ms: int = 0  # audio without a position on the media clock


class _Sent(msgspec.Struct, frozen=True, gc=False):
    from_ms: int  # in the session's audio
    to_ms: int
    start_ms: int  # on the media clock
    end_ms: int
    audio_received_s: float

    def media_ms(self, session_ms: int) -> int:
        """Convert a time in the session's audio to media time, limited to this chunk."""
        return min(self.start_ms + max(session_ms - self.from_ms, 0), self.end_ms)


class TokenClock:
    """Locates the deltas of one generation on the media clock.

    Attributes:
        sent_ms: media time up to which audio was sent; None before the first chunk.
        covered_ms: media time up to which deltas were received; None before the first chunk.
    """

    def __init__(self) -> None:
        self.sent_ms: int | None = None
        self.covered_ms: int | None = None
        self._ticks = 0
        self._session_ms = 0  # length of the audio sent to this generation
        self._chunks: deque[_Sent] = deque()
        self._audio_received_s = 0.0

    def record_sent(
        self, start_ms: int, end_ms: int, audio_ms: int, audio_received_s: float
    ) -> None:
        """Record a chunk that was sent to the session.

        Args:
            start_ms: its start on the media clock, not before the end of the last chunk.
            end_ms: its end on the media clock.
            audio_ms: length of its audio, at least `end_ms - start_ms`.
            audio_received_s: when its audio was received, on the monotonic clock.
        """
        begins = self._session_ms
        self._session_ms += audio_ms
        last = self._chunks[-1] if len(self._chunks) >= _MAX_CHUNKS else None
        if last and start_ms - last.start_ms == begins - last.from_ms:
            begins, start_ms = last.from_ms, last.start_ms
            self._chunks.pop()
        self._chunks.append(_Sent(begins, self._session_ms, start_ms, end_ms, audio_received_s))
        self.sent_ms = end_ms
        if self.covered_ms is None:
            self.covered_ms = start_ms

    def tick(self) -> Placement:
        """Locate the next delta.

        Returns:
            The position of its audio, never before that of the last delta and never outside the
            audio sent. If no audio was sent for the delta, the end of the last one.
        """
        from_ms = self._covered_session_ms(self._ticks)
        self._ticks += 1
        to_ms = self._covered_session_ms(self._ticks)
        chunks = self._chunks
        while len(chunks) > 1 and chunks[0].to_ms <= from_ms:
            chunks.popleft()
        if chunks:
            start_ms = chunks[0].media_ms(from_ms)
            newest = next((chunk for chunk in chunks if to_ms <= chunk.to_ms), chunks[-1])
            self.covered_ms = newest.media_ms(to_ms)
            self._audio_received_s = newest.audio_received_s
        else:
            start_ms = self.covered_ms or 0
        end_ms = self.covered_ms or 0
        padding_ms = max(0, to_ms - from_ms - (end_ms - start_ms))
        return Placement(start_ms, end_ms, self._audio_received_s, padding_ms)

    @property
    def lag_ms(self) -> int:
        """Length of the audio that was sent and is not covered by deltas."""
        return self._session_ms - self._covered_session_ms(self._ticks)

    def _covered_session_ms(self, ticks: int) -> int:
        """Return where this many deltas end in the session's audio, limited to the audio sent."""
        return min(TOKEN_MS * ticks, self._session_ms)
