"""A server of vLLM's Realtime API, from its source: Voxtral's or Qwen3-ASR's output."""

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from common.serving import listening
from tests.vendors.spelling import Recognizer

_BYTES_PER_MS: Final = 32
_TOKEN_MS: Final = 80
_DELAY_MS: Final = 560
_SEGMENT_MS: Final = 5000


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
            close code.
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


class _Session:
    def __init__(self, socket: web.WebSocketResponse, script: Script, number: int) -> None:
        self._socket = socket
        self._script = script
        self._number = number
        self._appends = 0
        self._is_validated = False
        self._queue = bytearray()
        self._is_running = False
        self._idle: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._send("session.created", id=f"sess-{self._number:016x}", created=1)
        try:
            async for message in self._socket:
                await self._receive(json.loads(message.data))
        finally:
            if self._idle:
                self._idle.cancel()
            for task in self._tasks:
                task.cancel()

    async def _send(self, kind: str, **fields: Any) -> None:
        with suppress(ConnectionError):
            await self._socket.send_str(json.dumps({"type": kind, **fields}))

    async def _error(self, text: str, code: str) -> None:
        await self._send("error", error=text, code=code)

    async def _receive(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                if not event.get("model"):
                    await self._error("Missing required field: model", "invalid_event")
                elif event["model"] != "m":
                    await self._error("The model does not exist.", "model_not_found")
                else:
                    self._is_validated = True
            case "input_audio_buffer.append":
                await self._append(event)
            case "input_audio_buffer.commit":
                await self._commit(final=event.get("final", False))
            case kind:
                await self._error(f"Unknown event type: {kind}", "unknown_event")

    def _touch(self) -> None:
        if self._idle:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._script.idle_s, lambda: self._later(self._expire()))

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self) -> None:
        if self._script.idle_by == "error":
            await self._error("No audio for a while.", "idle_timeout")
        elif self._is_running:
            await self._finish()
        await asyncio.sleep(0.5)
        await self._socket.close(code=1000)

    async def _append(self, event: dict[str, Any]) -> None:
        self._touch()
        self._appends += 1
        match self._script.on_append(self._number, self._appends):
            case 0:
                transport = self._socket._req.transport  # type: ignore[union-attr]  # noqa: SLF001
                assert transport is not None
                transport.abort()
                return
            case int() as code:
                await self._socket.close(code=code)
                return
            case list() as events:
                for each in events:
                    await self._send(**each)
            case None:
                pass
        self._queue += base64.b64decode(event["audio"], validate=True)
        if self._is_running:
            await self._advance()

    async def _commit(self, *, final: bool) -> None:
        if not self._is_validated:
            await self._error("Model not validated.", "model_not_validated")
            return
        if final:
            await self._finish()
        elif not self._is_running:
            self._touch()
            self._is_running = True
            self._recognizer = Recognizer(16_000)
            self._heard_ms = 0
            self._tokens = 0
            self._words: list[str] = []
            self._text = ""
            self._held: list[str] = []
            self._late: deque[list[str]] = deque()
            self._segments = 0

    async def _advance(self) -> None:
        """Process the queue."""
        step_ms = _TOKEN_MS if self._script.model == "voxtral" else _SEGMENT_MS
        while len(self._queue) >= step_ms * _BYTES_PER_MS:
            pcm = bytes(self._queue[: step_ms * _BYTES_PER_MS])
            del self._queue[: len(pcm)]
            self._heard_ms += step_ms
            words = self._recognizer.add(pcm)
            if self._script.model == "voxtral":
                self._late.append(words)  # a word is in the token of the 80 ms in which it ends
                if self._heard_ms >= _DELAY_MS:
                    self._words += self._late.popleft()
                    await self._token()
            else:
                self._words += words
                await self._segment()

    async def _token(self) -> None:
        text = f" {self._words.pop(0)}" if self._words else ""
        await self._delta(text)

    async def _delta(self, text: str) -> None:
        self._tokens += 1
        self._text += text
        self._held.append(text)
        if len(self._held) >= self._script.merged:
            await self._flush()

    async def _flush(self) -> None:
        if not self._held:
            return
        text, self._held = "".join(self._held), []
        more: dict[str, Any] = {}
        if self._script.with_segments:
            more = {"segments": [{"text": text, "end": self._tokens * 0.08}]}
        await self._send("transcription.delta", delta=text, **more)

    async def _segment(self) -> None:
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
            await self._delta(part)
        if script.ends:
            await self._delta("")

    async def _finish(self) -> None:
        if not self._is_running:
            return
        self._is_running = False
        heard_any = bool(self._heard_ms or self._queue)
        if self._script.model == "voxtral":
            self._queue += bytes(12_760 * 2)
            self._is_running = True
            await self._advance()
            self._is_running = False
            self._words += [*itertools.chain(*self._late), *self._recognizer.end()]
            while self._words:
                await self._token()
        elif self._queue:
            self._words += self._recognizer.add(bytes(self._queue)) + self._recognizer.end()
            await asyncio.sleep(0.2)
            await self._segment()
        await self._flush()
        self._queue.clear()
        tokens = self._tokens if heard_any else 0
        usage = {"prompt_tokens": 39, "completion_tokens": tokens, "total_tokens": 39 + tokens}
        await self._send("transcription.done", text=self._text, usage=usage)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    """Serve it; yield its URL."""
    sessions = 0

    async def realtime(request: web.Request) -> web.WebSocketResponse:
        nonlocal sessions
        sessions += 1
        socket = web.WebSocketResponse(max_msg_size=20 << 20)
        await socket.prepare(request)
        await _Session(socket, script, sessions).run()
        return socket

    application = web.Application()
    application.router.add_get("/v1/realtime", realtime)
    async with listening(application, "127.0.0.1", 0) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"
