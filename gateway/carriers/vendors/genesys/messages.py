"""Parse the messages of AudioHook's client, and choose among the offered media. Pure.

The caller's number and name in an `open` are not parsed. Source:
github.com/purecloudlabs/audiohook-reference-implementation, app/audiohook/src/protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta

from gateway.carriers.protocols.dialect import NOT_UNDERSTOOD, find, find_text, read_id
from gateway.carriers.protocols.tolerant import mend
from gateway.errors import CarrierError

_MAX_TEXT_CHARS: Final = 65_535
_CHANNELS: Final = ("external", "internal")

type _Duration = Annotated[str, Meta(pattern=r"^PT([0-9]{1,9}(\.[0-9]{0,12})?|\.[0-9]{1,12})S\Z")]


class Message(msgspec.Struct):
    """The fields that all messages have."""

    id: str
    type: str
    seq: int
    version: object = "2"
    serverseq: int | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Media(msgspec.Struct):
    media: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Open:
    """The parameters of `open`; only the ids and the media are required."""

    organization_id: str
    conversation_id: str
    media: Sequence[msgspec.Raw]
    called: str | None = field(repr=False)  # the dialed number
    params: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, parameters: msgspec.Raw) -> Self:
        """Parse the parameters.

        Raises:
            CarrierError: malformed-message.
        """
        fields = decode(parameters, dict[str, object])
        return cls(
            organization_id=read_id(fields, ("organizationId",)),
            conversation_id=read_id(fields, ("conversationId",)),
            media=decode(parameters, _Media).media,
            called=find_text(fields, ("participant.dnis",)),
            params=_read_params(fields),
        )


def _read_params(fields: Mapping[str, object]) -> dict[str, str]:
    """Return the customer's parameters, and the details of the call that may be published."""
    params = {
        name: value
        for place in ("customConfig", "inputVariables")  # the latter from Audio Connector
        if isinstance(passed_on := find(fields, (place,)), dict)
        for name, value in passed_on.items()
        if isinstance(value, str)
    }
    continued = find(fields, ("continuedSessions",))
    sessions = (find(each, ("id",)) for each in continued) if isinstance(continued, list) else ()
    circumstances = {
        "participant_id": find_text(fields, ("participant.id",)),
        "language": find_text(fields, ("language",)),
        "continued_sessions": " ".join(each for each in sessions if isinstance(each, str)),
    }
    return params | {name: value for name, value in circumstances.items() if value}


class LeftOut(msgspec.Struct):
    """The parameters of `resumed` and `discarded`: where audio was left out, and how much."""

    start: _Duration
    discarded: _Duration

    @property
    def end_s(self) -> float:
        """Position at which the audio continues, in seconds."""
        return sum(float(each[len("PT") : -len("S")]) for each in (self.start, self.discarded))


def read(message: bytes) -> Message:
    """Parse any message.

    Raises:
        CarrierError: malformed-message or message-too-big.
    """
    if len(message.decode(errors="replace")) > _MAX_TEXT_CHARS:
        raise CarrierError("message-too-big")
    received = decode(message, Message)
    if str(received.version) != "2":
        raise CarrierError("malformed-message", "version")
    return received


def decode[T](text: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Parse JSON of a known type; raises CarrierError (malformed-message)."""
    try:
        return msgspec.json.decode(text, type=kind, strict=False)  # numbers may be strings
    except NOT_UNDERSTOOD:
        pass
    try:
        return msgspec.json.decode(mend(bytes(text)), type=kind, strict=False)
    except (*NOT_UNDERSTOOD, ValueError):
        raise CarrierError("malformed-message") from None


def choose(offered: Sequence[msgspec.Raw]) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """Choose the first supported media with two channels, or else the first supported media.

    Returns:
        The media, which have to be sent back unchanged, and their channels in order.

    Raises:
        CarrierError: unsupported-encoding.
    """
    usable = [(media, channels) for media in offered if (channels := _channels(media))]
    if not usable:
        raise CarrierError(
            "unsupported-encoding", "configure Genesys to offer PCMU (mu-law), 8000 Hz"
        )
    return max(usable, key=lambda choice: len(choice[1]))  # the first if equal


def _channels(offered: msgspec.Raw) -> tuple[str, ...]:
    """Return the channels of offered media; none if the media are not supported."""
    try:
        media = decode(offered, object)
    except CarrierError:
        return ()
    form = [find_text(media, (name,)) or "" for name in ("type", "format", "rate")]
    channels = find(media, ("channels",))
    if [each.upper() for each in form] != ["AUDIO", "PCMU", "8000"]:
        return ()
    if not isinstance(channels, list) or not all(each in _CHANNELS for each in channels):
        return ()
    return tuple(channels) if len(set(channels)) == len(channels) else ()
