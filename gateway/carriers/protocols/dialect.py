"""How carriers that send JSON texts name what they say, and how to look it up. Pure.

A `Dialect` is a table, in its carrier's own file; `json_media.py` reads messages by it.
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

# msgspec's for JSON and types, Python's for UTF-8, and for nesting without end.
NOT_UNDERSTOOD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

USUAL_FRAME_MS: Final = 20

MAX_START_BYTES: Final = 1 << 16

_NUMBER_LIMIT: Final = 1 << 63
_URL_SAFE: Final = str.maketrans("-_", "+/")


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

    What a dialect does not say is as Twilio, whom the others followed, has it. Names that differ in
    case, `_` or `-` alone are one.

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
        payload: where a media message has its audio, if it is not as its struct says.
        track: where it has its track, likewise.
        chunk: where it has its number, likewise.
        timestamp: where it has its time, likewise.
        usual_encoding: what it is if nothing says.
        usual_rate_hz: samples per second of linear audio if the start does not say.
        times: what the timestamps of media are.
        reorder_ms: messages may overtake each other by that much audio.
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
    chunk: tuple[str, ...] = ("media.chunk", "chunk")
    timestamp: tuple[str, ...] = ("media.timestamp", "timestamp")
    times: Times = Times.STREAM
    reorder_ms: int = 0

    @property
    def unlisted(self) -> list[str]:
        """The tracks that a start message without a list means."""
        return list(self.track_names)[: self.unlisted_tracks]

    def track_of(self, name: str) -> str | None:
        """The track of a name, also in another spelling; None if there is none."""
        if name in self.track_names:
            return self.track_names[name]
        wanted = fold(name)
        spellings = (track for each, track in self.track_names.items() if fold(each) == wanted)
        return next(spellings, None)


def read(message: bytes) -> Mapping[str, object]:
    """Read any message; what strict readers refuse in it is replaced.

    Raises:
        CarrierError: malformed-message: it is no JSON object.
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
    """Read a start message.

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
    """Read the tracks; what is no list lists none, and in a list names we don't know are left out.

    Raises:
        CarrierError: unknown-track, for a list without a name that we know; or
            unsupported-encoding.
    """
    listed = find(message, dialect.tracks)
    listed = [listed] if isinstance(listed, str) else listed
    announced: dict[str, Mapping[str, object]] = {}  # by track, what describes it
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
        with contextlib.suppress(CarrierError):  # G.711 has one rate, whatever is usual
            usual_hz = dialect.usual_rate_hz
            return track_format(track, encoding, usual_hz, channels)
    return track_format(track, encoding, rate_hz, channels)


def number(value: object) -> int | None:
    """A whole number from its digits or itself; None for anything else, or beyond 64 bits."""
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
    """What stands at the first of these places that is not empty; None if all are."""
    for place in places:
        found: object = message
        for name in place.split("."):
            found = look_up(found, name)
        if found not in (None, ""):
            return found
    return None


def read_id(message: Mapping[str, object], places: Sequence[str]) -> str:
    """The id at the first of these places that has one: a text, or a whole number.

    Raises:
        CarrierError: malformed-message: there is none.
    """
    found = find_text(message, places)
    if found is None:
        raise CarrierError("malformed-message", f"no {' or '.join(places)}")
    return found


def find_text(message: object, places: Sequence[str]) -> str | None:
    """The text, or the whole number as one, at the first of these places that has either."""
    texts = (read_text(find(message, (place,))) for place in places)
    return next((text for text in texts if text is not None), None)


def read_text(value: object) -> str | None:
    """A text, or a whole number as one; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def decode_base64(text: str) -> bytes | None:
    """Decode base64 or base64url, padded or not, also if broken into lines; None if it is none."""
    text = "".join(text.split()).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def lost_bytes(text: object, usual_bytes: int) -> int:
    """Return how much audio is lost with a text that is no base64: as much as it is long.

    Args:
        text: what stands where audio should be; anything.
        usual_bytes: of a frame: it holds no less.
    """
    size = len("".join(text.split()).rstrip("=")) * 3 // 4 & ~1 if isinstance(text, str) else 0
    return size if size > usual_bytes + 2 else usual_bytes  # what padding there was is not known


def _params(message: Mapping[str, object], places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Read parameters: an object, a list of names and values, or a text `a=1;b=2` or `a=1,b=2`."""
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
