"""Parse and encode the messages of the Realtime API, as vLLM 0.32 does. Pure.

    parse(text) -> Update | Append | Commit      a client's message
    RequestError                                 an invalid message, with vLLM's error text

Unknown keys are ignored. An invalid message gets an `error` reply; the connection stays open.
"""

from binascii import Error as Base64Error
from typing import Any

import msgspec
import pybase64

EMPTY_DELTA = '{"type":"transcription.delta","delta":""}'


class RequestError(Exception):
    """An invalid client message, which gets an `error` reply.

    Args:
        code: vLLM's error code.
        message: vLLM's error text. It may quote the client's message, so it must not be logged.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)


class Update(msgspec.Struct, frozen=True):
    """`session.update`: selects a model."""

    model: str


class Append(msgspec.Struct, frozen=True, gc=False):
    """`input_audio_buffer.append`: adds audio, PCM16 little-endian, 16 kHz mono."""

    pcm: bytes

    def __repr__(self) -> str:
        """Return a description without the audio."""
        return f"Append({len(self.pcm)} bytes)"


class Commit(msgspec.Struct, frozen=True):
    """`input_audio_buffer.commit`: starts a generation or, if `final`, ends its audio.

    `final` may have any type, because vLLM checks it only after a model is selected.
    """

    final: Any = False

    def is_final(self) -> bool:
        """Return whether the commit ends the audio.

        Raises:
            RequestError: `final` is not a boolean.
        """
        if not isinstance(self.final, bool):
            problem = "Input should be a valid boolean"
            raise RequestError(
                "processing_error", _validation("InputAudioBufferCommit", "final", problem)
            )
        return self.final


type Request = Update | Append | Commit


class _Message(msgspec.Struct, gc=False):
    type: Any = None
    model: Any = None
    audio: Any = msgspec.UNSET
    final: Any = False


_decode = msgspec.json.Decoder(_Message).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def parse(text: str | bytes) -> Request:
    """Parse one client message.

    Raises:
        RequestError: the message is invalid; the error has vLLM's code and text.
    """
    message = _message(text)
    match message.type:
        case "input_audio_buffer.append":
            return Append(_pcm(message.audio))
        case "input_audio_buffer.commit":
            return Commit(message.final)
        case "session.update":
            if message.model is None:
                raise RequestError("invalid_event", "Missing required field: model")
            return Update(str(message.model))
        case unknown:
            raise RequestError("unknown_event", f"Unknown event type: {unknown}")


def session_created(session_id: str, created_s: int) -> str:
    """Encode `session.created`, the first message of a connection.

    Args:
        session_id: 16 hex digits.
        created_s: seconds since the epoch.
    """
    return f'{{"type":"session.created","id":"sess-{session_id}","created":{created_s}}}'


def delta(text: str) -> str:
    """Encode a `transcription.delta` with one token's text, which is often empty."""
    if not text:
        return EMPTY_DELTA
    return f'{{"type":"transcription.delta","delta":{_encode(text).decode()}}}'


def done(text: str, prompt_tokens: int, completion_tokens: int) -> str:
    """Encode `transcription.done`, the last message of a generation."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    return _encode({"type": "transcription.done", "text": text, "usage": usage}).decode()


def error(code: str, message: str) -> str:
    """Encode an `error` message: an invalid request or a failure of the engine."""
    return _encode({"type": "error", "error": message, "code": code}).decode()


def _message(text: str | bytes) -> _Message:
    try:
        try:
            return _decode(text)
        except (
            msgspec.ValidationError
        ):  # not an object, or invalid JSON, which the next line detects
            kind = type(_decode_any(text)).__name__
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestError("invalid_json", "Invalid JSON") from None
    raise RequestError("processing_error", f"'{kind}' object has no attribute 'get'")


def _pcm(audio: object) -> bytes:
    if not isinstance(audio, str):
        problem = "Field required" if audio is msgspec.UNSET else "Input should be a valid string"
        raise RequestError(
            "processing_error", _validation("InputAudioBufferAppend", "audio", problem)
        )
    try:
        pcm = pybase64.b64decode(audio, validate=True)
    except (Base64Error, ValueError):
        pcm = b""
    if not pcm or len(pcm) % 2:
        raise RequestError("invalid_audio", "Invalid audio data")
    return pcm


def _validation(model: str, field: str, problem: str) -> str:
    """Format a validation error as pydantic does, which vLLM passes on."""
    return f"1 validation error for {model}\n{field}\n  {problem}"
