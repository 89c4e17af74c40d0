"""How carriers that send JSON texts name what they say, and how to look it up. Pure.

A `Dialect` is a table, in its carrier's own file; `json_media.py` reads messages by it.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import CallStarted
from gateway.carriers.formats import track_format
from gateway.errors import CarrierError

# msgspec's for JSON and types, Python's for UTF-8, and for nesting without end.
NOT_UNDERSTOOD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

MAX_START_BYTES: Final = 1 << 16


class Frame[P](msgspec.Struct, gc=False):
    """The audio in a media message; a dialect that names its fields otherwise has its own."""

    payload: P
    track: str | None = ""  # empty: the stream's first
    chunk: Any = None
    timestamp: Any = None


class Media[P](msgspec.Struct, tag_field="event", tag="media", gc=False):
    """A media message whose audio stands in an object `media`."""

    media: Frame[P]

    @property
    def frame(self) -> Frame[P]:
        """Its audio."""
        return self.media


class Kind(Enum):
    """What a message is to us."""

    START = auto()
    MEDIA = auto()
    DTMF = auto()
    STOP = auto()
    NOTE = auto()  # asks nothing of us


class Times(Enum):
    """What the timestamps of media are."""

    STREAM = auto()  # ms since the stream's start
    WALL = auto()  # Unix ms
    NONE = auto()  # there are none: media are counted


KINDS: Final = MappingProxyType(
    {
        "connected": Kind.NOTE,
        "start": Kind.START,
        "media": Kind.MEDIA,
        "dtmf": Kind.DTMF,
        "mark": Kind.NOTE,
        "stop": Kind.STOP,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one carrier says it. Places in a message are dotted names; the first one found counts.

    What a dialect does not say is as Twilio, whom the others followed, has it.

    Attributes:
        carrier: whose it is.
        kinds: its messages, by the names of their events.
        call_id: where the start message has the call's id.
        stream_id: where it has the stream's.
        params: where it has what the customer passes on.
        circumstances: where it has single values that are published likewise, by their names.
        called: where it has the number dialled, if it has.
        tracks: where it lists the tracks, by name or as objects with a `name`.
        track_names: the tracks, by all of their spellings; those that a start message without a
            list means come first, as many as `unlisted_tracks`.
        unlisted_tracks: how many those are.
        roles: who speaks on a track, where the carrier itself knows.
        encoding: where it has the audio's encoding; in the track's object, if tracks are objects.
        rate: where it has the samples per second, likewise.
        channels: where it has the number of channels, likewise.
        dtmf_track: where a dtmf message has its track.
        stop_track: where a stop message has its track, if each track has a stop of its own.
        event: the name of the field that tells messages apart.
        media: the struct of a media message, generic over its payload.
        usual_encoding: what it is if nothing says.
        linear: what an encoding named L16 or alike is.
        times: what the timestamps of media are.
        reorder_ms: messages may overtake each other by that much audio.
    """

    carrier: str
    kinds: Mapping[str, Kind] = KINDS
    call_id: tuple[str, ...] = ("start.callSid",)
    stream_id: tuple[str, ...] = ("start.streamSid", "streamSid")
    params: tuple[str, ...] = ("start.customParameters",)
    circumstances: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ("start.tracks",)
    track_names: Mapping[str, str] = field(
        default_factory=lambda: {
            "inbound": "inbound",
            "outbound": "outbound",
            "inbound_track": "inbound",
            "outbound_track": "outbound",
        }
    )
    unlisted_tracks: int = 1
    roles: Mapping[str, str] = field(default_factory=dict)
    encoding: tuple[str, ...] = ("start.mediaFormat.encoding",)
    usual_encoding: str = "pcmu"
    rate: tuple[str, ...] = ("start.mediaFormat.sampleRate",)
    channels: tuple[str, ...] = ("start.mediaFormat.channels",)
    dtmf_track: tuple[str, ...] = ("dtmf.track",)
    stop_track: tuple[str, ...] = ()
    event: str = "event"
    media: Any = Media
    linear: Encoding = Encoding.L16LE
    times: Times = Times.STREAM
    reorder_ms: int = 0


