"""Twilio Media Streams: the messages of the WebSocket. Pure.

    connected . start . (media | dtmf | mark)* . stop

All are JSON texts; `sequenceNumber`, `chunk` and `timestamp` are strings of digits, but numbers are
understood too. `chunk` and `timestamp` count per track; `timestamp` is the presentation time in ms
since the stream's start. Nothing is ever sent back: on a unidirectional stream that is a protocol
error (31924). Source: twilio.com/docs/voice/media-streams/websocket-messages.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.audio.encodings import Encoding
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    TrackFormat,
)
from gateway.errors import CarrierError

CARRIER: Final = "twilio"
MAX_MESSAGE_BYTES: Final = 1 << 20  # Twilio sends about 300; a minute of audio in one fits
CREDENTIAL: Final = "tok"  # the <Parameter> that carries our own token; never published

_MAX_START_BYTES: Final = 1 << 16
_TRACKS: Final = {  # Twilio's two spellings of each
    "inbound": "inbound",
    "inbound_track": "inbound",
    "outbound": "outbound",
    "outbound_track": "outbound",
}
_MULAW: Final = frozenset({"audio/x-mulaw", "pcmu"})

type _Number = int | str | None


class _MediaBody(msgspec.Struct):
    payload: bytes  # msgspec decodes the base64
    track: str = "inbound"
    chunk: _Number = None
    timestamp: _Number = None


class _LooseMediaBody(msgspec.Struct):
    payload: str
    track: str = "inbound"
    chunk: object = None
    timestamp: object = None


class _MediaFormat(msgspec.Struct, rename="camel", frozen=True):
    encoding: str = "audio/x-mulaw"
    sample_rate: _Number = 8000
    channels: _Number = 1


class _StartBody(msgspec.Struct, rename="camel"):
    call_sid: str
    stream_sid: str | None = None
    tracks: list[str] | None = None
    custom_parameters: dict[str, object] | None = None
    media_format: _MediaFormat | None = None


class _DtmfBody(msgspec.Struct, frozen=True):
    track: str | None = None


class _Connected(msgspec.Struct, tag_field="event", tag="connected"):
    pass


class _Start(msgspec.Struct, tag_field="event", tag="start", rename="camel"):
    start: _StartBody
    stream_sid: str | None = None


class _Media(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: _MediaBody


class _Dtmf(msgspec.Struct, tag_field="event", tag="dtmf"):
    dtmf: _DtmfBody | None = None


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    pass


class _Stop(msgspec.Struct, tag_field="event", tag="stop"):
    pass


class _Event(msgspec.Struct):
    event: str


class _LooseMedia(msgspec.Struct):
    media: _LooseMediaBody


type _Message = _Connected | _Start | _Media | _Dtmf | _Mark | _Stop

_MESSAGE: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(
    _Connected | _Start | _Media | _Dtmf | _Mark | _Stop
)
_EVENT: Final = msgspec.json.Decoder(_Event)
_LOOSE_MEDIA: Final = msgspec.json.Decoder(_LooseMedia)
# msgspec's for JSON and types, Python's for UTF-8, and for nesting without end.
_NOT_UNDERSTOOD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KNOWN_EVENTS: Final = frozenset({"connected", "start", "dtmf", "mark", "stop"})


class TwilioAdapter:
    """One Twilio media stream."""

    def __init__(self) -> None:
        self._started: CallStarted | None = None
        self._tracks: frozenset[str] = frozenset()
        self._stopped = False

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one message; see `Adapter`."""
        try:
            decoded: _Message | _LooseMedia | None = _MESSAGE.decode(message)
        except _NOT_UNDERSTOOD:
            decoded = _decode_unusual(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        match decoded:
            case _Media():
                return (self._audio(decoded.media, decoded.media.payload),)
            case _LooseMedia():
                return (self._loose_audio(decoded.media),)
            case _Start():
                return self._start(decoded, len(message))
            case _Stop():
                self._stopped = True
                return (CallStopped(),)
            case _Dtmf():
                track = (decoded.dtmf.track if decoded.dtmf else None) or ""
                return (DtmfReceived(_TRACKS.get(track)),)
            case _Connected():
                return (MessageIgnored("connected"),)
            case _Mark():
                return (MessageIgnored("mark"),)
            case None:
                return (MessageIgnored("unknown"),)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Refuse: Twilio sends text only."""
        raise CarrierError("binary-message")

    def _start(self, message: _Start, size: int) -> Sequence[CarrierEvent]:
        body = message.start
        stream_id = body.stream_sid or message.stream_sid or ""
        if size > _MAX_START_BYTES:
            raise CarrierError("message-too-big", "start")
        if not (body.call_sid and stream_id):
            raise CarrierError("malformed-message", "no callSid or streamSid")
        if self._started:
            if stream_id == self._started.stream_id:
                return (MessageIgnored("repeated-start"),)
            raise CarrierError("second-start")
        form = body.media_format or _MediaFormat()
        rate, channels = _number(form.sample_rate), _number(form.channels)
        if form.encoding.lower() not in _MULAW or rate != 8000 or channels != 1:
            raise CarrierError("unsupported-encoding", "expected audio/x-mulaw, 8000 Hz, 1 channel")
        names = dict.fromkeys(_track(name) for name in body.tracks or ["inbound"])
        self._tracks = frozenset(names)
        self._started = CallStarted(
            call_id=body.call_sid,
            stream_id=stream_id,
            tracks=tuple(TrackFormat(name, Encoding.PCMU, 8000) for name in names),
            params={
                name: "" if value is None else str(value)
                for name, value in (body.custom_parameters or {}).items()
                if not isinstance(value, dict | list)  # Twilio's are strings
            },
        )
        return (self._started,)

    def _audio(self, body: _MediaBody | _LooseMediaBody, payload: bytes) -> CarrierEvent:
        if body.track not in self._tracks:
            reason = "unknown-track" if self._started else "media-before-start"
            raise CarrierError(reason)
        return AudioReceived(body.track, payload, _number(body.timestamp), _number(body.chunk))

    def _loose_audio(self, body: _LooseMediaBody) -> CarrierEvent:
        """Take media whose base64 or numbers are unusual; what can't be decoded is lost audio.

        The carrier's clock will show the hole, and it is declared there.
        """
        text = "".join(body.payload.split())
        try:
            payload = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            self._audio(body, b"")
            return MessageIgnored("undecodable-payload")
        return self._audio(body, payload)


def _decode_unusual(message: bytes) -> _LooseMedia | None:
    """Read a message that is not as documented; None for an event unknown to us."""
    try:
        event = _EVENT.decode(message).event
        if event == "media":
            return _LOOSE_MEDIA.decode(message)
    except _NOT_UNDERSTOOD:
        raise CarrierError("malformed-message") from None
    if event in _KNOWN_EVENTS:
        raise CarrierError("malformed-message", event)
    return None


def _track(name: str) -> str:
    """A track's one name in the house."""
    if name not in _TRACKS:
        raise CarrierError("unknown-track")
    return _TRACKS[name]


def _number(value: object) -> int | None:
    """A whole number from its digits or itself; None for anything else, or beyond 64 bits."""
    try:
        number = int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None
    return number if number is not None and number.bit_length() < 64 else None
