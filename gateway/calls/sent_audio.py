"""The audio that one model session has sent: its length, and its position on the media clock."""

from collections.abc import Callable
from typing import Final

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.transcript.session_timeline import SessionTimeline
from gateway.upstream.session import RealtimeSession

type OnSent = Callable[[AudioChunk, int, int], None]


class SentAudio:
    """Sends the audio of one session, and records what was sent.

    Args:
        session: what sends it.
        unit_bytes: see `Capabilities`.
        monotonic_s: returns the time.

    Attributes:
        timeline: where the audio is on the media clock.
        sent_s: when audio was last sent, or the session was opened, on the monotonic clock.
        on_sent: called with each chunk that was sent, and where it begins and ends in the session's
            audio.
    """

    def __init__(
        self, session: RealtimeSession, unit_bytes: int, monotonic_s: Callable[[], float]
    ) -> None:
        self.timeline: Final = SessionTimeline()
        self.sent_s = 0.0
        self.on_sent: OnSent | None = None
        self._session = session
        self._unit_bytes = unit_bytes
        self._monotonic_s = monotonic_s
        self._sent_bytes = 0

    @property
    def sent_ms(self) -> int:
        """Length of the session's audio."""
        return self._sent_bytes // BYTES_PER_MS

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Send a chunk; return False if the session did not accept it.

        After a jump of the media clock, the chunk must start on a border of the server's units:
        otherwise one unit would cover audio from before and after the jump. So the unfinished unit
        is padded with silence, which has no position on the media clock.
        """
        sent_ms = self.timeline.sent_ms
        rest = -self._sent_bytes % self._unit_bytes
        if sent_ms is not None and chunk.start_ms > sent_ms and rest:
            silence = AudioChunk(bytes(rest), sent_ms, sent_ms)
            if not self.send(silence, audio_received_s):
                return False
        return self.send(chunk, audio_received_s)

    def send(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Send a chunk without padding; return False if the session did not accept it."""
        if not self._session.append(chunk.pcm):
            return False
        before_ms = self._sent_bytes // BYTES_PER_MS
        self._sent_bytes += len(chunk.pcm)
        sent_ms = self._sent_bytes // BYTES_PER_MS
        self.timeline.record_sent(
            chunk.start_ms, chunk.end_ms, sent_ms - before_ms, audio_received_s
        )
        self.sent_s = self._monotonic_s()
        if self.on_sent:
            self.on_sent(chunk, before_ms, sent_ms)
        return True
