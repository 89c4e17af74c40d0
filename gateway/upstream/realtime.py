"""The Realtime protocol of vLLM's /v1/realtime, client's side. Pure: bytes in, messages out.

    us    session.update{model} . commit . append . append ... commit{final}
    peer  session.created . delta . delta ............................ done

Every message is one JSON text. The peer acknowledges nothing: what it makes of an `append` shows
only in its deltas, one per 80 ms of audio, most of them empty. Source: vLLM 0.32, realtime API.
"""

from typing import Final

import msgspec
import pybase64

from gateway.errors import UpstreamError

TOKEN_BYTES: Final = 2560  # the audio behind each delta: 80 ms
MAX_DELTA_CHARACTERS: Final = 4096  # far beyond a token; a segment is a thousand of them at most

COMMIT: Final = b'{"type":"input_audio_buffer.commit","final":false}'
FINAL_COMMIT: Final = b'{"type":"input_audio_buffer.commit","final":true}'

_APPEND_HEAD: Final = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL: Final = b'"}'


def session_update(model: str) -> bytes:
    """Name the model; must come before the first commit."""
    return msgspec.json.encode({"type": "session.update", "model": model})


def append(pcm: bytes) -> bytes:
    """Carry audio: PCM16 little-endian, 16 kHz, mono; a whole number of samples, at least one."""
    return b"".join((_APPEND_HEAD, pybase64.b64encode(pcm), _APPEND_TAIL))


class SessionCreated(msgspec.Struct, frozen=True, tag="session.created"):
    """The peer is there; sent at once, also by a server that has no slot for us."""


class Delta(msgspec.Struct, frozen=True, gc=False, tag="transcription.delta"):
    """The text of one more token; often empty, never with a time."""

    delta: str

    def __repr__(self) -> str:
        """Describe the delta without its text."""
        return f"Delta({len(self.delta)} characters)"


class Done(msgspec.Struct, frozen=True, tag="transcription.done"):
    """A generation ended: after our final commit, or unasked when the context is full."""


class ErrorReceived(msgspec.Struct, frozen=True, tag="error"):
    """The peer's complaint. Its text is not kept: it may quote what we sent."""

    code: str | None = None

    def as_upstream_error(self) -> UpstreamError:
        """Map it to one of our reasons."""
        reason = "model-not-found" if self.code == "model_not_found" else "realtime-error"
        return UpstreamError(reason, self.code if self.code in _ERROR_CODES else "unknown code")


class UnknownMessage(msgspec.Struct, frozen=True):
    """A well-formed message of a type this page does not know; to be ignored."""


type ServerMessage = SessionCreated | Delta | Done | ErrorReceived | UnknownMessage

_ERROR_CODES: Final = frozenset(
    {
        "invalid_json",
        "processing_error",
        "unknown_event",
        "invalid_event",
        "model_not_found",
        "model_not_validated",
        "invalid_audio",
    }
)


class _Typed(msgspec.Struct):
    """Any message, as far as its type."""

    type: str


_KNOWN: Final[msgspec.json.Decoder[ServerMessage]] = msgspec.json.Decoder(
    SessionCreated | Delta | Done | ErrorReceived
)
_ANY: Final = msgspec.json.Decoder(_Typed)
# msgspec's for JSON and types, Python's for UTF-8, and for nesting without end.
_NOT_UNDERSTOOD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KNOWN_TYPES: Final = frozenset(
    {"session.created", "transcription.delta", "transcription.done", "error"}
)


def decode(message: bytes) -> ServerMessage:
    """Read one message of the peer.

    Raises:
        UpstreamError: realtime-protocol-error, when it is no JSON object with a type, or a known
            type with fields of the wrong kind.
    """
    try:
        known = _KNOWN.decode(message)
    except _NOT_UNDERSTOOD:  # ValidationError is a DecodeError
        return _decode_unusual(message)
    if isinstance(known, Delta) and len(known.delta) > MAX_DELTA_CHARACTERS:
        raise UpstreamError("realtime-protocol-error", "a delta too long for a token")
    return known


def _decode_unusual(message: bytes) -> UnknownMessage:
    """Return `UnknownMessage` for an unknown type; raise UpstreamError for malformed messages."""
    try:
        kind = _ANY.decode(message).type
    except _NOT_UNDERSTOOD:
        raise UpstreamError("realtime-protocol-error", "not a typed JSON object") from None
    if kind in _KNOWN_TYPES:
        raise UpstreamError("realtime-protocol-error", f"malformed {kind}")
    return UnknownMessage()
