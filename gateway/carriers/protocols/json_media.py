"""Parse media streams of JSON texts with base64 audio, as Twilio and its imitators send. Pure.

    connected . start . (media | dtmf | mark ...)* . stop

Carriers differ in field names and in which fields they omit (`dialect.py`). Numbers may be strings
of digits. Nothing is ever sent to the carrier.

Media messages are the hot path: they are decoded by the dialect's struct, including the base64. All
other messages, and media messages that deviate from the vendor's documentation, are parsed as plain
JSON, and their fields are looked up by name. A media message whose audio cannot be decoded counts
as lost audio, even if it is cut off, as long as its event can be read.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.audio.encodings import TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioFrame,
    AudioHeld,
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.protocols.dialect import (
    MAX_START_BYTES,
    NOT_UNDERSTOOD,
    USUAL_FRAME_MS,
    Dialect,
    Kind,
    Times,
    decode_base64,
    find,
    lost_bytes,
    number,
    read,
    read_start,
)
from gateway.carriers.protocols.early_media import EarlyMedia
from gateway.carriers.protocols.frame_numbers import FrameNumbers
from gateway.carriers.protocols.reorder import Reorder
from gateway.carriers.protocols.tolerant import fold, scrap
from gateway.carriers.protocols.wall_times import Epoch, WallTimes
from gateway.errors import CarrierError

_LATE_MS: Final = 1000  # audio on one track before the first frame of another


class JsonMediaAdapter(Adapter):
    """The adapter of one media stream in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._decode = msgspec.json.Decoder(dialect.media[bytes]).decode
        self._kinds = {fold(name): (name, kind) for name, kind in dialect.kinds.items()}
        self._started: CallStarted | None = None
        self._tracks: dict[str | None, str] = {}  # announced tracks, by their names in media
        self._unstopped: set[str] = set()  # announced tracks
        self._holds: Mapping[str, Reorder | WallTimes] = {}  # by track, if frames may be held back
        self._early = EarlyMedia()
        self._bytes_per_ms: dict[str, int] = {}
        self._is_counted = dialect.times is Times.NONE
        self._counted_ms: dict[str, float] = {}  # by track, if media have no timestamps
        self._numbers = FrameNumbers()
        self._last_bytes = 0  # audio in the last frame
        self._stopped = False

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one message; see `Adapter`."""
        try:
            frame = self._decode(message).frame
        except NOT_UNDERSTOOD:
            return self._receive_other(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        track = self._tracks.get(frame.track)
        if track is None:
            if self._started is None:
                return self._early.hold(message)
            track = self._find_track(frame.track)
            if track is None:
                return (MessageIgnored("unannounced-track"),)
        payload = frame.payload
        self._last_bytes = len(payload)
        return self._audio(AudioReceived, track, payload, frame.timestamp, frame.chunk)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Raise CarrierError: the protocol has only text messages."""
        raise CarrierError("binary-message")

    def flush_held(self, track: str) -> Sequence[AudioFrame]:
        """Return a track's held frames; see `Adapter`."""
        hold = self._holds.get(track)
        if hold is None:
            return ()
        return hold.flush() if isinstance(hold, WallTimes) else self._follow_numbers(hold.flush())

    def _receive_other(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse a message that is not media, or not as documented."""
        decoded: Mapping[str, object] = {}
        try:
            decoded = read(message)
            event = str(find(decoded, (self._dialect.event,)))
        except CarrierError:
            event = scrap(message, self._dialect.event) or ""
            if self._kinds.get(fold(event), ("", None))[1] is not Kind.MEDIA:
                raise
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        name, kind = self._kinds.get(fold(event), ("unknown", Kind.NOTE))
        match kind:
            case Kind.MEDIA:
                return self._undocumented_media(message, decoded)
            case Kind.START:
                return self._start(decoded, len(message))
            case Kind.STOP:
                return self._stop(decoded)
            case Kind.DTMF:
                track = find(decoded, self._dialect.dtmf_track)
                return (
                    DtmfReceived(self._dialect.track_of(track) if isinstance(track, str) else None),
                )
            case Kind.NOTE:
                return (MessageIgnored(name),)

    # The start and the end

    def _start(self, message: Mapping[str, object], size: int) -> Sequence[CarrierEvent]:
        if size > MAX_START_BYTES:
            raise CarrierError("message-too-big", "start")
        start = read_start(message, self._dialect)
        if self._started:
            if start.stream_id == self._started.stream_id:
                return (MessageIgnored("repeated-start"),)
            raise CarrierError("second-start")
        self._started = start = self.correct(start)
        self._unstopped = {form.track for form in start.tracks}
        names = self._dialect.track_names.items()
        self._tracks = {name: track for name, track in names if track in self._unstopped}
        self._tracks[""] = self._tracks[None] = start.tracks[0].track
        self._bytes_per_ms = {form.track: form.bytes_per_ms for form in start.tracks}
        self._holds = _holds(self._dialect, start.tracks)
        early = [event for each in self._early.drain() for event in self.receive_text(each)]
        return (start, *early)

    def _stop(self, message: Mapping[str, object]) -> Sequence[CarrierEvent]:
        """End the stream, or one track if each is stopped separately."""
        name = find(message, self._dialect.stop_track)
        if isinstance(name, str):
            self._unstopped.discard(self._dialect.track_of(name) or "")
            if self._unstopped:
                return (MessageIgnored("stop-of-one-track"),)
        late_ms = self._dialect.reorder_ms
        self._stopped = not late_ms
        return (CallStopped(late_ms),)

    # Media

    def _audio(
        self,
        kind: type[AudioReceived] | type[AudioLost],
        track: str,
        payload: bytes,
        timestamp: object,
        frame_number: object,
    ) -> Sequence[CarrierEvent]:
        at_ms = self._count(track, len(payload)) if self._is_counted else number(timestamp)
        sequence = number(frame_number)
        frame = kind(track, payload, at_ms, sequence)
        hold = self._holds.get(track)
        if sequence is not None and (self._is_counted or at_ms is None):
            return self._numbered(frame, hold)
        if hold is None:
            return (frame,)
        return hold.receive(frame) or (AudioHeld(track),)

    def _numbered(
        self, frame: AudioFrame, hold: Reorder | WallTimes | None
    ) -> Sequence[CarrierEvent]:
        """Return the events of a frame that has a number but no timestamp."""
        if isinstance(hold, Reorder):
            return self._follow_numbers(hold.receive(frame)) or (AudioHeld(frame.track),)
        frames = self._follow_numbers((frame,))
        if hold is None:
            return frames
        times = self._holds
        timed = [event for each in frames for event in times[each.track].receive(each)]
        return timed or (AudioHeld(frame.track),)

    def _follow_numbers(self, frames: Sequence[AudioFrame]) -> Sequence[AudioFrame]:
        """Insert lost audio where numbers are missing, if the frames have no timestamps."""
        if not self._is_counted and all(frame.timestamp_ms is not None for frame in frames):
            return frames
        found: list[AudioFrame] = []
        for frame in frames:
            lost_and_frame = self._numbers.follow(frame, self._bytes_per_ms[frame.track])
            for lost in lost_and_frame[:-1]:
                self._count(lost.track, len(lost.payload))
            found += lost_and_frame
        return found

    def _count(self, track: str, size: int) -> int | None:
        """Count a track's audio; return the time of its first frame, None for later frames."""
        begins_ms = None
        if track not in self._counted_ms:
            furthest_ms = max(self._counted_ms.values(), default=0.0)
            begins_ms = int(furthest_ms) if furthest_ms >= _LATE_MS else 0
            self._counted_ms[track] = float(begins_ms)
        self._counted_ms[track] += size / self._bytes_per_ms[track]
        return begins_ms

    def _find_track(self, name: object) -> str | None:
        """Return the track with this name in any spelling; None if it was not announced.

        Raises:
            CarrierError: unknown-track: the carrier has no such track.
        """
        if not isinstance(name, str) or not name:
            return self._tracks[None]
        track = self._dialect.track_of(name)
        if track is None:
            raise CarrierError("unknown-track")
        return track if track in self._bytes_per_ms else None

    def _undocumented_media(
        self, message: bytes, decoded: Mapping[str, object]
    ) -> Sequence[CarrierEvent]:
        """Return the events of media that are not as documented; undecodable audio is lost.

        Args:
            message: the raw message.
            decoded: the parsed message; empty if it could not be parsed.
        """
        if self._started is None:
            return self._early.hold(message)
        dialect = self._dialect
        text = find(decoded, dialect.payload)
        name = find(decoded, dialect.track) if decoded else scrap(message, _last(dialect.track))
        track = self._find_track(name)
        if track is None:
            return (MessageIgnored("unannounced-track"),)
        timestamp = find(decoded, dialect.timestamp)
        frame_number = find(decoded, dialect.frame_number)
        payload = decode_base64(text) if isinstance(text, str) else None
        if payload is not None and isinstance(name, str | None):
            self._last_bytes = len(payload)
            return self._audio(AudioReceived, track, payload, timestamp, frame_number)
        size = self._lost_bytes(track, text, timestamp)
        lost = self._audio(AudioLost, track, bytes(size), timestamp, frame_number)
        is_text = isinstance(text, str) and isinstance(name, str | None)
        why = MessageIgnored("undecodable-payload" if is_text else "malformed-media")
        return (*lost, why)

    def _lost_bytes(self, track: str, text: object, timestamp: object) -> int:
        """Estimate the size of lost audio: by the last frame, and by its text if it has no time."""
        if self._last_bytes and number(timestamp) is not None:
            return self._last_bytes  # the next timestamp shows where it ends
        usual_bytes = self._last_bytes or USUAL_FRAME_MS * self._bytes_per_ms[track]
        return lost_bytes(text, usual_bytes)


def _last(paths: Sequence[str]) -> str:
    """Return the last component of the first path."""
    return paths[0].rpartition(".")[2]


def _holds(dialect: Dialect, tracks: Sequence[TrackFormat]) -> Mapping[str, Reorder | WallTimes]:
    """Create the objects that hold back each track's frames, if the dialect needs them."""
    if dialect.times is Times.WALL:
        epoch = Epoch()
        return {form.track: WallTimes(form.bytes_per_ms, epoch) for form in tracks}
    if dialect.reorder_ms:
        return {form.track: Reorder(dialect.reorder_ms * form.bytes_per_ms) for form in tracks}
    return {}
