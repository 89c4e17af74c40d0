"""The audio of OpenAI's Realtime transcription sessions: its conversion, and its items. Pure."""

import audioop
from math import gcd
from typing import Final

import numpy as np

from container.cpu.clock import RATE_HZ, TOKEN_SAMPLES, TokenClock
from container.cpu.openai_protocol import Format, Pcm, Pcma, Pcmu
from container.cpu.transcriber import Transcription

_ZERO_CROSSINGS: Final = 24  # of the low-pass, on each side


class Item:
    """An item: its audio until it is transcribed, then its text."""

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self.samples = 0
        self.is_committed = False
        self.text = ""
        self._transcription: Transcription | None = None
        self._waiting: list[bytes] = []  # audio, until the transcription begins
        self._texts = 0  # of the transcription, 80 ms each

    @property
    def is_begun(self) -> bool:
        """Whether it has a slot."""
        return self._transcription is not None

    @property
    def backlog(self) -> int:
        """Samples received but not transcribed yet."""
        return self.samples - (self._transcription.confirmed if self._transcription else 0)

    def append(self, pcm: bytes) -> None:
        """Add audio."""
        self.samples += len(pcm) // 2
        if self._transcription:
            self._transcription.append(pcm)
        else:
            self._waiting.append(pcm)

    def commit(self) -> None:
        """End the audio."""
        self.is_committed = True
        if self._transcription:
            self._transcription.finish()

    def begin(self, transcription: Transcription) -> None:
        """Transcribe the audio received so far, and what follows."""
        self._transcription = transcription
        transcription.append(b"".join(self._waiting))
        self._waiting.clear()
        if self.is_committed:
            transcription.finish()

    def advance(self, clock: TokenClock) -> list[str]:
        """Return the text that is due."""
        transcription = self._transcription
        if transcription is None:
            return []
        total = max(1, -(-self.samples // TOKEN_SAMPLES))
        due = clock.live(min(self.samples, transcription.confirmed))
        if self.is_over:
            due = total
        texts = []
        while self._texts < min(due, total if self.is_over else total - 1):
            self._texts += 1
            text = transcription.next_text(last=self.is_over and self._texts == total)
            text = text if self.text else text.lstrip()
            self.text += text
            texts.append(text)
        return [text for text in texts if text]

    @property
    def is_over(self) -> bool:
        """Whether all its text is known."""
        transcription = self._transcription
        return self.is_committed and transcription is not None and transcription.finished

    def abandon(self) -> None:
        """Stop its transcription."""
        if self._transcription:
            self._transcription.abandon()


class Converter:
    """Converts audio to PCM16, 16 kHz, without delay and independent of how it is split."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._half_sample = b""
        rate_hz = form.rate if isinstance(form, Pcm) else 8000
        common = gcd(rate_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // common, rate_hz // common
        widest = max(self._up, self._down)
        self._reach = _ZERO_CROSSINGS * widest  # of the low-pass, on each side
        offsets = np.arange(-self._reach, self._reach + 1)
        window = np.kaiser(len(offsets), 6.0)
        self._taps = np.sinc(offsets / widest) * window * (self._up / widest)
        self._reset()

    def _reset(self) -> None:
        self._history = np.zeros(2 * self._reach)
        self._skip = self._reach  # samples at the common rate until the next output
        self._owed = 0  # samples at the common rate that have no output

    @property
    def pending(self) -> int:
        """Samples that `flush` returns."""
        return -(-self._owed // self._down)

    def convert(self, audio: bytes) -> bytes:
        """Convert the next audio, which may be split within a sample."""
        pcm = self._decode(audio)
        if self._up == self._down:
            return pcm
        self._owed += len(pcm) // 2 * self._up
        converted = self._filter(np.frombuffer(pcm, "<i2"))
        self._owed -= len(converted) // 2 * self._down
        return converted

    def flush(self) -> bytes:
        """End a stretch of audio; return its remaining samples."""
        pending = self.pending
        converted = self._filter(np.zeros(self._reach)) if pending else b""
        self._reset()
        return converted[: 2 * pending]

    def _filter(self, pcm: np.ndarray) -> bytes:
        if not len(pcm):
            return b""
        samples = np.zeros(len(pcm) * self._up)
        samples[:: self._up] = pcm
        data = np.append(self._history, samples)
        self._history = data[len(samples) :]
        filtered = np.convolve(data, self._taps, "valid")[self._skip :: self._down]
        self._skip -= len(samples)
        if self._skip < 0:
            self._skip %= self._down
        return np.rint(filtered).clip(-32768, 32767).astype("<i2").tobytes()

    def _decode(self, audio: bytes) -> bytes:
        match self._form:
            case Pcmu():
                return audioop.ulaw2lin(audio, 2)
            case Pcma():
                return audioop.alaw2lin(audio, 2)
            case Pcm():
                audio = self._half_sample + audio
                whole = len(audio) // 2 * 2
                self._half_sample = audio[whole:]
                return audio[:whole]
