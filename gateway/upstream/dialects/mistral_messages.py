"""The messages of Mistral's server. Pure: bytes in, messages out."""

from typing import Annotated, Final

import msgspec

from gateway.upstream.dialects.typed_messages import TypedMessages

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


type Message = Created | Updated | Delta | Language | Segment | TurnStart | TurnEnd | Done | Error

decode: Final = TypedMessages[Message](Message).decode
