"""The messages of AudioHook's client, as far as they concern us, and what we choose of them. Pure.

Of an `open` neither the caller's number nor name is read. Source:
github.com/purecloudlabs/audiohook-reference-implementation, app/audiohook/src/protocol.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.carriers.dialect import NOT_UNDERSTOOD
from gateway.errors import CarrierError

_MAX_TEXT_CHARS: Final = 65_535

type _Id = Annotated[str, Meta(min_length=1, max_length=128)]
type _Duration = Annotated[str, Meta(pattern=r"^PT([0-9]{1,9}(\.[0-9]{0,12})?|\.[0-9]{1,12})S\Z")]


class Message(msgspec.Struct):
    """What all of them have."""

    version: Literal["2"]
    id: str
    type: str
    seq: int
    serverseq: int
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Participant(msgspec.Struct):
    id: str | None = None
    dnis: str | None = None


class _ContinuedSession(msgspec.Struct):
    id: _Id


class Open(msgspec.Struct, rename="camel"):
    """The parameters of `open`."""

    organization_id: str
    conversation_id: _Id
    media: list[msgspec.Raw]
    participant: _Participant | None = None
    language: str | None = None
    custom_config: object = None
    input_variables: object = None  # an Audio Connector's
    continued_sessions: list[_ContinuedSession] | None = None

    @property
    def called(self) -> str | None:
        """The number dialled."""
        return (self.participant and self.participant.dnis) or None

    @property
    def params(self) -> dict[str, str]:
        """What the customer passes on, and what of the call's circumstances may be published."""
        params = {
            name: value
            for passed_on in (self.custom_config, self.input_variables)
            if isinstance(passed_on, dict)
            for name, value in passed_on.items()
            if isinstance(value, str)
        }
        circumstances = {
            "participant_id": self.participant and self.participant.id,
            "language": self.language,
            "continued_sessions": " ".join(each.id for each in self.continued_sessions or ()),
        }
        return params | {name: value for name, value in circumstances.items() if value}


class LeftOut(msgspec.Struct):
    """The parameters of `resumed` and `discarded`: from where audio was left out, and how much."""

    start: _Duration
    discarded: _Duration

    @property
    def end_s(self) -> float:
        """Where audio goes on."""
        return sum(float(each[len("PT") : -len("S")]) for each in (self.start, self.discarded))


class _Pcmu(msgspec.Struct):
    """Offered media that we can hear."""

    type: Literal["audio"]
    format: Literal["PCMU"]
    rate: Literal[8000]
    channels: Annotated[list[Literal["external", "internal"]], Meta(min_length=1, max_length=2)]


def read(message: bytes) -> Message:
    """Read any message.

    Raises:
        CarrierError: malformed-message or message-too-big.
    """
    try:
        text = message.decode()
    except UnicodeDecodeError:
        raise CarrierError("malformed-message") from None
    if len(text) > _MAX_TEXT_CHARS:
        raise CarrierError("message-too-big")
    return decode(text, Message)


def decode[T](text: str | msgspec.Raw, kind: type[T]) -> T:
    """Read JSON of a known kind; raises CarrierError, malformed-message."""
    try:
        return msgspec.json.decode(text, type=kind, strict=False)  # numbers may be strings
    except NOT_UNDERSTOOD:
        raise CarrierError("malformed-message") from None


def choose(offered: Sequence[msgspec.Raw]) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """Choose media: with two channels, or else the first that we can hear.

    Returns:
        The media, to be sent back as they came, and their channels in order.

    Raises:
        CarrierError: unsupported-encoding.
    """
    usable = []
    for media in offered:
        try:
            channels = tuple(decode(media, _Pcmu).channels)
        except CarrierError:
            continue
        if len(set(channels)) == len(channels):
            usable.append((media, channels))
    if not usable:
        raise CarrierError("unsupported-encoding", "have it offer PCMU (mu-law), 8000 Hz")
    return max(usable, key=lambda choice: len(choice[1]))  # the first of equals
