"""When a word was said, estimated from how many deltas have come. Pure.

The model reports no times, but it answers exactly one delta per 80 ms of audio, empty or not. It
listens ahead by its configured delay before it says the first one, so the delay is in when a delta
comes, not in what it is about: delta k of a generation covers the kth 80 ms of its audio.
Chunks know where they lie on the media clock, which may jump between them; through them a time in
the session's audio becomes a time of the stream.

    session audio, ms    0        80       160      240
    chunks               |--------|--------|--------|
    media clock        5000     5080   9000     9080  9160       (a hold between the 1st and 2nd)
"""

from collections import deque
from typing import Final

import msgspec

TOKEN_MS: Final = 80

# Chunks remembered one by one for deltas to come. Past it (11 minutes at 80 ms without an answer)
# newer audio lengthens the last one: its place stays exact, only its time of arrival does not.
_MAX_CHUNKS: Final = 8192


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where the audio behind one delta lies."""

    start_ms: int  # on the media clock
    end_ms: int
    received_at: float  # when the audio at `end_ms` reached us, on the monotonic clock
    padding_ms: int = 0  # of the audio: has no place on the media clock


class _Sent(msgspec.Struct, frozen=True, gc=False):
    from_ms: int  # in the session's audio
    to_ms: int
    start_ms: int  # on the media clock
    end_ms: int
    received_at: float

    def media_ms(self, session_ms: int) -> int:
        """A time in the session's audio on the media clock, within this chunk or at its ends."""
        return min(self.start_ms + max(session_ms - self.from_ms, 0), self.end_ms)


class TokenClock:
    """Places the deltas of one generation.

    Attributes:
        sent_ms: media time up to which audio was sent; None before the first chunk.
        covered_ms: media time up to which deltas have answered; None likewise.
    """

    def __init__(self) -> None:
        self.sent_ms: int | None = None
        self.covered_ms: int | None = None
        self._ticks = 0
        self._session_ms = 0  # length of the audio sent to this generation
        self._chunks: deque[_Sent] = deque()
        self._received_at = 0.0

    def sent(self, start_ms: int, end_ms: int, audio_ms: int, received_at: float) -> None:
        """Record a chunk that was sent to the session.

        Args:
            start_ms: where it begins on the media clock, not before the last one's end.
            end_ms: where it ends.
            audio_ms: how long its audio is; not shorter than that.
            received_at: when its audio reached us, on the monotonic clock.
        """
        begins = self._session_ms
        self._session_ms += audio_ms
        last = self._chunks[-1] if len(self._chunks) >= _MAX_CHUNKS else None
        if last and start_ms - last.start_ms == begins - last.from_ms:
            begins, start_ms = last.from_ms, last.start_ms
            self._chunks.pop()
        self._chunks.append(_Sent(begins, self._session_ms, start_ms, end_ms, received_at))
        self.sent_ms = end_ms
        if self.covered_ms is None:
            self.covered_ms = start_ms

    def tick(self) -> Placement:
        """Place the next delta.

        Returns:
            Where its audio lies: never before the last delta's, never outside of what was sent. A
            delta that no audio was sent for lies where the last one ended.
        """
        from_ms = self._answered_ms(self._ticks)
        self._ticks += 1
        to_ms = self._answered_ms(self._ticks)
        chunks = self._chunks
        while len(chunks) > 1 and chunks[0].to_ms <= from_ms:
            chunks.popleft()
        if chunks:
            start_ms = chunks[0].media_ms(from_ms)
            newest = next((chunk for chunk in chunks if to_ms <= chunk.to_ms), chunks[-1])
            self.covered_ms = newest.media_ms(to_ms)
            self._received_at = newest.received_at
        else:
            start_ms = self.covered_ms or 0
        end_ms = self.covered_ms or 0
        padding_ms = max(0, to_ms - from_ms - (end_ms - start_ms))
        return Placement(start_ms, end_ms, self._received_at, padding_ms)

    @property
    def lag_ms(self) -> int:
        """Audio sent and not answered."""
        return self._session_ms - self._answered_ms(self._ticks)

    def _answered_ms(self, ticks: int) -> int:
        """The end of a delta in the session's audio, within what was sent."""
        return min(TOKEN_MS * ticks, self._session_ms)
