"""A track's audio that may still be needed: to be sent, or to be sent again. Pure.

    forgotten | sent, kept for a replay | unsent |
              ^ forget()       rewind() <- ^ -> sent()    push() ^

Bounded by its length on the media clock, to which padding adds nothing. What was sent goes first,
silently: it is lost only if its session fails. When all of it is unsent the oldest is dropped, and
given back to be declared.
"""

from collections import deque

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk

type Heard = tuple[AudioChunk, float]  # a chunk, and when it reached us on the monotonic clock


class ReplayRing:
    """The chunks of one track, in their order on the media clock.

    Args:
        limit_ms: audio kept in all.

    Attributes:
        lost_ms: the limit took what lies before on the media clock.
    """

    __slots__ = ("_kept_ms", "_limit_ms", "_sent", "_unsent", "lost_ms")

    def __init__(self, limit_ms: int) -> None:
        self.lost_ms = 0
        self._limit_ms = limit_ms
        self._kept_ms = 0
        self._sent: deque[Heard] = deque()
        self._unsent: deque[Heard] = deque()

    @property
    def unsent_ms(self) -> int:
        """Audio that waits to be sent."""
        return sum(chunk.end_ms - chunk.start_ms for chunk, _ in self._unsent)

    @property
    def unsent(self) -> Heard | None:
        """The oldest chunk that is not sent."""
        return self._unsent[0] if self._unsent else None

    def push(self, chunk: AudioChunk, heard_s: float) -> list[AudioChunk]:
        """Add the newest chunk.

        Returns:
            Unsent chunks that had to make room for it.
        """
        self._unsent.append((chunk, heard_s))
        self._kept_ms += chunk.end_ms - chunk.start_ms
        dropped = []
        while self._kept_ms > self._limit_ms:
            if self._sent:
                self.lost_ms = self._pop(self._sent).end_ms
            else:
                dropped.append(self._pop(self._unsent))
                self.lost_ms = dropped[-1].end_ms
        return dropped

    def sent(self) -> None:
        """Learn that the oldest unsent chunk was sent."""
        self._sent.append(self._unsent.popleft())

    def rewind(self, to_ms: int) -> int:
        """Have everything from a media time on sent again, and forget the rest, sent or not.

        Returns:
            How much audio will be sent again.
        """
        before_ms = self.unsent_ms
        while self._sent and self._sent[-1][0].end_ms > to_ms:
            self._unsent.appendleft(self._sent.pop())
        for chunks in (self._sent, self._unsent):
            while chunks and chunks[0][0].end_ms <= to_ms:
                self._pop(chunks)
        if self._unsent and self._unsent[0][0].start_ms < to_ms < self._unsent[0][0].end_ms:
            chunk, heard_s = self._unsent[0]
            skipped_ms = to_ms - chunk.start_ms
            rest = AudioChunk(chunk.pcm[skipped_ms * BYTES_PER_MS :], to_ms, chunk.end_ms)
            self._unsent[0] = (rest, heard_s)
            self._kept_ms -= skipped_ms
        return max(0, self.unsent_ms - before_ms)

    def forget(self, until_ms: int) -> None:
        """Drop what was sent and ends before a media time."""
        while self._sent and self._sent[0][0].end_ms <= until_ms:
            self._pop(self._sent)

    def clear(self) -> None:
        """Drop everything."""
        self._sent.clear()
        self._unsent.clear()
        self._kept_ms = 0

    def _pop(self, chunks: deque[Heard]) -> AudioChunk:
        chunk, _ = chunks.popleft()
        self._kept_ms -= chunk.end_ms - chunk.start_ms
        return chunk
