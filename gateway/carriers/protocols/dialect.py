"""Describe the field names of carriers' JSON messages, and look values up by them. Pure.

A `Dialect` is a table in its carrier's own file. `json_media.py` parses messages by it.
"""

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.audio.encodings import TrackFormat
from gateway.carriers.events import CallStarted
from gateway.carriers.protocols.formats import track_format
from gateway.carriers.protocols.tolerant import fold, look_up, mend
from gateway.errors import CarrierError

# Raised for invalid JSON or types, for invalid UTF-8, and for too deep nesting.
NOT_UNDERSTOOD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

USUAL_FRAME_MS: Final = 20

MAX_START_BYTES: Final = 1 << 16

_NUMBER_LIMIT: Final = 1 << 63
_URL_SAFE: Final = str.maketrans("-_", "+/")


class Frame[P](msgspec.Struct, gc=False):
    """The audio of a media message. A dialect with other field names defines its own."""

    payload: P
    track: str | None = ""  # empty: the stream's first track
    chunk: Any = None
    timestamp: Any = None


class Media[P](msgspec.Struct, tag_field="event", tag="media", gc=False):
    """A media message whose audio is in an object `media`."""

    media: Frame[P]

    @property
    def frame(self) -> Frame[P]:
        """The message's audio."""
        return self.media


class Kind(Enum):
    """What a message means."""

    START = auto()
    MEDIA = auto()
    DTMF = auto()
    STOP = auto()
    NOTE = auto()  # needs no action


class Times(Enum):
    """What the timestamps of media count."""

    STREAM = auto()  # ms since the stream's start
    WALL = auto()  # Unix ms
    NONE = auto()  # there are none: audio is counted


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
    """The field names of one carrier's messages, and its defaults.

    Fields are located by dotted paths; the first path with a non-empty value counts. The default
    paths are Twilio's, which many carriers imitate. Names that differ only in case, `_` or `-` are
    the same name.

    Attributes:
        carrier: the carrier's name.
        kinds: what a message means, by the name of its event.
        call_id: paths of the call's id in the start message.
        stream_id: paths of the stream's id in the start message.
        params: paths of the custom parameters in the start message.
        circumstances: paths of single values in the start message that are published as parameters,
            each under the last name of its path.
        called: paths of the dialed number in the start message, if it has one.
        tracks: paths of the list of tracks in the start message: names, or objects with a `name`.
        track_names: the tracks by all of their spellings. If a start message lists no tracks, it
            has the first `unlisted_tracks` of these.
        unlisted_tracks: the number of tracks of a start message that lists none.
        roles: who speaks on a track, if the carrier defines it.
        encoding: paths of the encoding: in the track's object if tracks are objects, else in the
            start message.
        rate: paths of the sample rate, in the same object.
        channels: paths of the number of channels, in the same object.
        dtmf_track: paths of the track in a dtmf message.
        stop_track: paths of the track in a stop message, if each track is stopped separately.
        event: the field that holds a message's event.
        media: the struct of a media message, generic over its payload.
        payload: paths of the audio in a media message that does not match its struct.
        track: paths of the track in such a message.
        frame_number: paths of the frame's number in such a message.
        timestamp: paths of the timestamp in such a message.
        usual_encoding: the encoding if the start message names none.
        usual_rate_hz: the sample rate of linear audio if the start message names none.
        times: what the timestamps of media count.
        reorder_ms: messages may arrive out of order by this much audio.
    """

    carrier: str
    kinds: Mapping[str, Kind] = KINDS
    call_id: tuple[str, ...] = ("start.callSid", "start.callId", "callSid", "callId")
    stream_id: tuple[str, ...] = ("start.streamSid", "streamSid", "start.streamId", "streamId")
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
    usual_rate_hz: int | None = None
    rate: tuple[str, ...] = ("start.mediaFormat.sampleRate",)
    channels: tuple[str, ...] = ("start.mediaFormat.channels",)
    dtmf_track: tuple[str, ...] = ("dtmf.track",)
    stop_track: tuple[str, ...] = ()
    event: str = "event"
    media: Any = Media
    payload: tuple[str, ...] = ("media.payload", "payload")
    track: tuple[str, ...] = ("media.track", "track")
    frame_number: tuple[str, ...] = ("media.chunk", "chunk")
    timestamp: tuple[str, ...] = ("media.timestamp", "timestamp")
    times: Times = Times.STREAM
    reorder_ms: int = 0

    @property
    def unlisted(self) -> list[str]:
        """The tracks of a start message that lists none."""
        return list(self.track_names)[: self.unlisted_tracks]

    def track_of(self, name: str) -> str | None:
        """Return the track with this name in any spelling; None if there is none."""
        if name in self.track_names:
            return self.track_names[name]
        wanted = fold(name)
        spellings = (track for each, track in self.track_names.items() if fold(each) == wanted)
        return next(spellings, None)


