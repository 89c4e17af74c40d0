"""Encode what a server of OpenAI's Realtime transcription sessions sends. Pure.

`Encoder` encodes OpenAI's messages and SGLang's, `BetaEncoder` Speaches'. Those are written from
its source (`speaches/realtime`, 2026), and lack what is only for conversations.
"""

from typing import Any, Final

import msgspec

from container.cpu.openai_protocol import Input, RequestError
from container.cpu.server_session import Close, Reply

_ITEM: Final = "conversation.item.input_audio_transcription"
_encode: Final = msgspec.json.Encoder().encode


class _Events:
    """Encodes the messages of one session, each with another `event_id`."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._count = 0

    def encode(self, kind: str, **fields: object) -> str:
        self._count += 1
        event_id = f"event_{self._session_id}{self._count:06d}"
        return _encode({"type": kind, "event_id": event_id, **fields}).decode()

    def completed(self, item_id: str, text: str, seconds: float, **fields: object) -> str:
        usage = {"type": "duration", "seconds": seconds}
        ids = {"item_id": item_id, "content_index": 0}
        return self.encode(f"{_ITEM}.completed", **ids, transcript=text, usage=usage, **fields)

    def error(self, kind: str, message: str, code: str | None, event_id: str | None) -> str:
        ids = {"param": None, "event_id": event_id}
        return self.encode("error", error={"type": kind, "code": code, "message": message, **ids})


class Encoder:
    """Encodes the messages of one session.

    Args:
        session_id: 16 hex digits.
        created_s: seconds since the epoch.
        is_conversation: whether the session is one.
        reports_languages: whether the model does.

    Attributes:
        longest_s: length of the longest session.
    """

    longest_s: Final = 3600

    def __init__(
        self, session_id: str, created_s: int, *, is_conversation: bool, reports_languages: bool
    ) -> None:
        self._events = _Events(session_id)
        self._session_id = session_id
        self._created_s = created_s
        self._is_conversation = is_conversation
        self._reports_languages = reports_languages
        self._last_id: str | None = None  # of the newest committed item

    def event(self, kind: str, **fields: object) -> str:
        """Encode a message of any type."""
        return self._events.encode(kind, **fields)

    def session(self, kind: str, effective: Input) -> str:
        """Encode `session.created` or `session.updated`, with the effective configuration."""
        is_conversation = self._is_conversation
        session: dict[str, Any] = {
            "type": "realtime" if is_conversation else "transcription",
            "object": "realtime.session" if is_conversation else "realtime.transcription_session",
            "id": f"sess_{self._session_id}",
            "expires_at": self._created_s + self.longest_s,
            "audio": {"input": effective},
            "include": None,
        }
        return self.event(kind, session=session)

    def committed(self, item_id: str) -> list[Reply]:
        """Announce an item."""
        previous_id, self._last_id = self._last_id, item_id
        item = _described(item_id, None)
        return [
            self.event(
                "input_audio_buffer.committed", item_id=item_id, previous_item_id=previous_id
            ),
            self.event("conversation.item.added", previous_item_id=previous_id, item=item),
            self.event("conversation.item.done", previous_item_id=previous_id, item=item),
        ]

    def deltas(self, item_id: str, texts: list[str]) -> list[Reply]:
        """Encode further text of an item."""
        kind, ids = f"{_ITEM}.delta", {"item_id": item_id, "content_index": 0}
        return [self.event(kind, **ids, delta=text) for text in texts]

    def completed(self, item_id: str, text: str, seconds: float) -> list[Reply]:
        """Encode the whole text of an item."""
        languages = {"languages": [{"code": "en"}] if text else []}
        fields = languages if self._reports_languages else {}
        return [self._events.completed(item_id, text, seconds, **fields)]

    def failed(self, item_id: str) -> list[Reply]:
        """Report that an item has no text."""
        text = "The model did not finish in time"
        error = {"type": "server_error", "code": "server_error", "message": text, "param": None}
        ids = {"item_id": item_id, "content_index": 0}
        return [self.event(f"{_ITEM}.failed", **ids, error=error)]

    def expired(self) -> list[Reply]:
        """End the session because of its age."""
        text = "Your session hit the maximum duration of 60 minutes."
        return [self.error(RequestError("session_expired", text)), Close(1001, text)]

    def error(self, problem: RequestError, kind: str = "invalid_request_error") -> str:
        """Encode an `error`."""
        return self._events.error(kind, problem.message, problem.code, problem.event_id)


class BetaEncoder:
    """Encodes the messages of one session with Speaches; methods and attributes as of `Encoder`.

    Args:
        session_id: 16 hex digits.
    """

    longest_s: Final = 1800

    def __init__(self, session_id: str) -> None:
        self._events = _Events(session_id)
        self._session_id = session_id
        self._last_id: str | None = None  # of the newest item that has text

    def event(self, kind: str, **fields: object) -> str:
        """Encode a message of any type."""
        return self._events.encode(kind, **fields)

    def session(self, kind: str, effective: Input) -> str:
        """Encode the configuration; `model` would be that of a conversation."""
        session: dict[str, Any] = {
            "id": f"sess_{self._session_id}",
            "model": "gpt-4o-realtime-preview",
            "modalities": ["audio", "text"],
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": effective.transcription,
            "turn_detection": effective.turn_detection,
        }
        return self.event(kind, session=session)

    def committed(self, item_id: str) -> list[Reply]:
        """Announce an item; its predecessor is the newest one that has text already."""
        ids = {"item_id": item_id, "previous_item_id": self._last_id}
        return [self.event("input_audio_buffer.committed", **ids)]

    def deltas(self, _item_id: str, _texts: list[str]) -> list[Reply]:
        """Return nothing: text is sent once an item is complete."""
        return []

    def completed(self, item_id: str, text: str, seconds: float) -> list[Reply]:
        """Encode the whole text of an item, after the item itself if there is any."""
        completed = self._events.completed(item_id, text, seconds, logprobs=None)
        if not text:
            return [completed]
        previous_id, self._last_id = self._last_id, item_id
        item = _described(item_id, text)
        kind = "conversation.item.created"
        return [self.event(kind, item=item, previous_item_id=previous_id), completed]

    def failed(self, _item_id: str) -> list[Reply]:
        """Report that some item has no text."""
        return [self.error(RequestError("", "Transcription failed"), "server_error")]

    def expired(self) -> list[Reply]:
        """End the session because of its age, without a message."""
        return [Close(1011)]

    def error(self, problem: RequestError, kind: str = "invalid_request_error") -> str:
        """Encode an `error`, without a code and the event that caused it."""
        return self._events.error(kind, problem.message, None, None)


def _described(item_id: str, text: str | None) -> dict[str, Any]:
    content = [{"type": "input_audio", "transcript": text}]
    kind = {"type": "message", "role": "user", "status": "completed"}
    return {"id": item_id, "object": "realtime.item", **kind, "content": content}
