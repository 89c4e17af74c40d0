"""Convert wall-clock timestamps of frames to times on the stream's media clock. Pure.

A wall-clock timestamp says when the carrier's machine processed the frame, not where the frame
belongs in the audio: machines stall and catch up, and clocks drift. So audio is counted. A
timestamp matters only if its lead over the count rises above all leads of the last 400 ms. The
following audio shows the reason for the rise, so frames are held until it is known:

    rise of the lead    frame numbers    the next 400 ms of audio    reason
    >= half a frame     show a hole      any                         audio is missing
    >= 100 ms           show none        keep the lead               audio is missing
                                         fall back by 100 ms         a stall, or a wrong timestamp
    less                show none        -                           jitter or drift
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.audio.clock import JUMP_MS, MAX_TIMESTAMP_MS, RECENT_FRAMES
from gateway.carriers.events import AudioFrame

_JUDGED_MS: Final = 400
_MAX_HELD: Final = 100  # frames, however short


class Epoch:
    """The wall-clock time of a stream's first frame, where its media clock begins."""

    def __init__(self) -> None:
        self._unix_ms: int | None = None

    def since_ms(self, unix_ms: int) -> int:
        """Return the time since the epoch in ms. The first call sets the epoch."""
        if self._unix_ms is None:
            self._unix_ms = unix_ms
        return unix_ms - self._unix_ms


class _Frame(NamedTuple):
    received: AudioFrame
    begin_ms: float  # counted audio before the frame
    lead_ms: float  # how far its timestamp is ahead of begin_ms
    rise_ms: float  # of the lead, if audio may be missing before the frame; else 0
    has_proof: bool  # whether frame numbers prove that audio is missing


class WallTimes:
    """Converts the timestamps of one track's frames.

    Args:
        bytes_per_ms: payload bytes per millisecond of the track.
        epoch: the stream's epoch, shared by its tracks.
    """

    def __init__(self, bytes_per_ms: int, epoch: Epoch) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._epoch = epoch
        self._counted_ms = 0.0  # audio received
        self._missing_ms = 0.0  # audio missing before the held frames
        # Of the last 400 ms: begin_ms and lead_ms.
        self._leads: deque[tuple[float, float]] = deque()
        self._unix_ms = 0  # the last timestamp
        self._sequence = -RECENT_FRAMES
        self._counts_frames = False  # the last two numbers were consecutive
        self._held: deque[_Frame] = deque()  # the first one has a rise

    def receive(self, frame: AudioFrame) -> Sequence[AudioFrame]:
        """Add a frame with a timestamp in Unix ms; return the frames whose times are known."""
        if self._is_copy(frame):  # unless frames are held, the media clock counts the duplicate
            again = type(frame)(frame.track, frame.payload, None, frame.sequence)
            return () if self._held else (again,)
        length_ms = len(frame.payload) / self._bytes_per_ms
        lead_ms, rise_ms = self._follow(frame.timestamp_ms)
        lost_ms = self._lost_ms(frame.sequence, length_ms)
        has_proof = lost_ms > 0 and length_ms <= 2 * rise_ms <= 2 * (lost_ms + JUMP_MS)
        if not has_proof and rise_ms < JUMP_MS:
            rise_ms = 0.0
        self._held.append(_Frame(frame, self._counted_ms, lead_ms, rise_ms, has_proof))
        self._counted_ms += length_ms
        return tuple(self._judge(self._counted_ms - _JUDGED_MS))

    def flush(self) -> Sequence[AudioFrame]:
        """Decide by the frames received so far, and return all held frames."""
        return tuple(self._judge(self._counted_ms))

    def _is_copy(self, frame: AudioFrame) -> bool:
        """Return whether a frame is a duplicate."""
        sequence, unix_ms = frame.sequence, frame.timestamp_ms
        if sequence is None or not self._sequence - RECENT_FRAMES < sequence <= self._sequence:
            return False
        return unix_ms is None or unix_ms <= self._unix_ms

    def _lost_ms(self, sequence: int | None, length_ms: float) -> float:
        """Return how much audio is missing according to the frames' numbers."""
        if sequence is None:
            return 0.0
        skipped = sequence - self._sequence - 1
        lost = skipped if self._counts_frames else 0  # else numbers may count all tracks together
        self._counts_frames = skipped == 0
        self._sequence = sequence
        return lost * length_ms

    def _follow(self, unix_ms: int | None) -> tuple[float, float]:
        """Return the lead of a timestamp, and its rise above the recent leads."""
        if unix_ms is None:
            return (self._leads[-1][1] if self._leads else 0.0), 0.0
        self._unix_ms = unix_ms
        lead_ms = self._epoch.since_ms(unix_ms) - self._counted_ms
        if not self._leads:  # the track's first
            self._missing_ms = lead_ms if 0 <= lead_ms <= MAX_TIMESTAMP_MS else 0.0
        rise_ms = lead_ms - max((each for _, each in self._leads), default=lead_ms)
        self._leads.append((self._counted_ms, lead_ms))
        while self._leads[0][0] < self._counted_ms - _JUDGED_MS or len(self._leads) > _MAX_HELD:
            self._leads.popleft()
        return lead_ms, rise_ms if rise_ms <= MAX_TIMESTAMP_MS else 0.0

    def _judge(self, until_ms: float) -> Iterator[AudioFrame]:
        """Yield held frames, up to the first rise whose reason is not known yet.

        Args:
            until_ms: the reason is known for rises at or before this position.
        """
        while self._held:
            first = self._held[0]
            if first.rise_ms and not first.has_proof:
                if first.begin_ms > until_ms and len(self._held) < _MAX_HELD:
                    return
                self._missing_ms += self._steady_ms(first)
            elif first.rise_ms:
                self._missing_ms += first.rise_ms
            yield self._place(self._held.popleft())
            while self._held and not self._held[0].rise_ms:
                yield self._place(self._held.popleft())

    def _steady_ms(self, rise: _Frame) -> float:
        """Return how much of a rise persists; 0 if the lead falls back."""
        window = [each for each in self._held if each.begin_ms < rise.begin_ms + _JUDGED_MS]
        least_ms = min(each.lead_ms for each in window)
        has_fallen = rise.lead_ms - least_ms >= JUMP_MS
        return 0.0 if has_fallen else rise.rise_ms + min(0.0, least_ms - rise.lead_ms)

    def _place(self, frame: _Frame) -> AudioFrame:
        at_ms = int(frame.begin_ms + self._missing_ms)
        received = frame.received
        return type(received)(received.track, received.payload, at_ms, received.sequence)
