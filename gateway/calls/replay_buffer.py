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


class ReplayBuffer:
    """The chunks of one track, in their order on the media clock.

    Args:
        limit_ms: audio kept in all.

    Attributes:
        lost_ms: the limit took what lies before on the media clock.
        unsent_ms: audio that waits to be sent.
    """

    __slots__ = ("_limit_ms", "_sent", "_sent_ms", "_unsent", "lost_ms", "unsent_ms")

    def __init__(self, limit_ms: int) -> None:
        self.lost_ms = 0
        self.unsent_ms = 0
        self._limit_ms = limit_ms
        self._sent_ms = 0
        self._sent: deque[Heard] = deque()
        self._unsent: deque[Heard] = deque()

    @property
    def unsent(self) -> Heard | None:
        """The oldest chunk that is not sent."""
        return self._unsent[0] if self._unsent else None

    def push(self, chunk: AudioChunk, received_at: float) -> list[AudioChunk]:
        """Add the newest chunk.

        Returns:
            Unsent chunks that had to make room for it.
        """
        self._unsent.append((chunk, received_at))
        self.unsent_ms += chunk.end_ms - chunk.start_ms
        dropped = []
        while self._sent_ms + self.unsent_ms > self._limit_ms:
            if self._sent:
                self.lost_ms = self._pop_sent().end_ms
            else:
                dropped.append(self._pop_unsent()[0])
                self.lost_ms = dropped[-1].end_ms
        return dropped

    def sent(self) -> None:
        """Mark the oldest unsent chunk as sent."""
        self._sent.append(heard := self._pop_unsent())
        self._sent_ms += heard[0].end_ms - heard[0].start_ms

    def rewind(self, to_ms: int) -> int:
        """Mark all audio from a media time on as unsent; drop the rest, sent or not.

        Returns:
            How much audio will be sent again.
        """
        before_ms = self.unsent_ms
        while self._sent and self._sent[-1][0].end_ms > to_ms:
            self._unsent.appendleft(heard := self._sent.pop())
            self.unsent_ms += heard[0].end_ms - heard[0].start_ms
        self._sent.clear()
        self._sent_ms = 0
        while self._unsent and self._unsent[0][0].end_ms <= to_ms:
            self._pop_unsent()
        if self._unsent and self._unsent[0][0].start_ms < to_ms < self._unsent[0][0].end_ms:
            chunk, received_at = self._unsent[0]
            skipped_ms = to_ms - chunk.start_ms
            rest = AudioChunk(chunk.pcm[skipped_ms * BYTES_PER_MS :], to_ms, chunk.end_ms)
            self._unsent[0] = (rest, received_at)
            self.unsent_ms -= skipped_ms
        return max(0, self.unsent_ms - before_ms)

    def forget(self, until_ms: int) -> None:
        """Drop what was sent and ends before a media time."""
        while self._sent and self._sent[0][0].end_ms <= until_ms:
            self._pop_sent()

    def clear(self) -> None:
        """Drop everything."""
        self._sent.clear()
        self._unsent.clear()
        self._sent_ms = self.unsent_ms = 0

    def _pop_sent(self) -> AudioChunk:
        chunk, _ = self._sent.popleft()
        self._sent_ms -= chunk.end_ms - chunk.start_ms
        return chunk

    def _pop_unsent(self) -> Heard:
        heard = self._unsent.popleft()
        self.unsent_ms -= heard[0].end_ms - heard[0].start_ms
        return heard
