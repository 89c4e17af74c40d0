"""Audio of a track that needs no session: silence is answered, speech is refused."""

from gateway.audio.pipeline import AudioChunk
from gateway.calls.rest import Rest
from gateway.transcript.session_timeline import Placement

SILENCE = AudioChunk(bytes(2560), 1000, 1080)
SPEECH = AudioChunk(b"\x00\x40" * 1280, 1080, 1160)


def test_silence_is_answered_and_speech_refused() -> None:
    answered: list[Placement] = []
    refused: list[bool] = []
    rest = Rest(answered.append, lambda: refused.append(True))
    assert rest.append(SILENCE, 5.0)
    assert not refused
    assert not rest.append(SPEECH, 6.0)
    assert answered == [Placement(1000, 1080, 5.0)]
    assert refused == [True]
