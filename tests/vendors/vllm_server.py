"""A server of vLLM's Realtime API, from its source: Voxtral's or Qwen3-ASR's output."""

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.vendors import servers
from tests.vendors.servers import Close, Send, VendorServer
from tests.vendors.words import Ears

_BYTES_PER_MS: Final = 32
_TOKEN_MS: Final = 80
_DELAY_MS: Final = 560
_SEGMENT_MS: Final = 5000
_LAST_SEGMENT_S: Final = 0.2  # until the text of the last segment


@dataclass(frozen=True, kw_only=True)
class Script:
    """What one server does.

    Attributes:
        model: "voxtral", or "qwen".
        headers: whether Qwen's text has a header; without, text is held back (PR 55786).
        ends: whether the end of each segment is an empty delta.
        split: cuts a segment's text into deltas.
        glue: between two segments.
        silence: what is said of a segment without words.
        limit: words of a segment after which it is cut.
        merged: deltas that are combined into one.
        with_segments: whether deltas have `segments` (PR 50783).
        idle_s: time without audio after which the server ends the session; "done" or "error".
        idle_by: likewise.
        on_append: called with the numbers of the session and of an append; returns messages, or a
            close code: 0 loses the connection.
    """

    model: str = "qwen"
    headers: bool = True
    ends: bool = True
    split: Callable[[str], list[str]] = lambda text: [text]
    glue: str = ""
    silence: str = "language None<asr_text>"
    limit: int = 1000
    merged: int = 1
    with_segments: bool = False
    idle_s: float = 3600.0
    idle_by: str = "error"
    on_append: Callable[[int, int], list[dict[str, Any]] | int | None] = lambda session, n: None


class VllmPeer:
    """One connection.

    Args:
        script: what it does.
        number: of the session.
        send: sends a message, or ends the connection.
    """

    def __init__(self, script: Script, number: int, send: Send) -> None:
        self._script = script
        self._number = number
        self._send_text = send
        self._appends = 0
        self._is_validated = False
        self._queue = bytearray()
        self._is_running = False
        self._delay_s = 0.0  # of messages
        self._last_s = 0.0  # when the newest delayed message is sent
        self._loop = asyncio.get_running_loop()
        self._idle: asyncio.TimerHandle | None = None
        self._send("session.created", id=f"sess-{number:016x}", created=1)

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame, which is none of this protocol's."""
        raise AssertionError("a binary frame")

    def control(self, text: str) -> None:
        """Receive a text frame."""
        self._receive(json.loads(text))

    def stop(self) -> None:
        """The connection is over."""
        if self._idle:
            self._idle.cancel()

    def _send(self, kind: str, **fields: Any) -> None:
        text = json.dumps({"type": kind, **fields})
        if not self._delay_s:
            self._send_text(text)
            return
        self._last_s = max(self._loop.time() + self._delay_s, self._last_s + 1e-6)  # in order
        self._loop.call_at(self._last_s, self._send_text, text)

    def _error(self, text: str, code: str) -> None:
        self._send("error", error=text, code=code)

    def _receive(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                if not event.get("model"):
                    self._error("Missing required field: model", "invalid_event")
                elif event["model"] != "m":
                    self._error("The model does not exist.", "model_not_found")
                else:
                    self._is_validated = True
            case "input_audio_buffer.append":
                self._append(event)
            case "input_audio_buffer.commit":
                self._commit(final=event.get("final", False))
            case kind:
                self._error(f"Unknown event type: {kind}", "unknown_event")

    def _touch(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = self._loop.call_later(self._script.idle_s, self._expire)

    def _expire(self) -> None:
        if self._script.idle_by == "error":
            self._error("No audio for a while.", "idle_timeout")
        elif self._is_running:
            self._finish()
        self._loop.call_later(0.5, self._send_text, Close(1000))

    def _append(self, event: dict[str, Any]) -> None:
        self._touch()
        self._appends += 1
        match self._script.on_append(self._number, self._appends):
            case int() as code:
                self._send_text(Close(code or None))
                return
            case list() as events:
                for each in events:
                    self._send(**each)
            case None:
                pass
        self._queue += base64.b64decode(event["audio"], validate=True)
        if self._is_running:
            self._advance()

    def _commit(self, *, final: bool) -> None:
        if not self._is_validated:
            self._error("Model not validated.", "model_not_validated")
            return
        if final:
            self._finish()
        elif not self._is_running:
            self._touch()
            self._is_running = True
            self._ears = Ears(16_000)
            self._known = 0
            self._heard_ms = 0
            self._tokens = 0
            self._words: list[str] = []
            self._text = ""
            self._held: list[str] = []
            self._late: deque[list[str]] = deque()
            self._segments = 0

    def _advance(self) -> None:
        """Process the queue."""
        step_ms = _TOKEN_MS if self._script.model == "voxtral" else _SEGMENT_MS
        while len(self._queue) >= step_ms * _BYTES_PER_MS:
            pcm = bytes(self._queue[: step_ms * _BYTES_PER_MS])
            del self._queue[: len(pcm)]
            self._heard_ms += step_ms
            words = self._hear(pcm)
            if self._script.model == "voxtral":
                self._late.append(words)  # a word is in the token of the 80 ms in which it ends
                if self._heard_ms >= _DELAY_MS:
                    self._words += self._late.popleft()
                    self._token()
            else:
                self._words += words
                self._segment()

    def _hear(self, pcm: bytes, *, is_end: bool = False) -> list[str]:
        """Return the words that have ended."""
        self._ears.hear(pcm)
        words = self._ears.words if is_end else self._ears.ended
        new, self._known = words[self._known :], len(words)
        return [word.text for word in new]

    def _token(self) -> None:
        text = f" {self._words.pop(0)}" if self._words else ""
        self._delta(text)

    def _delta(self, text: str) -> None:
        self._tokens += 1
        self._text += text
        self._held.append(text)
        if len(self._held) >= self._script.merged:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        text, self._held = "".join(self._held), []
        more: dict[str, Any] = {}
        if self._script.with_segments:
            more = {"segments": [{"text": text, "end": self._tokens * 0.08}]}
        self._send("transcription.delta", delta=text, **more)

    def _segment(self) -> None:
        script = self._script
        words = self._words[: script.limit]
        self._words = []
        text = " ".join(words)
        if script.headers:
            text = f"language English<asr_text>{text}" if words else script.silence
        self._segments += 1
        if self._segments > 1:
            text = script.glue + text
        for part in script.split(text):
            self._delta(part)
        if script.ends:
            self._delta("")

    def _finish(self) -> None:
        if not self._is_running:
            return
        self._is_running = False
        heard_any = bool(self._heard_ms or self._queue)
        if self._script.model == "voxtral":
            self._queue += bytes(12_760 * 2)
            self._is_running = True
            self._advance()
            self._is_running = False
            self._words += [*itertools.chain(*self._late), *self._hear(b"", is_end=True)]
            while self._words:
                self._token()
        elif self._queue:
            self._words += self._hear(bytes(self._queue), is_end=True)
            self._delay_s = _LAST_SEGMENT_S
            self._segment()
        self._flush()
        self._queue.clear()
        tokens = self._tokens if heard_any else 0
        usage = {"prompt_tokens": 39, "completion_tokens": tokens, "total_tokens": 39 + tokens}
        self._send("transcription.done", text=self._text, usage=usage)
        self._delay_s = 0.0


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[VendorServer[VllmPeer]]:
    """Serve it."""
    async with servers.serving(
        "/v1/realtime", lambda number, send: VllmPeer(script, number, send)
    ) as server:
        yield server
