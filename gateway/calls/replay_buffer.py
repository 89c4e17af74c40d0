"""A track's audio that must be sent, or may have to be sent again. Pure.

    dropped | sent, kept for a replay | unsent |
            ^ drop_before()  rewind() <- ^ -> mark_sent()

The length on the media clock is limited; padding does not count. When the buffer is full, the
oldest sent audio is evicted without notice: it is lost only if its session fails. If all audio is
unsent, the oldest is dropped and returned, so that the caller declares a gap.
"""

from collections import deque

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk

type ReceivedChunk = tuple[AudioChunk, float]  # and its arrival on the monotonic clock


class ReplayBuffer:
    """The chunks of one track, in media clock order.

    Args:
        limit_ms: maximum length of the audio.

    Attributes:
        lost_ms: audio before this media time was evicted or dropped because the buffer was full.
        unsent_ms: length of the unsent audio.
    """

    __slots__ = ("_limit_ms", "_sent", "_sent_ms", "_unsent", "lost_ms", "unsent_ms")

    def __init__(self, limit_ms: int) -> None:
        self.lost_ms = 0
        self.unsent_ms = 0
        self._limit_ms = limit_ms
        self._sent_ms = 0
        self._sent: deque[ReceivedChunk] = deque()
        self._unsent: deque[ReceivedChunk] = deque()

    @property
    def unsent(self) -> ReceivedChunk | None:
        """The oldest unsent chunk; None if all are sent."""
        return self._unsent[0] if self._unsent else None

    def push(self, chunk: AudioChunk, audio_received_s: float) -> list[AudioChunk]:
        """Add the newest chunk.

        Returns:
            Unsent chunks that were dropped to make room for it.
        """
        self._unsent.append((chunk, audio_received_s))
        self.unsent_ms += chunk.end_ms - chunk.start_ms
        dropped = []
        while self._sent_ms + self.unsent_ms > self._limit_ms:
            if self._sent:
                self.lost_ms = self._pop_sent().end_ms
            else:
                dropped.append(self._pop_unsent()[0])
                self.lost_ms = dropped[-1].end_ms
        return dropped

    def mark_sent(self) -> None:
        """Mark the oldest unsent chunk as sent."""
        chunk, audio_received_s = self._pop_unsent()
        self._sent.append((chunk, audio_received_s))
        self._sent_ms += chunk.end_ms - chunk.start_ms

    def rewind(self, to_ms: int) -> int:
        """Mark all audio from a media time on as unsent; drop what is before, sent or not.

        Returns:
            Milliseconds of audio to be sent again.
        """
        before_ms = self.unsent_ms
        while self._sent and self._sent[-1][0].end_ms > to_ms:
            chunk, audio_received_s = self._sent.pop()
            self._unsent.appendleft((chunk, audio_received_s))
            self.unsent_ms += chunk.end_ms - chunk.start_ms
        self._sent.clear()
        self._sent_ms = 0
        while self._unsent and self._unsent[0][0].end_ms <= to_ms:
            self._pop_unsent()
        if self._unsent and self._unsent[0][0].start_ms < to_ms < self._unsent[0][0].end_ms:
            chunk, audio_received_s = self._unsent[0]
            skipped_ms = to_ms - chunk.start_ms
            rest = AudioChunk(chunk.pcm[skipped_ms * BYTES_PER_MS :], to_ms, chunk.end_ms)
            self._unsent[0] = (rest, audio_received_s)
            self.unsent_ms -= skipped_ms
        return max(0, self.unsent_ms - before_ms)

    def drop_before(self, until_ms: int) -> None:
        """Drop sent chunks that end before a media time."""
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

    def _pop_unsent(self) -> ReceivedChunk:
        chunk, audio_received_s = self._unsent.popleft()
        self.unsent_ms -= chunk.end_ms - chunk.start_ms
        return chunk, audio_received_s
