"""The items of OpenAI's Realtime transcription sessions. Pure."""

from container.cpu.clock import TOKEN_SAMPLES, TokenClock
from container.cpu.transcriber import Transcription


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