def read(message: bytes) -> Mapping[str, object]:
    """Parse any message; parts that strict JSON parsers reject are replaced.

    Raises:
        CarrierError: malformed-message: the message is not a JSON object.
    """
    try:
        decoded = msgspec.json.decode(message)
    except NOT_UNDERSTOOD:
        decoded = _read_mended(message)
    if not isinstance(decoded, dict):
        raise CarrierError("malformed-message")
    return decoded


def _read_mended(message: bytes) -> object:
    try:
        return msgspec.json.decode(mend(message))
    except (*NOT_UNDERSTOOD, ValueError):
        raise CarrierError("malformed-message") from None


def read_start(message: Mapping[str, object], dialect: Dialect) -> CallStarted:
    """Parse a start message.

    Raises:
        CarrierError: malformed-message, unknown-track or unsupported-encoding.
    """
    return CallStarted(
        call_id=read_id(message, dialect.call_id),
        stream_id=read_id(message, dialect.stream_id),
        tracks=tuple(_tracks(message, dialect)),
        params=dict(_params(message, dialect.params)) | dict(_circumstances(message, dialect)),
        called=find_text(message, dialect.called),
        roles=dialect.roles,
        is_timed=dialect.times is not Times.NONE,
    )


def _tracks(message: Mapping[str, object], dialect: Dialect) -> Iterator[TrackFormat]:
    """Yield the listed tracks, or the default ones if none are listed. Skip unknown names.

    Raises:
        CarrierError: unknown-track: the list has no known name; or unsupported-encoding.
    """
    listed = find(message, dialect.tracks)
    listed = [listed] if isinstance(listed, str) else listed
    announced: dict[str, Mapping[str, object]] = {}  # by track, the object with its format
    for entry in listed if isinstance(listed, list) and listed else dialect.unlisted:
        name = look_up(entry, "name") if isinstance(entry, dict) else entry
        track = dialect.track_of(name) if isinstance(name, str) else None
        if track is not None:
            announced.setdefault(track, entry if isinstance(entry, dict) else message)
    if not announced:
        raise CarrierError("unknown-track")
    for track, described in announced.items():
        yield _track_format(track, described, dialect)


def _track_format(track: str, described: Mapping[str, object], dialect: Dialect) -> TrackFormat:
    named = find(described, dialect.encoding)
    encoding = named if isinstance(named, str) else dialect.usual_encoding
    rate_hz = number(find(described, dialect.rate))
    channels = number(find(described, dialect.channels))
    if rate_hz is None and dialect.usual_rate_hz:
        with contextlib.suppress(CarrierError):  # G.711 has only one rate
            usual_hz = dialect.usual_rate_hz
            return track_format(track, encoding, usual_hz, channels)
    return track_format(track, encoding, rate_hz, channels)


def number(value: object) -> int | None:
    """Convert a number or its digits to an int; None if it is not whole or exceeds 64 bits."""
    if isinstance(value, str):
        try:
            found = int(value)
        except ValueError:
            return None
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    else:
        return None
    return found if -_NUMBER_LIMIT < found < _NUMBER_LIMIT else None


def find(message: object, places: Sequence[str]) -> object:
    """Return the value at the first of these paths that is not empty; None if all are."""
    for place in places:
        found: object = message
        for name in place.split("."):
            found = look_up(found, name)
        if found not in (None, ""):
            return found
    return None


def read_id(message: Mapping[str, object], places: Sequence[str]) -> str:
    """Return the first string or whole number at these paths, as a string.

    Raises:
        CarrierError: malformed-message: there is none.
    """
    found = find_text(message, places)
    if found is None:
        raise CarrierError("malformed-message", f"no {' or '.join(places)}")
    return found


def find_text(message: object, places: Sequence[str]) -> str | None:
    """Return the first string or whole number at these paths, as a string; None if none."""
    texts = (read_text(find(message, (place,))) for place in places)
    return next((text for text in texts if text is not None), None)


def read_text(value: object) -> str | None:
    """Return a string, or a whole number as a string; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def decode_base64(text: str) -> bytes | None:
    """Decode base64 or base64url, with or without padding and line breaks; None if invalid."""
    text = "".join(text.split()).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def lost_bytes(text: object, usual_bytes: int) -> int:
    """Return how many bytes of audio are lost with a text that is not valid base64.

    Args:
        text: the value in place of the audio, of any type.
        usual_bytes: the size of a usual frame, and the minimum of the result.
    """
    size = len("".join(text.split()).rstrip("=")) * 3 // 4 & ~1 if isinstance(text, str) else 0
    return size if size > usual_bytes + 2 else usual_bytes  # the padding is unknown


def _params(message: Mapping[str, object], places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield parameters from an object, a list of names and values, `a=1;b=2` or `a=1,b=2`."""
    for place in places:
        found = find(message, (place,))
        if isinstance(found, str):
            found = _parse_text(found)
        if isinstance(found, list):
            pairs = [(look_up(e, "name"), look_up(e, "value")) for e in found]
            found = {name: value for name, value in pairs if isinstance(name, str)}
        if not isinstance(found, dict):
            continue
        for name, value in found.items():
            # Nested values are skipped.
            if isinstance(name, str) and not isinstance(value, dict | list):
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
