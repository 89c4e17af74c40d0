"""Convert times of a session's audio to the media clock of its track. Pure.

A model server counts the audio that it has received. The media clock can jump between chunks, and
padding has no length on it. So the position of each chunk is stored:

    session audio, ms    0        80       160      240
    chunks               |--------|--------|--------|
    media clock        5000     5080   9000     9080  9160       (a hold between the 1st and 2nd)
"""

from collections import deque
from typing import Final

import msgspec

# Chunks stored separately until they are answered. Beyond this number (11 minutes of 80 ms chunks
# without an answer), newer audio extends the last chunk, whose position stays exact. Only its time
# of arrival does not.
_MAX_CHUNKS: Final = 8192
_LONG_JUMP_MS: Final = 1000
_TIME_ERROR_MS: Final = 150  # of the start or the end of a word


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The position of the audio that one answer covers."""

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


class SessionTimeline:
    """The positions of the audio that was sent to one session.

    Attributes:
        sent_ms: media time up to which audio was sent; None before the first chunk.
    """

    def __init__(self) -> None:
        self.sent_ms: int | None = None
        self._session_ms = 0  # length of the audio sent to this session
        self._chunks: deque[_Sent] = deque()

    def record_sent(
        self, start_ms: int, end_ms: int, audio_ms: int, audio_received_s: float
    ) -> None:
        """Record a chunk that was sent to the session.

        Args:
            start_ms: its start on the media clock.
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
        self.sent_ms = max(end_ms, self.sent_ms or end_ms)

    def media_ms(self, session_ms: int) -> int:
        """Convert a time of the session's audio to media time, limited to the audio sent."""
        chunks = self._chunks
        return next((c for c in chunks if session_ms <= c.to_ms), chunks[-1]).media_ms(session_ms)

    def within_run(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Leave out the ends of a stretch that are just beyond a long jump of the media clock.

        A server's times of words are not exact, and a jump may be a hold of minutes.
        """
        before: _Sent | None = None
        for chunk in self._chunks:
            at_ms = chunk.from_ms
            is_jump = before is not None and chunk.start_ms - before.end_ms >= _LONG_JUMP_MS
            if is_jump and from_ms < at_ms < to_ms:
                if min(_TIME_ERROR_MS, to_ms - at_ms) >= at_ms - from_ms:
                    from_ms = at_ms
                elif to_ms - at_ms <= _TIME_ERROR_MS:
                    return from_ms, at_ms
            before = chunk
        return from_ms, to_ms

    def place(self, from_ms: int, to_ms: int, *, settled_ms: int = 0) -> Placement:
        """Convert a stretch of the session's audio, which must not be empty so far.

        Args:
            from_ms: its start.
            to_ms: its end, not before its start.
            settled_ms: nothing before this time will be placed again.

        Returns:
            Its position on the media clock, limited to the audio sent.
        """
        chunks = self._chunks
        while len(chunks) > 1 and chunks[0].to_ms <= settled_ms:
            chunks.popleft()
        first = next((chunk for chunk in chunks if from_ms < chunk.to_ms), chunks[-1])
        last = next((chunk for chunk in chunks if to_ms <= chunk.to_ms), chunks[-1])
        start_ms, end_ms = first.media_ms(from_ms), last.media_ms(to_ms)
        padding_ms = max(0, to_ms - from_ms - (end_ms - start_ms))
        return Placement(start_ms, end_ms, last.audio_received_s, padding_ms)
