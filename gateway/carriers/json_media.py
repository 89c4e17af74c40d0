"""Media streams of JSON texts with base64 audio: what Twilio began and many carriers speak. Pure.

    connected . start . (media | dtmf | mark ...)* . stop

Their dialects differ in names and in what they leave out (`dialect.py`). Numbers may be strings of
digits. Nothing here is ever sent back.

A media message is the hot path: it is decoded by its dialect's struct, base64 included. Whatever is
not media, or not as the vendor's page has it, is read as plain JSON and looked up by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.audio.encodings import TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.dialect import (
    MAX_START_BYTES,
    NOT_UNDERSTOOD,
    Dialect,
    Frame,
    Kind,
    Times,
    decode_base64,
    find,
    number,
    read,
    read_start,
)
from gateway.carriers.events import (
    AudioHeld,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.reorder import Reorder
from gateway.carriers.wall_times import Epoch, WallTimes
from gateway.errors import CarrierError

MAX_MESSAGE_BYTES: Final = 1 << 20  # about 300 are usual; a minute of audio in one fits

_LATE_MS: Final = 1000  # of audio on one track, before the first frame of another
_MAX_EARLY: Final = 64  # media messages ahead of their start, and so many bytes
_MAX_EARLY_BYTES: Final = 1 << 16


class JsonMediaAdapter(Adapter):
    """One media stream in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._decode = msgspec.json.Decoder(dialect.media[bytes]).decode
        self._started: CallStarted | None = None
        self._tracks: dict[str | None, str] = {}  # those announced, by the names of media
        self._unstopped: set[str] = set()  # of those
        self._holds: Mapping[str, Reorder | WallTimes] = {}  # frames back, by track, if any do
        self._early: list[tuple[Frame[Any], bytes]] = []
        self._bytes_per_ms: dict[str, int] = {}
        self._counted_ms: dict[str, float] = {}  # by track, where media have no times
        self._stopped = False

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one message; see `Adapter`."""
        try:
            frame = self._decode(message).frame
        except NOT_UNDERSTOOD:
            return self._receive_unusual(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        return self._audio(frame, frame.payload)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Refuse: the protocol has text only."""
        raise CarrierError("binary-message")

    def release(self, track: str) -> Sequence[AudioReceived]:
        """Give what waits for other frames; see `Adapter`."""
        hold = self._holds.get(track)
        return hold.flush() if hold else ()

    def _receive_unusual(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take a message that is no media, or none as documented."""
        decoded = read(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        name = str(decoded.get(self._dialect.event))
        match self._dialect.kinds.get(name):
            case Kind.MEDIA:
                return self._loose_audio(message)
            case Kind.START:
                return self._start(decoded, len(message))
            case Kind.STOP:
                return self._stop(decoded)
            case Kind.DTMF:
                track = find(decoded, self._dialect.dtmf_track)
                names = self._dialect.track_names
                return (DtmfReceived(names.get(track) if isinstance(track, str) else None),)
            case Kind.NOTE:
                return (MessageIgnored(name),)
            case None:
                return (MessageIgnored("unknown"),)

    # The start and the end

    def _start(self, message: Mapping[str, object], size: int) -> Sequence[CarrierEvent]:
        if size > MAX_START_BYTES:
            raise CarrierError("message-too-big", "start")
        start = read_start(message, self._dialect)
        if self._started:
            if start.stream_id == self._started.stream_id:
                return (MessageIgnored("repeated-start"),)
            raise CarrierError("second-start")
        self._started = start
        self._unstopped = {form.track for form in start.tracks}
        names = self._dialect.track_names.items()
        self._tracks = {name: track for name, track in names if track in self._unstopped}
        self._tracks[""] = self._tracks[None] = start.tracks[0].track
        self._bytes_per_ms = {form.track: form.bytes_per_ms for form in start.tracks}
        self._holds = _holds(self._dialect, start.tracks)
        early, self._early = self._early, []
        return (start, *(event for frame, audio in early for event in self._audio(frame, audio)))

    def _stop(self, message: Mapping[str, object]) -> Sequence[CarrierEvent]:
        """End the stream, or one track where each has a stop of its own."""
        name = find(message, self._dialect.stop_track)
        if isinstance(name, str):
            self._unstopped.discard(self._tracks.get(name, ""))
            if self._unstopped:
                return (MessageIgnored("stop-of-one-track"),)
        late_ms = self._dialect.reorder_ms
        self._stopped = not late_ms
        return (CallStopped(late_ms),)

    # Media

    def _audio(self, frame: Frame[Any], payload: bytes) -> Sequence[CarrierEvent]:
        track = self._tracks.get(frame.track)
        if track is None:
            return self._hold_early(frame, payload)
        is_counted = self._dialect.times is Times.NONE
        at_ms = self._count(track, len(payload)) if is_counted else number(frame.timestamp)
        audio = AudioReceived(track, payload, at_ms, number(frame.chunk))
        hold = self._holds.get(track)
        return hold.receive(audio) or (AudioHeld(track),) if hold else (audio,)

    def _count(self, track: str, size: int) -> int | None:
        """Count a track's audio; say where its first frame lies if others are far ahead."""
        begins_ms = None
        if track not in self._counted_ms:
            furthest_ms = max(self._counted_ms.values(), default=0.0)
            begins_ms = int(furthest_ms) if furthest_ms >= _LATE_MS else 0
            self._counted_ms[track] = float(begins_ms)
        self._counted_ms[track] += size / self._bytes_per_ms[track]
        return begins_ms

    def _hold_early(self, frame: Frame[Any], payload: bytes) -> Sequence[CarrierEvent]:
        """Hold a frame that overtook the start, where that may be; refuse any other."""
        if self._started and frame.track in self._dialect.track_names:
            return (MessageIgnored("unannounced-track"),)  # the announced ones go on
        if self._started:
            raise CarrierError("unknown-track")
        early_bytes = sum(len(each) for _, each in self._early)
        is_full = len(self._early) == _MAX_EARLY or early_bytes + len(payload) > _MAX_EARLY_BYTES
        if not self._dialect.reorder_ms or is_full:
            raise CarrierError("media-before-start")
        self._early.append((frame, payload))
        return ()

    def _loose_audio(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take media that are not as documented; what can't be decoded is lost audio.

        The carrier's clock will show the hole, and it is declared there.
        """
        try:
            frame: Frame[str] = msgspec.json.decode(message, type=self._dialect.media[str]).frame
        except NOT_UNDERSTOOD:
            if self._started:
                return (MessageIgnored("malformed-media"),)
            raise CarrierError("malformed-message", "media") from None
        payload = decode_base64(frame.payload)
        if payload is None:
            if frame.track not in self._tracks:
                self._hold_early(frame, b"")
            return (MessageIgnored("undecodable-payload"),)
        return self._audio(frame, payload)


def _holds(dialect: Dialect, tracks: Sequence[TrackFormat]) -> Mapping[str, Reorder | WallTimes]:
    """Make what each track's frames may have to wait in."""
    if dialect.times is Times.WALL:
        epoch = Epoch()
        return {form.track: WallTimes(form.bytes_per_ms, epoch) for form in tracks}
    if dialect.reorder_ms:
        return {form.track: Reorder(dialect.reorder_ms * form.bytes_per_ms) for form in tracks}
    return {}
