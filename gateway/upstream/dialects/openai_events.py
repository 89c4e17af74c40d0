"""Decode what the server sends in OpenAI's Realtime transcription sessions. Pure.

Only the fields that the gateway uses are decoded. Texts of errors are dropped, because they may
quote the request. Source: OpenAI's API reference for Realtime, `openai` 3.57.
"""

from typing import Annotated, Any, Final

import msgspec

from gateway.errors import UpstreamError
from gateway.upstream.dialects.typed_messages import TypedMessages

type _Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

_INVALID: Final = "invalid_request_error"
_ITEM: Final = "conversation.item.input_audio_transcription"
OPENAI: Final = "OpenAI's"
BETA: Final = "the beta version of OpenAI's"


class Format(msgspec.Struct, frozen=True):
    """The format of the audio."""

    type: str | None = None
    rate: int | None = None


class Input(msgspec.Struct, frozen=True):
    """The configuration of the audio; `turn_detection` is None if the client ends items."""

    format: Format | None = None
    turn_detection: dict[str, object] | None = None


class Audio(msgspec.Struct, frozen=True):
    """Contains `Input`."""

    input: Input | None = None


class Configuration(msgspec.Struct, frozen=True):
    """The configuration of a session.

    Attributes:
        type: "transcription", or "realtime" for a conversation.
        input_audio_format: only in the beta version of the API.
        turn_detection: likewise.
        request_id: only in Mistral's API.
        expires_at: when the server ends the session, in Unix seconds.
    """

    type: str | None = None
    input_audio_format: Any = None
    turn_detection: Any = None
    request_id: Any = None
    expires_at: Any = None
    audio: Audio | None = None

    @property
    def api(self) -> str:
        """Which API the server speaks, as far as this shows."""
        if self.request_id is not None:
            return "Mistral's"
        return BETA if self.input_audio_format is not None else OPENAI

    @property
    def expires_s(self) -> float | None:
        """When the session ends, if that is a number."""
        return self.expires_at if isinstance(self.expires_at, int | float) else None

    @property
    def detects_voice(self) -> bool:
        """Whether the server ends items, too."""
        return self.turn_detection is not None or self.input.turn_detection is not None

    @property
    def is_conversation(self) -> bool:
        """Whether the session is not for transcription."""
        return self.type == "realtime"

    @property
    def input(self) -> Input:
        """The configuration of the audio, as far as the server reports it."""
        return (self.audio or Audio()).input or Input()


class Created(msgspec.Struct, frozen=True, tag="session.created"):
    """The first message; vLLM's, whose API is another one, has an `id` and no `session`."""

    session: Configuration | None = None
    id: Any = None

    @property
    def api(self) -> str | None:
        """Which API the server speaks; None if this does not show it."""
        if self.session is not None:
            return self.session.api
        return "vLLM's" if self.id is not None else None


class Updated(msgspec.Struct, frozen=True, tag="session.updated"):
    """The answer to `session.update`: what the server will do."""

    session: Configuration


class Committed(msgspec.Struct, frozen=True, tag="input_audio_buffer.committed"):
    """An item has ended."""

    item_id: _Id
    previous_item_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class SpeechStopped(msgspec.Struct, frozen=True, tag="input_audio_buffer.speech_stopped"):
    """The server's voice detection ends an item, which is announced next."""

    item_id: _Id


class Delta(msgspec.Struct, frozen=True, tag=f"{_ITEM}.delta"):
    """Further text of an item."""

    item_id: _Id
    delta: str | None = None


class Completed(msgspec.Struct, frozen=True, tag=f"{_ITEM}.completed"):
    """The whole text of an item.

    The model's languages, as objects with a code, or one language; other values are ignored.
    """

    item_id: _Id
    transcript: str
    languages: object = None
    language: object = None

    @property
    def detected(self) -> object:
        """The first language, as the server reports it."""
        if isinstance(self.languages, list) and self.languages:
            first = self.languages[0]
            return first.get("code") if isinstance(first, dict) else first
        return self.language


class Failed(msgspec.Struct, frozen=True, tag=f"{_ITEM}.failed"):
    """An item without text; the session continues."""

    item_id: _Id


class Problem(msgspec.Struct, frozen=True):
    """What is wrong; `event_id` is that of the client's message, if it is known."""

    type: str | None = None
    code: str | None = None
    event_id: str | None = None


class ErrorReceived(msgspec.Struct, frozen=True, tag="error"):
    """An error. vLLM's API, which is another one, reports a text instead of a `Problem`."""

    error: Problem | str

    @property
    def problem(self) -> Problem:
        """What is wrong."""
        return self.error if isinstance(self.error, Problem) else Problem(_INVALID)


type ServerMessage = (
    Created | Updated | SpeechStopped | Committed | Delta | Completed | Failed | ErrorReceived
)

EMPTY_COMMIT: Final = "input_audio_buffer_commit_empty"
_REASONS: Final = {  # by error code; codes are quoted, texts never
    EMPTY_COMMIT: "realtime-error",
    "buffer_overflow": "realtime-error",
    "insufficient_quota": "throttled",
    "invalid_api_key": "access-denied",
    "invalid_model": "model-not-found",
    "invalid_parameter": "validation-error",
    "invalid_state": "realtime-error",
    "invalid_value": "validation-error",
    "model_load_error": "model-not-found",
    "model_not_found": "model-not-found",
    "not_implemented": "validation-error",
    "not_supported": "validation-error",
    "rate_limit_exceeded": "throttled",
    "server_error": "realtime-error",
    "session_expired": "service-unavailable",
    "too_many_sessions": "model-at-capacity",
    "unknown_parameter": "validation-error",
}


def as_upstream_error(problem: Problem, *, is_ready: bool) -> UpstreamError:
    """Map an error to one of the gateway's reasons.

    Args:
        problem: what the server reports.
        is_ready: whether the session is configured. If False, an invalid request is about that,
            and would be refused again.
    """
    code = problem.code if problem.code in _REASONS else "unknown code"
    is_permanent = problem.type == _INVALID and not is_ready
    return UpstreamError(
        _REASONS.get(code, "validation-error" if is_permanent else "realtime-error"), code
    )


decode: Final = TypedMessages[ServerMessage](ServerMessage, optional=(SpeechStopped,)).decode