def read(message: bytes) -> Mapping[str, object]:
    """Read any message.

    Raises:
        CarrierError: it is no JSON object.
    """
    try:
        decoded = msgspec.json.decode(message)
    except NOT_UNDERSTOOD:
        raise CarrierError("malformed-message") from None
    if not isinstance(decoded, dict):
        raise CarrierError("malformed-message")
    return decoded


def read_start(message: Mapping[str, object], dialect: Dialect) -> CallStarted:
    """Read a start message.

    Raises:
        CarrierError: malformed-message, unknown-track or unsupported-encoding.
    """
    called = find(message, dialect.called)
    return CallStarted(
        call_id=read_id(message, dialect.call_id),
        stream_id=read_id(message, dialect.stream_id),
        tracks=tuple(_tracks(message, dialect)),
        params=dict(_params(message, dialect.params)) | dict(_circumstances(message, dialect)),
        called=called if isinstance(called, str) else None,
        roles=dialect.roles,
        is_timed=dialect.times is not Times.NONE,
    )


def _tracks(message: Mapping[str, object], dialect: Dialect) -> Iterator[TrackFormat]:
    listed = find(message, dialect.tracks)
    if listed is not None and not isinstance(listed, list):
        raise CarrierError("malformed-message", "tracks")
    announced: dict[str, Mapping[str, object]] = {}  # by track, what describes it
    for entry in listed or list(dialect.track_names)[: dialect.unlisted_tracks]:
        name = entry.get("name") if isinstance(entry, dict) else entry
        if not isinstance(name, str) or name not in dialect.track_names:
            raise CarrierError("unknown-track")
        described = entry if isinstance(entry, dict) else message
        announced.setdefault(dialect.track_names[name], described)
    for track, described in announced.items():
        yield track_format(
            track,
            find(described, dialect.encoding) or dialect.usual_encoding,
            number(find(described, dialect.rate)),
            number(find(described, dialect.channels)),
            dialect.linear,
        )


def number(value: object) -> int | None:
    """A whole number from its digits or itself; None for anything else, or beyond 64 bits."""
    try:
        found = int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None
    return found if found is not None and found.bit_length() < 64 else None


def find(message: Mapping[str, object], places: Sequence[str]) -> object:
    """What stands at the first of these places that is not empty; None if all are."""
    for place in places:
        found: object = message
        for name in place.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found not in (None, ""):
            return found
    return None


def read_id(message: Mapping[str, object], places: Sequence[str]) -> str:
    """What stands at the first of these places that is not empty: a text, or a whole number.

    Raises:
        CarrierError: malformed-message: there is none.
    """
    found = find(message, places)
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str):
        raise CarrierError("malformed-message", f"no {' or '.join(places)}")
    return found


def decode_base64(text: str) -> bytes | None:
    """Decode base64 that may lack its padding or be broken into lines; None if it is none."""
    text = "".join(text.split())
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _params(message: Mapping[str, object], places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Read parameters: an object, a list of names and values, or a text `a=1;b=2` or `a=1,b=2`."""
    for place in places:
        found = find(message, (place,))
        if isinstance(found, str):
            found = _parse_text(found)
        if isinstance(found, list):
            found = {e.get("name"): e.get("value") for e in found if isinstance(e, dict)}
        if not isinstance(found, dict):
            continue
        for name, value in found.items():
            if isinstance(name, str) and not isinstance(value, dict | list):  # none are nested
                yield name, "" if value is None else str(value)


def _circumstances(message: Mapping[str, object], dialect: Dialect) -> Iterator[tuple[str, str]]:
    for place in dialect.circumstances:
        if isinstance(found := find(message, (place,)), str | int):
            yield place.rpartition(".")[2], str(found)


def _parse_text(text: str) -> object:
    if text.lstrip().startswith(("{", "[")):
        try:
            return msgspec.json.decode(text)
        except NOT_UNDERSTOOD:
            return None
    pairs = (part.partition("=") for part in re.split("[;,]", text) if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
