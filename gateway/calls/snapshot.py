"""The state of a live stream at one moment, for the admin API; no content. Pure."""

import msgspec


class TrackSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One track of a live stream. Times in ms are on the media clock."""

    track: str
    role: str
    state: str
    endpoint: str | None  # where its session is; None while it has none
    position_ms: int  # audio received, to here
    answered_ms: int  # audio that the model has answered, to here
    lag_ms: int  # audio received and unanswered
    buffered_ms: int  # audio not yet sent
    reconnects: int  # sessions that failed and were replaced
    rollovers: int  # sessions that were replaced as planned
    segments: int
    gap_ms: int  # audio declared as gaps
    first_audio_s: float | None  # seconds after the stream's start; None: no audio so far
    first_partial_s: float | None
    suspected_encoding: str | None = None  # encoding of the payload, if not the announced one


class StreamSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One live stream, once its carrier has announced the call."""

    call_id: str  # the carrier's own, encoded as in events
    tenant: str
    stream_id: str
    carrier: str
    state: str
    epoch: int  # the proposed one, Unix ms; events may have a higher one
    age_s: float  # since the start
    idle_s: float  # since the newest media, or the start
    tracks: tuple[TrackSnapshot, ...]

    @property
    def duration_ms(self) -> int:
        """Length of the stream on the media clock."""
        return max((track.position_ms for track in self.tracks), default=0)

    @property
    def reconnects(self) -> int:
        """Number of reconnects on all tracks."""
        return sum(track.reconnects for track in self.tracks)
