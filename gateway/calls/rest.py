"""Takes a track's audio while it needs no session, because its server answers only turns. Pure."""

from collections.abc import Callable

from gateway.audio.loudness import is_loud
from gateway.audio.pipeline import AudioChunk
from gateway.transcript.session_timeline import Placement


class Rest:
    """Answers silence; refuses the first loud chunk, which needs a session.

    That session also gets the silence before: a replay begins earlier than what is answered.

    Args:
        on_silence: called with the position of each chunk.
        on_speech: called when a chunk is refused.
    """

    def __init__(
        self, on_silence: Callable[[Placement], None], on_speech: Callable[[], None]
    ) -> None:
        self._on_silence = on_silence
        self._on_speech = on_speech

    def append(self, chunk: AudioChunk, audio_received_s: float) -> bool:
        """Answer a chunk; return False if it may be speech."""
        if is_loud(chunk.pcm):
            self._on_speech()
            return False
        self._on_silence(Placement(chunk.start_ms, chunk.end_ms, audio_received_s))
        return True
