"""Frames stamped with the time of day, given times on the stream's media clock. Pure.

Such a stamp says when the carrier's machine had the frame, which is not where it belongs: machines
stall and catch up, and clocks drift. So audio is counted, and a stamp only counts if it steps ahead
of that. What follows tells the steps apart, and is held back until it has:

    step             the next 400 ms of audio       the step was
    >= 100 ms        keep the distance              audio that is missing
                     do not: they come faster, say  a stall, or a wrong stamp: nothing
    <= -100 ms       any                            another clock, or a wrong stamp: nothing
    anything else    -                              jitter, or drift: nothing

A small one counts if the frames' numbers show a hole, too.
"""

from collections.abc import Sequence
from typing import Final

from gateway.audio.clock import JUMP_MS, MAX_TIMESTAMP_MS, RECENT_FRAMES
from gateway.carriers.events import AudioReceived

_JUDGED_MS: Final = 400
_MAX_HELD: Final = 100  # frames, however short


class Epoch:
    """When a stream's first frame was: there its media clock begins."""

    def __init__(self) -> None:
        self._unix_ms: int | None = None

    def since_ms(self, unix_ms: int) -> int:
        """How long a moment is after it; the first moment asked for is it."""
        if self._unix_ms is None:
            self._unix_ms = unix_ms
        return unix_ms - self._unix_ms


class WallTimes:
    """Gives one track's frames their times.

    Args:
        bytes_per_ms: of the track's audio.
        epoch: the stream's.
    """

    def __init__(self, bytes_per_ms: int, epoch: Epoch) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._epoch = epoch
        self._position_ms = 0.0  # where the next frame belongs, if none is held
        self._lead_ms: float | None = None  # of the last stamp over that
        self._sequence = -RECENT_FRAMES
        self._counts_frames = False  # the last frame's number came after its predecessor's
        self._held: list[tuple[AudioReceived, float]] = []  # since a step, each with its own
        self._held_ms = 0.0

    def receive(self, frame: AudioReceived) -> Sequence[AudioReceived]:
        """Take a frame with its time in Unix ms; give those whose times are known."""
        length_ms = len(frame.payload) / self._bytes_per_ms
        step_ms = self._step_ms(frame.timestamp_ms)
        has_hole = False
        if (sequence := frame.sequence) is not None:
            last, self._sequence = self._sequence, sequence
            if last - RECENT_FRAMES < sequence <= last and 2 * step_ms <= -length_ms:
                self._sequence = last
                return (AudioReceived(frame.track, frame.payload, None, sequence),)  # once more
            has_hole = self._counts_frames and sequence > last + 1 and 2 * step_ms >= length_ms
            self._counts_frames = sequence == last + 1
        if self._held or abs(step_ms) >= JUMP_MS:
            self._held.append((frame, step_ms))
            self._held_ms += length_ms
            is_judged = self._held_ms >= _JUDGED_MS or len(self._held) == _MAX_HELD
            return self.flush() if is_judged else ()
        self._move(step_ms if has_hole else 0.0, step_ms)
        return (self._place(frame),)

    def flush(self) -> Sequence[AudioReceived]:
        """Judge by the frames that are held back, and give them."""
        held, self._held, self._held_ms = self._held, [], 0.0
        if held:
            steps_ms = [step_ms for _, step_ms in held]
            least_ms, greatest_ms = min(steps_ms), max(steps_ms)
            is_steady = JUMP_MS <= least_ms <= MAX_TIMESTAMP_MS and greatest_ms < least_ms + JUMP_MS
            self._move(least_ms if is_steady else 0.0, steps_ms[-1])
        return tuple(self._place(frame) for frame, _ in held)

    def _step_ms(self, unix_ms: int | None) -> float:
        """How much further ahead a frame's stamp is than the last one's was."""
        if unix_ms is None:
            return 0.0
        offset_ms = self._epoch.since_ms(unix_ms)
        if self._lead_ms is None:
            if self._position_ms < offset_ms <= MAX_TIMESTAMP_MS:
                self._position_ms = float(offset_ms)
            self._lead_ms = offset_ms - self._position_ms
        return offset_ms - self._position_ms - self._held_ms - self._lead_ms

    def _move(self, missing_ms: float, step_ms: float) -> None:
        """Leave room for what is missing of a step; the rest of it is the stamps' own."""
        self._position_ms += missing_ms
        self._lead_ms = (self._lead_ms or 0.0) + step_ms - missing_ms

    def _place(self, frame: AudioReceived) -> AudioReceived:
        at_ms = int(self._position_ms)
        self._position_ms += len(frame.payload) / self._bytes_per_ms
        return AudioReceived(frame.track, frame.payload, at_ms, frame.sequence)
