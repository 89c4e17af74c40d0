"""The media clock of a track whose frames have no times: counts audio and judges stalls. Pure.

Some carriers send nothing during silence. Counted audio alone would then fall behind the call, by a
different amount on each track. Only the audio after a stall shows what the stall was:

    audio after a stall of 500 ms or more     cause of the stall
    arrives in real time                      silence that the carrier omitted: the clock jumps
    arrives faster, until it has caught up    delayed delivery: nothing to do
    arrives faster, then stays behind         both: the clock jumps by the rest

Frames are held back until a stall is judged, for 400 ms; otherwise they are passed on at once.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.carriers.events import AudioFrame, AudioLost, AudioReceived

_STALL_MS: Final = 500  # a shorter one is jitter
_JUDGED_MS: Final = 400  # how long frames are held back after a stall
_CATCH_UP_MS: Final = 100  # if more is gained in that time, the sender is catching up
_WINDOW_MS: Final = 2000  # of the minimum delay: clocks drift, and a path may become longer
_MAX_HELD_MS: Final = 2000  # of audio held back while the sender is catching up
_LATER_MS: Final = 1000  # a track that begins this long after another began later, not late


class Arrivals:
    """Sets the time of the first frame after each silence; passes on all others unchanged.

    Args:
        bytes_per_ms: of the track's audio.
        peers: the arrivals of the stream's other tracks; this one is appended. A track that begins
            later than another starts at its arrival on that one's clock.

    Attributes:
        delay_ms: minimum delay lately, between a frame's arrival and its position on the media
            clock; None before the first frame.
    """

    def __init__(self, bytes_per_ms: int, peers: list["Arrivals"] | None = None) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._peers = [] if peers is None else peers
        self._peers.append(self)
        self.delay_ms: float | None = None
        self._position_ms = 0.0  # position of the next frame on the media clock
        self._window_ms = 0.0  # when the current window began
        self._window_delay_ms = 0.0  # minimum delay in it
        self._held: deque[tuple[AudioFrame, float, float]] = deque()  # with delay and arrival
        self._held_since_ms = 0.0
        self._held_audio_ms = 0.0

    def receive(self, frame: AudioFrame, now_ms: float) -> Sequence[AudioFrame]:
        """Process a frame; return the frames whose times are known now.

        Args:
            frame: has a time only if its track begins later than the others.
            now_ms: when it arrived, on a monotonic clock.
        """
        length_ms = len(frame.payload) / self._bytes_per_ms
        if frame.timestamp_ms is not None:
            self._position_ms = max(self._position_ms, float(frame.timestamp_ms))
        if self.delay_ms is None:
            frame = self._begin(frame, now_ms)
        ready: Sequence[AudioFrame] = self.pop_due(now_ms) if self._held else ()
        delay_ms = now_ms - self._position_ms - self._held_audio_ms
        if self.delay_ms is None:
            self.delay_ms = self._window_delay_ms = delay_ms
            self._window_ms = now_ms
        if not self._held and delay_ms - self.delay_ms < _STALL_MS:
            self._follow(delay_ms, now_ms)
            self._position_ms += length_ms
            return (*ready, frame) if ready else (frame,)
        if not self._held:
            self._held_since_ms = now_ms
        self._held.append((frame, delay_ms, now_ms))
        self._held_audio_ms += length_ms
        has_caught_up = delay_ms - self.delay_ms < _STALL_MS
        is_catching_up = self._held[0][1] - delay_ms >= _CATCH_UP_MS
        if has_caught_up or (is_catching_up and self._held_audio_ms >= _MAX_HELD_MS):
            return (*ready, *self._pass_on())
        return ready

    def _begin(self, frame: AudioFrame, now_ms: float) -> AudioFrame:
        """Return a track's first frame; with a time if the track begins later than others."""
        delays_ms = [peer.delay_ms for peer in self._peers if peer.delay_ms is not None]
        at_ms = now_ms - min(delays_ms, default=now_ms)
        if at_ms - self._position_ms < _LATER_MS:
            return frame
        self._position_ms = float(int(at_ms))
        return type(frame)(frame.track, frame.payload, int(at_ms), frame.sequence)

    def pop_due(self, now_ms: float) -> Sequence[AudioFrame]:
        """Return the frames held back, if the stall before them can be judged now."""
        if not self._held or now_ms - self._held_since_ms < _JUDGED_MS:
            return ()
        return self.flush()

    def flush(self) -> Sequence[AudioFrame]:
        """Judge the stall by the frames held back so far, and return them."""
        if not self._held:
            return ()
        least_ms = min(delay_ms for _, delay_ms, _ in self._held)
        silence_ms = int(least_ms - (self.delay_ms or 0.0))
        first, delay_ms, now_ms = self._held[0]
        # A sender that catches up still gains in the second half; a few frames at once do not.
        half_ms = self._held_since_ms + _JUDGED_MS / 2
        gained_ms = min(delay for _, delay, at_ms in self._held if at_ms <= half_ms) - least_ms
        if gained_ms < _CATCH_UP_MS / 2 and silence_ms >= _STALL_MS:
            self._position_ms += silence_ms
            at_ms = int(self._position_ms)
            if isinstance(first, AudioLost):  # with a time, it would turn the silence into a loss
                mark = AudioReceived(first.track, b"", at_ms, None)
                self._held.appendleft((mark, delay_ms, now_ms))
            else:
                late = type(first)(first.track, first.payload, at_ms, first.sequence)
                self._held[0] = (late, delay_ms, now_ms)
        return self._pass_on()

    def _pass_on(self) -> Sequence[AudioFrame]:
        frames = tuple(frame for frame, _, _ in self._held)
        self._position_ms += self._held_audio_ms
        self._held.clear()
        self._held_audio_ms = 0.0
        return frames

    def _follow(self, delay_ms: float, now_ms: float) -> None:
        """Update the minimum delay of the last two windows."""
        self.delay_ms = min(self.delay_ms or 0.0, delay_ms)
        self._window_delay_ms = min(self._window_delay_ms, delay_ms)
        if now_ms - self._window_ms >= _WINDOW_MS:
            self.delay_ms = self._window_delay_ms
            self._window_delay_ms = delay_ms
            self._window_ms = now_ms
