"""Recorded speech in turns: as many words are wrong as without turns, and none is said twice.

Each turn is transcribed on its own, as a server does that answers turns. The reference is the
transcript of the whole recording by the same model.
"""

import audioop
from collections.abc import Iterable, Iterator

import jiwer
import pytest

from container.cpu.model import MoonshineModel
from container.cpu.windows import Windower
from gateway.audio.loudness import LOUD_RMS
from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.turn_audio import TurnAudio
from gateway.transcript.events import FinalReason, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import SessionTimeline
from gateway.upstream.dialects.dialect import Answer, Speech
from tests.speech import TWO_CITIES, plain_words, telephone_recording, word_error_rate

pytestmark = [pytest.mark.speech, pytest.mark.long]

CHUNK_BYTES = 2560


@pytest.fixture(scope="module")
def model() -> Iterator[MoonshineModel]:
    model = MoonshineModel()
    yield model
    model.close()


def transcribe(model: MoonshineModel, pcm: bytes) -> str:
    windower = Windower()
    windower.append(pcm)
    windower.finish()
    windows = (model.words(window.pcm(window.speech_end)) for window in windower.windows)
    return "".join(f" {word}" for words in windows for word in words)


@pytest.fixture(scope="module")
def wholes(model: MoonshineModel) -> dict[str, str]:
    """Return the transcript of each whole recording."""
    return {name: transcribe(model, telephone_recording(name)) for name in RECORDINGS}


class Transcriber:
    """A track whose turns are transcribed at once."""

    def __init__(self, model: MoonshineModel, longest_ms: int) -> None:
        self.turns = 0
        self.finals: list[TranscriptFinal] = []
        self._model = model
        self._timeline = SessionTimeline()
        self._segmenter = Segmenter("inbound", "customer")
        self._pcm = bytearray()
        self._sent_ms = 0
        self._answers: list[Answer] = []
        self._audio = TurnAudio(
            longest_ms,
            1000,
            send=self._send,
            cut=self._cut,
            on_quiet=lambda _: None,
            position_ms=lambda: self._sent_ms,
        )

    def play(self, pcm: bytes) -> str:
        for at in range(0, len(pcm), CHUNK_BYTES):
            piece, start_ms = pcm[at : at + CHUNK_BYTES], at // BYTES_PER_MS
            end_ms = start_ms + len(piece) // BYTES_PER_MS
            self._audio.append(AudioChunk(piece, start_ms, end_ms), 0.0)
            self._answer()
        self._audio.end()
        self._answer()
        self._keep(self._segmenter.close(FinalReason.HANGUP))
        return " ".join(final.text for final in self.finals)

    def _send(self, chunk: AudioChunk, received_s: float) -> bool:
        length_ms = len(chunk.pcm) // BYTES_PER_MS
        self._timeline.record_sent(chunk.start_ms, chunk.end_ms, length_ms, received_s)
        self._pcm += chunk.pcm
        self._sent_ms += length_ms
        return True

    def _cut(self, speech: Speech) -> None:
        self.turns += 1
        text = transcribe(self._model, bytes(self._pcm))
        self._pcm.clear()
        self._answers.append(
            Answer(text, speech.start_ms, speech.end_ms, self._sent_ms, replaces=True)
        )

    def _answer(self) -> None:
        while self._answers:
            for answer in self._audio.place(self._answers.pop(0)):
                assert answer.until_ms is not None
                placement = self._timeline.place(
                    answer.start_ms, answer.end_ms, settled_ms=answer.start_ms
                )
                answered_ms = self._timeline.media_ms(answer.until_ms)
                text, rest = answer.text, answer.provisional
                self._keep(
                    self._segmenter.replace(text, rest, placement, 0.0, answered_ms=answered_ms)
                )

    def _keep(self, events: Iterable[object]) -> None:
        self.finals += [event for event in events if isinstance(event, TranscriptFinal)]


# The texts, if they are known; else the transcript of the whole recording is the reference.
RECORDINGS = {
    "two_cities.wav": TWO_CITIES,
    "endgame_nagg_nell.wav": None,
    "beckett.wav": "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
}


@pytest.mark.parametrize(("longest_ms", "points"), [(15_000, 0.5), (5000, 1.5)])
def test_turns_lose_and_repeat_no_words(
    model: MoonshineModel, wholes: dict[str, str], longest_ms: int, points: float
) -> None:
    more = words = 0
    for name, text in RECORDINGS.items():
        whole = wholes[name]
        in_turns = Transcriber(model, longest_ms).play(telephone_recording(name))
        reference = text or whole
        more += wrong_words(reference, in_turns) - wrong_words(reference, whole)
        words += len(plain_words(reference))
        known, said = (" ".join(plain_words(each)) for each in (reference, in_turns))
        assert jiwer.process_words(known, said).insertions <= 2, f"{name}: words were repeated"
    print(f"{longest_ms} ms: {more:+} of {words} words are wrong")  # noqa: T201 - shown with -s
    assert 100 * more / words <= points


def wrong_words(reference: str, text: str) -> int:
    return round(len(plain_words(reference)) * word_error_rate(reference, text))


def without_pauses(pcm: bytes) -> bytes:
    """Leave out quiet audio, so that turns end in mid-speech."""
    pieces = [pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES)]
    return b"".join(piece for piece in pieces if audioop.rms(piece, 2) >= LOUD_RMS // 2)


def test_seams_in_speech_without_a_pause(model: MoonshineModel) -> None:
    """The model understands such speech less well, and differently in each turn."""
    pcm = without_pauses(telephone_recording("two_cities.wav"))
    whole = transcribe(model, pcm)
    transcriber = Transcriber(model, 5000)
    in_turns = transcriber.play(pcm)
    assert transcriber.turns >= 7
    assert word_error_rate(TWO_CITIES, in_turns) <= word_error_rate(TWO_CITIES, whole) + 0.05
