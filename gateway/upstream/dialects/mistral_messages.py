"""The messages of Mistral's server. Pure: bytes in, messages out."""

from typing import Annotated, Final

import msgspec

from gateway.errors import UpstreamError

MOST_CHARACTERS: Final = 20_000  # of text that is not final; someone who reads fast says 1,200


class Created(msgspec.Struct, tag="session.created"):
    """The server accepted the connection."""


class Format(msgspec.Struct):
    """Encoding and rate of the audio."""

    encoding: str
    sample_rate: int


class Settings(msgspec.Struct):
    """The settings of the session, as far as they are used."""

    audio_format: Format
    turn_detection: object = None


class Updated(msgspec.Struct, tag="session.updated"):
    """The settings were changed as asked for."""

    session: Settings


type _Text = Annotated[str, msgspec.Meta(max_length=MOST_CHARACTERS)]


class Delta(msgspec.Struct, tag="transcription.text.delta", gc=False):
    """More text, without times."""

    text: _Text

    def __repr__(self) -> str:
        """Describe the delta without its text."""
        return f"Delta({len(self.text)} characters)"


class Language(msgspec.Struct, tag="transcription.language", gc=False):
    """The language of the text that follows."""

    audio_language: object = None


class Segment(msgspec.Struct, tag="transcription.segment", gc=False):
    """Text that is final; its times, in seconds, may be missing."""

    text: _Text
    start: float | None = None
    end: float | None = None

    def __repr__(self) -> str:
        """Describe the segment without its text."""
        return f"Segment({len(self.text)} characters)"


class TurnStart(msgspec.Struct, tag="turn.start", gc=False):
    """Speech begins."""

    time_s: float


class TurnEnd(msgspec.Struct, tag="turn.end", gc=False):
    """Speech has ended."""

    time_s: float


class Done(msgspec.Struct, tag="transcription.done"):
    """The last message, with all text."""

    text: str
    language: object = None

    def __repr__(self) -> str:
        """Describe the message without its text."""
        return f"Done({len(self.text)} characters)"


class Detail(msgspec.Struct):
    """An error: its message is dropped, because it may quote the request."""

    code: int


class Error(msgspec.Struct, tag="error"):
    """An error that the server reports."""

    error: Detail


class _Typed(msgspec.Struct):
    type: str


type Message = Created | Updated | Delta | Language | Segment | TurnStart | TurnEnd | Done | Error

_KNOWN: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(
    Created | Updated | Delta | Language | Segment | TurnStart | TurnEnd | Done | Error
)
_ANY: Final = msgspec.json.Decoder(_Typed)
_KNOWN_TYPES: Final = frozenset(
    {
        "session.created",
        "session.updated",
        "transcription.text.delta",
        "transcription.language",
        "transcription.segment",
        "turn.start",
        "turn.end",
        "transcription.done",
        "error",
    }
)
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(message: bytes) -> Message | None:
    """Decode one message; None for one of an unknown type.

    Raises:
        UpstreamError: realtime-protocol-error.
    """
    try:
        return _KNOWN.decode(message)
    except _DECODE_ERRORS:
        pass
    try:
        kind = _ANY.decode(message).type
    except _DECODE_ERRORS:
        raise UpstreamError("realtime-protocol-error", "not a typed JSON object") from None
    if kind in _KNOWN_TYPES:
        raise UpstreamError("realtime-protocol-error", f"malformed {kind}")
    return None
