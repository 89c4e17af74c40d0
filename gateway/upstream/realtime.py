"""Encode and decode the client side of vLLM's /v1/realtime. Pure: bytes in, messages out.

    client  session.update{model} . commit . append . append ... commit{final}
    server  session.created . delta . delta ............................ done

Every message is one JSON text. The server does not acknowledge an `append`. It sends one delta per
80 ms of audio, and most deltas are empty. Source: vLLM 0.32, Realtime API. If the gateway asks for
it (`coalescing_query`), the container's bridge combines deltas (`Deltas`).
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
import pybase64

from gateway.errors import UpstreamError
from gateway.upstream.dialects.typed_messages import DECODE_ERRORS, TypedMessages

TOKEN_BYTES: Final = 2560  # the audio of one delta: 80 ms
# vLLM after 0.33 is about to end sessions without audio (pull requests 46814 and 46926).
IDLE_S: Final = 30.0
MAX_DELTA_CHARACTERS: Final = 4096  # far longer than any token; a segment has at most 1000 deltas
_MOST_DELTAS: Final = 100_000  # empty ones in a row: far more than any context has

_MOST_ITEMS: Final = 1000  # the bridge sends at most 64

COMMIT: Final = b'{"type":"input_audio_buffer.commit","final":false}'
FINAL_COMMIT: Final = b'{"type":"input_audio_buffer.commit","final":true}'

_APPEND_HEAD: Final = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL: Final = b'"}'


def coalescing_query(window_ms: int) -> str:
    """Return the query that makes the bridge combine the deltas of a window; "" for 0.

    Other servers ignore it, and send each delta.
    """
    return f"coalesce_ms={window_ms}" if window_ms else ""


def session_update(model: str) -> bytes:
    """Encode the message that selects the model; must be sent before the first commit."""
    return msgspec.json.encode({"type": "session.update", "model": model})


def append(pcm: bytes) -> bytes:
    """Encode audio: PCM16 little-endian, 16 kHz, mono; a whole number of samples, at least one.

    OpenAI's API, which has the same message, may expect another rate or encoding.
    """
    return b"".join((_APPEND_HEAD, pybase64.b64encode(pcm), _APPEND_TAIL))


class SessionCreated(msgspec.Struct, frozen=True, tag="session.created"):
    """The server accepted the connection; sent at once, even if it has no free slot.

    Attributes:
        session: in OpenAI's and Mistral's APIs, its configuration; vLLM sends none.
    """

    session: Any = None

    @property
    def is_foreign(self) -> bool:
        """Whether another kind of server has sent it."""
        return self.session is not None


class Delta(msgspec.Struct, frozen=True, gc=False, tag="transcription.delta"):
    """The text of one token; often empty, never with a time."""

    delta: str

    def __repr__(self) -> str:
        """Describe the delta without its text."""
        return f"Delta({len(self.delta)} characters)"


class Deltas(msgspec.Struct, frozen=True, gc=False, tag="transcription.deltas"):
    """Several deltas in order, as the bridge combines them; a number is that many empty ones."""

    deltas: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=_MOST_DELTAS)] | str, ...],
        msgspec.Meta(max_length=_MOST_ITEMS),
    ]

    def __repr__(self) -> str:
        """Describe the deltas without their text."""
        return f"Deltas({len(self.deltas)} items)"

    @property
    def longest(self) -> int:
        """The number of characters of the longest delta."""
        return max((len(item) for item in self.deltas if isinstance(item, str)), default=0)

    def texts(self) -> Iterator[str]:
        """Yield the text of each delta."""
        for item in self.deltas:
            yield from itertools.repeat("", item) if isinstance(item, int) else (item,)


class Done(msgspec.Struct, frozen=True, tag="transcription.done"):
    """A generation ended: after the final commit, or earlier because the context is full."""

    usage: Any = None  # of any type: a server may leave it out, or send something else

    def __repr__(self) -> str:
        """Describe the end by the number of its tokens."""
        return f"Done({self.tokens} tokens)"

    @property
    def tokens(self) -> int | None:
        """Number of tokens that the model generated; None if the server does not report it."""
        tokens = self.usage.get("completion_tokens") if isinstance(self.usage, dict) else None
        return tokens if isinstance(tokens, int) else None


class ErrorReceived(msgspec.Struct, frozen=True, tag="error"):
    """An error reported by the server. Its text is dropped, because it may quote the request."""

    code: str | None = None

    def as_upstream_error(self) -> UpstreamError:
        """Map the code to one of the gateway's reasons."""
        reason = "model-not-found" if self.code == "model_not_found" else "realtime-error"
        return UpstreamError(reason, self.code if self.code in _ERROR_CODES else "unknown code")


class UnknownMessage(msgspec.Struct, frozen=True):
    """A well-formed message of an unknown type, which is to be ignored."""


type _Known = SessionCreated | Delta | Deltas | Done | ErrorReceived
type ServerMessage = _Known | UnknownMessage

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

_MESSAGES: Final = TypedMessages[_Known](_Known)
_KNOWN: Final = _MESSAGES.known


def decode(message: bytes) -> ServerMessage:
    """Decode one message from the server.

    Raises:
        UpstreamError: realtime-protocol-error, if the message is not a JSON object with a type, or
            if its type is known and its fields are invalid; model-mismatch, if another kind of
            server has sent it.
    """
    try:
        known = _KNOWN.decode(message)
    except DECODE_ERRORS:
        _MESSAGES.refuse_malformed(message)
        return UnknownMessage()
    if isinstance(known, Delta):  # nearly every message
        is_long = len(known.delta) > MAX_DELTA_CHARACTERS
    else:
        is_long = isinstance(known, Deltas) and known.longest > MAX_DELTA_CHARACTERS
        if isinstance(known, SessionCreated) and known.is_foreign:
            raise UpstreamError("model-mismatch", "the server does not speak vLLM's Realtime API")
    if is_long:
        raise UpstreamError("realtime-protocol-error", "a delta is too long for a token")
    return known
