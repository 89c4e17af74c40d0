"""A server of Deepgram's /v1/listen, and what its documentation leaves open.

Written from Deepgram's documentation (interim results, endpointing, utterance end, keep-alive,
errors) and the types of deepgram-sdk 7.17. It shares no code with the CPU engine.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.vendors import servers
from tests.vendors.servers import Close, Send, VendorServer
from tests.vendors.words import Ears, Word

IDLE_S: Final = 10.0


@dataclass(frozen=True)
class Script:
    """What a server may do.

    Attributes:
        interim_ms: time between interim results; None: it sends none.
        shape: of interim results: "grow", "shrink", "vanish" or "guess".
        result_ms: longest result.
        cut: where a longer one ends: before ("border"), after ("first") or in ("second") a word
            that is being said; in the last two, in mid-word, and the word is in that result.
        silence: whether results without words are sent: "all", "final" or "none".
        endpointing_ms: pause that ends a result; None: none does.
        speech_final: whether such a result says so.
        utterance_end: whether UtteranceEnd is sent.
        words: whether results list their words.
        noise_s: error of `start` and `duration`.
        overlap_ms: how much of the audio before a result its `start` and `duration` include.
        hole_ms: how much of its beginning they leave out.
        final_s: delay of final results, and of all messages behind them.
        metadata_early: whether Metadata is sent at the beginning, too.
        metadata_s: whether the last Metadata has its duration.
        others: whether messages that the gateway does not know are sent.
        repeats: whether each final result is sent twice.
        stuck: whether only Finalize and CloseStream end a result, as reported of noisy lines.
        error: variant of an error that ends the connection after 800 ms of audio.
    """

    interim_ms: int | None = 1000
    shape: str = "grow"
    result_ms: int = 4000
    cut: str = "border"
    silence: str = "all"
    endpointing_ms: int | None = 500
    speech_final: bool = True
    utterance_end: bool = True
    words: bool = True
    noise_s: float = 0.0
    overlap_ms: int = 0
    hole_ms: int = 0
    final_s: float = 0.0
    metadata_early: bool = False
    metadata_s: bool = True
    others: bool = False
    repeats: bool = False
    stuck: bool = False
    error: str | None = None


class DeepgramPeer:
    """One connection.

    Args:
        script: what it does.
        send: sends a message, or ends the connection.
    """

    def __init__(self, script: Script, send: Send) -> None:
        self.controls: list[str] = []
        self.ears = Ears(8000)
        self._script = script
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._is_closing = False
        self._from_ms = 0
        self._done: set[int] = set()  # words that are in a final result
        self._interim_at_ms = 0
        self._interims = 0
        self._utterance_ms: int | None = None  # end of the newest final word
        self._last_s = 0.0  # when the newest message is sent
        self._idle = self._loop.call_later(IDLE_S, self._expire)

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame."""
        assert pcm
        assert not self._is_closing
        self._stay()
        if not self.ears.heard_ms and self._script.metadata_early:
            self._say("Metadata", request_id="r", duration=0.0, channels=1)
        if not self.ears.heard_ms and self._script.others:
            self._say("Connected", request_id="r", sequence_id=0)
        self.ears.hear(pcm)
        if self._script.error and self.ears.heard_ms >= 800:
            self._say("Error", variant=self._script.error, description="quotes the request")
            self._later(Close(1011, "DATA-0000"), 0)
        self._look()

    def control(self, text: str) -> None:
        """Receive a text frame."""
        kind = json.loads(text)["type"]
        self.controls.append(kind)
        match kind:
            case "KeepAlive":
                self._stay()
            case "Finalize":
                self._final(self.ears.heard_ms, self._open, is_pause=True)
            case "CloseStream":
                self._is_closing = True
                self._idle.cancel()
                self._final(self.ears.heard_ms, self._open, is_pause=True)
                duration = self.ears.heard_ms / 1000 if self._script.metadata_s else 0.0
                self._say("Metadata", request_id="r", duration=duration, channels=1)
                self._later(Close(1000), 0)
            case _:
                self._later(Close(1008, "DATA-0000"), 0)

    def stop(self) -> None:
        """The connection is over."""
        self._idle.cancel()

    def _stay(self) -> None:
        self._idle.cancel()
        self._idle = self._loop.call_later(IDLE_S, self._expire)

    def _expire(self) -> None:
        self._send(Close(1011, "NET-0001"))

    @property
    def _open(self) -> list[Word]:
        """The words that are in no final result."""
        return [word for word in self.ears.words if word.number not in self._done]

    def _look(self) -> None:
        """Send what is due."""
        script, now_ms, words = self._script, self.ears.heard_ms, self._open
        last_ms = words[-1].end_ms if words else None
        pause_ms = script.endpointing_ms
        if script.stuck:
            if words and last_ms == now_ms and now_ms - self._interim_at_ms >= 1000:
                self._interim(now_ms, words)
            return
        if words and pause_ms and last_ms is not None and now_ms - last_ms >= pause_ms:
            self._final(now_ms, words, is_pause=True)
        elif now_ms - self._from_ms >= script.result_ms:
            self._cut(now_ms, words)
        elif script.interim_ms and now_ms - self._interim_at_ms >= script.interim_ms:
            self._interim(now_ms, words)
        gap_ms = now_ms - (self._utterance_ms or now_ms)
        if script.utterance_end and not self._open and gap_ms >= 1000:
            at_s = (self._utterance_ms or 0) / 1000
            self._say("UtteranceEnd", channel=[0, 1], last_word_end=at_s)
            self._utterance_ms = None

    def _cut(self, now_ms: int, words: list[Word]) -> None:
        """End a result that is too long."""
        is_in_word = bool(words) and self.ears.is_in_word and words[-1].end_ms == now_ms
        if is_in_word and self._script.cut == "border":
            if len(words) > 1:
                self._final(words[-1].start_ms, words[:-1])
        elif is_in_word and self._script.cut == "second":
            self._final(now_ms, words[:-1])
        else:
            self._final(now_ms, words)

    def _interim(self, now_ms: int, words: list[Word]) -> None:
        self._interim_at_ms = now_ms
        self._interims += 1
        texts = [word.text for word in words]
        match self._script.shape:
            case "shrink" if self._interims % 2:
                words, texts = words[:-1], texts[:-1]
            case "vanish" if self._interims % 3 == 0:
                words, texts = [], []
            case "guess" if texts:
                texts[-1] = "perhaps another thing"
        if words or self._script.silence == "all":
            self._results(now_ms, words, texts, is_final=False)

    def _final(self, until_ms: int, words: list[Word], *, is_pause: bool = False) -> None:
        script = self._script
        texts = [word.text for word in words]
        if script.others and self._interims == 1:
            self._say("SpeechStarted", channel=[0, 1], timestamp=0.5)
        if until_ms > self._from_ms and (words or script.silence != "none"):
            is_end = is_pause and script.speech_final
            for _ in range(2 if script.repeats else 1):
                self._results(until_ms, words, texts, is_final=True, speech_final=is_end)
        self._done |= {word.number for word in words}
        if words:
            self._utterance_ms = words[-1].end_ms
        self._from_ms = self._interim_at_ms = until_ms

    def _results(
        self, until_ms: int, words: list[Word], texts: list[str], *, is_final: bool, **flags: bool
    ) -> None:
        script = self._script
        start_ms = max(0, self._from_ms - script.overlap_ms)
        if script.hole_ms:
            start_ms = min(self._from_ms + script.hole_ms, until_ms)
        sign = 1 if self._interims % 2 else -1
        start_s = max(0.0, start_ms / 1000 + sign * script.noise_s)
        duration_s = max(0.0, until_ms / 1000 - start_s + sign * script.noise_s)
        text = " ".join(texts)
        smart = f"{text.capitalize()}." if text else ""
        alternative: dict[str, Any] = {"transcript": smart, "confidence": 0.98}
        if script.words:
            alternative["words"] = [_word(word, self._from_ms) for word in words]
        self._say(
            "Results",
            final_s=script.final_s if is_final else 0.0,
            channel_index=[0, 1],
            start=start_s,
            duration=duration_s,
            is_final=is_final,
            speech_final=flags.get("speech_final", False),
            from_finalize=False,
            channel={"alternatives": [alternative]},
            metadata={"request_id": "r", "model_info": {"name": "3-general-nova"}},
        )

    def _say(self, kind: str, *, final_s: float = 0.0, **fields: Any) -> None:
        self._later(json.dumps({"type": kind, **fields}), final_s)

    def _later(self, message: str | Close, delay_s: float) -> None:
        due_s = max(self._loop.time() + 0.1 + delay_s, self._last_s + 1e-6)
        self._last_s = due_s
        self._loop.call_at(due_s, self._send, message)


def _word(word: Word, from_ms: int) -> dict[str, Any]:
    start_ms = max(word.start_ms, from_ms)
    return {
        "word": word.text,
        "start": start_ms / 1000,
        "end": max(word.end_ms, start_ms) / 1000,
        "confidence": 0.9,
        "punctuated_word": word.text.capitalize(),
    }


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[VendorServer[DeepgramPeer]]:
    """Serve mu-law."""

    def refuse(query: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        form = query.get("encoding"), query.get("sample_rate")
        return None if form == ("mulaw", "8000") else (400, {"err_code": "INVALID_QUERY"})

    async with servers.serving("/v1/listen", lambda _, send: DeepgramPeer(script, send)) as server:
        server.refuse = refuse
        yield server
