"""What one can see of a live stream from outside, at one moment: state and times, no content."""

import msgspec


class TrackSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One track of a live stream. Times in ms are on the media clock."""

    track: str
    role: str
    state: str
    endpoint: str | None  # where its session is; None while it has none
    position_ms: int  # audio received, to here
    answered_ms: int  # audio the model has answered, to here
    lag_ms: int  # how far the model is behind what was received
    buffered_ms: int  # audio that waits to be sent
    reconnects: int  # sessions that failed and were replaced
    rollovers: int  # sessions that were replaced as planned
    segments: int
    gap_ms: int  # audio declared as gaps
    first_audio_s: float | None  # seconds after the stream's start; None: not yet
    first_partial_s: float | None
    suspected_encoding: str | None = None  # what the payload is, if not what was announced


class StreamSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One live stream, once its carrier has announced the call."""

    call_id: str  # the carrier's own, encoded as in events
    tenant: str
    stream_id: str
    carrier: str
    state: str
    epoch: int  # when this gateway took it, Unix ms; events may have a higher one
    age_s: float  # since then, by the monotonic clock
    idle_s: float  # since the last media came, or the stream's start
    tracks: tuple[TrackSnapshot, ...]

    @property
    def duration_ms(self) -> int:
        """How much audio it had so far, on the media clock."""
        return max((track.position_ms for track in self.tracks), default=0)

    @property
    def reconnects(self) -> int:
        """How many there were, on all tracks."""
        return sum(track.reconnects for track in self.tracks)
