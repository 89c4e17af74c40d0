"""A server of Realtime transcription sessions, from OpenAI's reference and SGLang's source."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.vendors import servers
from tests.vendors.servers import Close, Send, VendorServer
from tests.vendors.words import Ears

_ITEM: Final = "conversation.item.input_audio_transcription"
EMPTY: Final = "input_audio_buffer_commit_empty"


@dataclass(frozen=True, kw_only=True)
class Script:
    """What one server does where the documentation leaves it open, or fails.

    Attributes:
        rate_hz: the rate of PCM that it accepts.
        has_g711: whether it accepts mu-law.
        deltas: when text is sent before `completed`: "early" before the commit, under the id that
            `committed` announces; "late" after it; "none".
        vad: "off": it ends no item by itself; "on": it does after 500 ms of silence, whatever was
            asked; "reported": it only says so.
        delay_s: time from the commit to `completed`, by the number of the item.
        spell: makes the text of `completed` from the words.
        failed: numbers of items that fail.
        refused: numbers of commits that are refused as empty although they are not.
        lost: numbers of commits at which the connection is lost.
        idle_s: time without a message after which it closes the connection.
        names_commit: whether such an error has the id of the commit's event.
        created_after_s: delay of `session.created`.
        updates: how often `session.updated` is sent.
        item_id: names items by the number of the session and of the item.
        chain: whether `previous_item_id` is sent.
        session_type: in its description of sessions.
        expires_at: likewise.
        is_beta: whether it is Speaches, which speaks the beta version.
        full: numbers of sessions for which it has no room.
        on_append: called with the numbers of the session and of an append; returns messages, or a
            close code: 0 loses the connection, 1005 is a close without a code.
    """

    rate_hz: int = 24_000
    has_g711: bool = True
    deltas: str = "early"
    vad: str = "off"
    delay_s: Callable[[int], float] = lambda number: 0.3
    spell: Callable[[str], str] = lambda text: text
    failed: frozenset[int] = frozenset()
    refused: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    idle_s: float = 3600.0
    names_commit: bool = True
    created_after_s: float = 0.0
    updates: int = 1
    item_id: Callable[[int, int], str] = lambda session, number: f"item_{session}_{number}"
    chain: bool = True
    session_type: str = "transcription"
    expires_at: object = None
    is_beta: bool = False
    full: frozenset[int] = frozenset()
    on_append: Callable[[int, int], list[dict[str, Any]] | int | None] = lambda session, n: None


@dataclass
class Seen:
    """What happened at the server.

    Attributes:
        commits: number of commits of clients.
        most_open: the largest number of items without an end.
    """

    commits: int = 0
    most_open: int = 0


class _Item:
    def __init__(self, number: int, item_id: str, rate_hz: int) -> None:
        self.number = number
        self.item_id = item_id
        self.samples = 0
        self.has_speech = False
        self.quiet_ms = 0
        self.words: list[str] = []
        self.shown = 0
        self.ears = Ears(rate_hz)


class OpenAiPeer:
    """One connection.

    Args:
        script: what it does.
        seen: what happened at the server.
        number: of the session.
        send: sends a message, or ends the connection.
    """

    def __init__(self, script: Script, seen: Seen, number: int, send: Send) -> None:
        self.seen = seen
        self._script = script
        self._number = number
        self._send_text = send
        self._events = 0
        self._appends = 0
        self._items = 0
        self._open = 0
        self._at_ms = 0
        self._last_id: str | None = None
        self._model: str | None = None
        self._format: dict[str, Any] = {"type": "audio/pcm", "rate": script.rate_hz}
        self._item = self._new_item()
        self._loop = asyncio.get_running_loop()
        self._idle = self._loop.call_later(script.idle_s, self._end, 1000)
        self._loop.call_later(script.created_after_s, self._greet)

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame, which is none of this protocol's."""
        raise AssertionError("a binary frame")

    def control(self, text: str) -> None:
        """Receive a text frame."""
        self._idle.cancel()
        self._idle = self._loop.call_later(self._script.idle_s, self._end, 1000)
        self._receive(json.loads(text))

    def stop(self) -> None:
        """The connection is over."""
        self._idle.cancel()

    def _greet(self) -> None:
        if self._number in self._script.full:
            self._error("too_many_sessions")
            self._end(1000)
        else:
            self._send("session.created", session=self._description())

    def _send(self, kind: str, **fields: Any) -> None:
        self._events += 1
        event = {"type": kind, "event_id": f"event_{self._number}_{self._events}", **fields}
        self._send_text(json.dumps(event))

    def _end(self, code: int) -> None:
        """Close with a code; see `Script.on_append`."""
        self._send_text(Close(code or None))

    def _error(self, code: str | None, event_id: str | None = None) -> None:
        code = None if self._script.is_beta else code
        error = {"type": "invalid_request_error", "code": code, "message": "m", "param": None}
        self._send("error", error=error | {"event_id": event_id})

    def _description(self) -> dict[str, Any]:
        vad = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500}
        if self._script.is_beta:
            return {
                "id": f"sess_{self._number}",
                "model": "gpt-4o-realtime-preview",
                "modalities": ["audio", "text"],
                "input_audio_format": "pcm16",
                "input_audio_transcription": {"model": "m", "language": None},
                "turn_detection": None if self._model else vad,
            }
        audio_input = {
            "format": self._format,
            "transcription": {"model": self._model} if self._model else None,
            "noise_reduction": None,
            "turn_detection": None if self._script.vad == "off" else vad,
        }
        return {
            "type": self._script.session_type,
            "object": "realtime.transcription_session",
            "id": f"sess_{self._number}",
            "expires_at": self._script.expires_at,
            "audio": {"input": audio_input},
            "include": None,
            "a_new_field": {"x": [1, 2]},
        }

    def _new_item(self) -> _Item:
        self._items += 1
        item_id = self._script.item_id(self._number, self._items)
        return _Item(self._items, item_id, self._rate_hz)

    @property
    def _rate_hz(self) -> int:
        return int(self._format.get("rate", 8000))

    @property
    def _sample_bytes(self) -> int:
        return 1 if self._rate_hz == 8000 else 2

    def _receive(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._update(event)
            case "input_audio_buffer.append":
                self._append(event)
            case "input_audio_buffer.commit":
                self._commit(event)
            case _:
                self._error("invalid_value", event.get("event_id"))

    def _update(self, event: dict[str, Any]) -> None:
        session = event.get("session")
        if self._script.is_beta:
            assert session == {"turn_detection": None, "input_audio_transcription": {"model": "m"}}
            self._model = "m"
            self._send("session.updated", session=self._description())
            return
        if session is None or session.get("type") != "transcription":
            self._error("invalid_value")
            return
        if self._script.session_type != "transcription":
            self._error("invalid_parameter", event.get("event_id"))
            return
        given = session["audio"]["input"]
        forms = [{"type": "audio/pcm", "rate": self._script.rate_hz}]
        if self._script.has_g711:
            forms.append({"type": "audio/pcmu"})
        if given["format"] not in forms:
            self._error("invalid_value")
            return
        if given["transcription"]["model"] != "m":
            self._error("model_not_found")
            return
        self._model, self._format = "m", given["format"]
        self._item.ears = Ears(self._rate_hz)
        for _ in range(self._script.updates):
            self._send("session.updated", session=self._description())

    def _append(self, event: dict[str, Any]) -> None:
        if self._model is None:
            self._error("invalid_state")
            return
        audio = base64.b64decode(event["audio"], validate=True)
        assert audio
        assert len(audio) % self._sample_bytes == 0
        self._appends += 1
        match self._script.on_append(self._number, self._appends):
            case int() as code:
                self._end(code)
                return
            case list() as events:
                for each in events:
                    self._send(**each)
            case None:
                pass
        self._recognize(audio)

    def _recognize(self, audio: bytes) -> None:
        item, has_vad = self._item, self._script.vad == "on"
        samples = len(audio) // self._sample_bytes
        milliseconds = samples * 1000 // self._rate_hz
        self._at_ms += milliseconds
        item.samples += samples
        item.ears.hear(audio)
        item.words = [word.text for word in item.ears.ended]
        is_loud = item.ears.is_in_word
        item.quiet_ms = 0 if is_loud else item.quiet_ms + milliseconds
        if is_loud and not item.has_speech:
            item.has_speech = True
            if has_vad:
                start_ms = max(0, self._at_ms - 300)
                kind = "input_audio_buffer.speech_started"
                self._send(kind, item_id=item.item_id, audio_start_ms=start_ms)
        if self._script.deltas == "early":
            self._show(item)
        if has_vad and item.has_speech and item.quiet_ms >= 500:
            kind = "input_audio_buffer.speech_stopped"
            self._send(kind, item_id=item.item_id, audio_end_ms=self._at_ms)
            self._announce()

    def _show(self, item: _Item) -> None:
        while item.shown < len(item.words):
            text = (" " if item.shown else "") + item.words[item.shown]
            item.shown += 1
            self._send(
                f"{_ITEM}.delta", item_id=item.item_id, content_index=0, delta=text, logprobs=None
            )

    def _commit(self, event: dict[str, Any]) -> None:
        self.seen.commits += 1
        if self.seen.commits in self._script.lost:
            self._end(0)
            return
        script, item = self._script, self._item
        is_empty = item.samples * 1000 < 100 * self._rate_hz
        if script.vad == "on" and not item.has_speech:
            is_empty = True
        if is_empty or self.seen.commits in script.refused:
            self._item = self._new_item()
            self._error(EMPTY, event.get("event_id") if script.names_commit else None)
            return
        self._announce()

    def _announce(self) -> None:
        item, self._item = self._item, self._new_item()
        previous_id = self._last_id
        if not self._script.is_beta:  # else it is the newest item that is transcribed
            self._last_id = item.item_id
        ids = {"previous_item_id": previous_id} if self._script.chain else {}
        self._send("input_audio_buffer.committed", item_id=item.item_id, **ids)
        shown = {
            "id": item.item_id,
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for kind in ("added", "done", "created"):
            self._send(f"conversation.item.{kind}", item=shown, previous_item_id=previous_id)
        self._open += 1
        self.seen.most_open = max(self.seen.most_open, self._open)
        self._loop.call_later(self._script.delay_s(item.number), self._complete, item)

    def _complete(self, item: _Item) -> None:
        item.words = [word.text for word in item.ears.words]
        self._last_id = item.item_id if self._script.is_beta else self._last_id
        self._open -= 1
        ids = {"item_id": item.item_id, "content_index": 0}
        if item.number in self._script.failed:
            error = {"type": "server_error", "code": "x", "message": "m", "param": None}
            self._send(f"{_ITEM}.failed", **ids, error=error)
            return
        if self._script.deltas != "none":
            self._show(item)
        usage = {"type": "duration", "seconds": item.samples / self._rate_hz}
        text = self._script.spell(" ".join(item.words))
        self._send(f"{_ITEM}.completed", **ids, transcript=text, usage=usage, languages=[])
        self._send("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 1}])


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[VendorServer[OpenAiPeer]]:
    """Serve it."""
    seen = Seen()

    def refuse(query: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        return (403, {}) if script.is_beta and query.get("model") != "m" else None

    async with servers.serving(
        "/v1/realtime", lambda number, send: OpenAiPeer(script, seen, number, send)
    ) as server:
        server.refuse = refuse
        yield server
