"""The Realtime API's messages, as vLLM 0.32 reads and writes them. Pure.

    parse(text) -> Update | Append | Commit        what the client said
    RequestError                                 what is wrong with it, in vLLM's words

Unknown extra keys are ignored. A refusal is answered with an `error` message; the connection stays.
"""

from binascii import Error as Base64Error
from typing import Any

import msgspec
import pybase64

EMPTY_DELTA = '{"type":"transcription.delta","delta":""}'


class RequestError(Exception):
    """A client message that is answered with an `error`.

    Args:
        code: vLLM's slug.
        message: vLLM's text; may quote the client, so it goes to the client only.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)


class Update(msgspec.Struct, frozen=True):
    """`session.update`: which model the client wants."""

    model: str


class Append(msgspec.Struct, frozen=True, gc=False):
    """`input_audio_buffer.append`: more audio, PCM16 little-endian, 16 kHz mono."""

    pcm: bytes

    def __repr__(self) -> str:
        """Describe it without its audio."""
        return f"Append({len(self.pcm)} bytes)"


class Commit(msgspec.Struct, frozen=True):
    """`input_audio_buffer.commit`: start a generation, or end its audio."""

    final: bool


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
    """Understand one client message.

    Raises:
        RequestError: with vLLM's code and text.
    """
    message = _message(text)
    match message.type:
        case "input_audio_buffer.append":
            return Append(_pcm(message.audio))
        case "input_audio_buffer.commit":
            return Commit(_flag(message.final))
        case "session.update":
            if message.model is None:
                raise RequestError("invalid_event", "Missing required field: model")
            return Update(str(message.model))
        case unknown:
            raise RequestError("unknown_event", f"Unknown event type: {unknown}")


def session_created(session_id: str, created_s: int) -> str:
    """Greet a client; `session_id` is 16 hex digits, `created_s` the epoch time."""
    return f'{{"type":"session.created","id":"sess-{session_id}","created":{created_s}}}'


def delta(text: str) -> str:
    """One token's text, often empty."""
    if not text:
        return EMPTY_DELTA
    return f'{{"type":"transcription.delta","delta":{_encode(text).decode()}}}'


def done(text: str, prompt_tokens: int, completion_tokens: int) -> str:
    """The end of a generation."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    return _encode({"type": "transcription.done", "text": text, "usage": usage}).decode()


def error(code: str, message: str) -> str:
    """A refusal or a failure, as the client sees it."""
    return _encode({"type": "error", "error": message, "code": code}).decode()


def _message(text: str | bytes) -> _Message:
    try:
        try:
            return _decode(text)
        except msgspec.ValidationError:  # no object; or no JSON, which only shows further on
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


def _flag(final: object) -> bool:
    if not isinstance(final, bool):
        problem = "Input should be a valid boolean"
        raise RequestError(
            "processing_error", _validation("InputAudioBufferCommit", "final", problem)
        )
    return final


def _validation(model: str, field: str, problem: str) -> str:
    """Say it as pydantic does."""
    return f"1 validation error for {model}\n{field}\n  {problem}"
