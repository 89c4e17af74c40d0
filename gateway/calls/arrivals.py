"""The media clock of a track whose frames have no times: audio is counted, stalls are judged. Pure.

Some carriers send nothing while nobody speaks. Counted audio alone would then run behind the call,
on each track by another amount. What a stall was shows only in the audio that follows it:

    audio after a stall of 500 ms or more    it was
    comes at the speed of speech             silence that the carrier left out: a jump of the clock
    comes faster, until it has caught up     a delay of delivery: nothing
    comes faster, then keeps a distance      both: a jump of what is left, where the speed is normal

Frames are held back while that is judged: 400 ms after a stall, nothing otherwise.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.carriers.events import AudioFrame, AudioLost, AudioReceived

_STALL_MS: Final = 500  # a shorter one is jitter
_JUDGED_MS: Final = 400  # of the time after a stall
_CATCH_UP_MS: Final = 100  # audio gained in it: more is a sender that catches up
_WINDOW_MS: Final = 2000  # of the least delay: clocks drift, and a path may become longer
_MAX_HELD_MS: Final = 2000  # of audio of a sender that catches up
_LATER_MS: Final = 1000  # a track that begins so long after another one does not begin with it


class Arrivals:
    """Sets the time of the first frame after each silence; passes all others on as they are.

    Args:
        bytes_per_ms: of the track's audio.
        peers: those of the stream's tracks, to which this one is added. A track that begins later
            than another lies where it arrives by that one's clock.
    """

    def __init__(self, bytes_per_ms: int, peers: list["Arrivals"] | None = None) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._peers = [] if peers is None else peers
        self._peers.append(self)
        self._position_ms = 0.0  # where the next frame lies on the media clock
        # How much later than its place on the media clock a frame arrives: the least of lately
        self.delay_ms: float | None = None
        self._window_ms = 0.0  # when the window after that began
        self._window_delay_ms = 0.0  # and its least delay
        self._held: deque[tuple[AudioFrame, float, float]] = deque()  # its delay, its arrival
        self._held_since_ms = 0.0
        self._held_audio_ms = 0.0

    def receive(self, frame: AudioFrame, now_ms: float) -> Sequence[AudioFrame]:
        """Process a frame; return those whose times are known.

        Args:
            frame: with a time only where its track begins later than the others.
            now_ms: when it arrived, on any clock that does not jump.
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
        """Set the time of a track's first frame, if it begins later than the others."""
        delays_ms = [peer.delay_ms for peer in self._peers if peer.delay_ms is not None]
        at_ms = now_ms - min(delays_ms, default=now_ms)
        if at_ms - self._position_ms < _LATER_MS:
            return frame
        self._position_ms = float(int(at_ms))
        return type(frame)(frame.track, frame.payload, int(at_ms), frame.sequence)

    def pop_due(self, now_ms: float) -> Sequence[AudioFrame]:
        """Return held frames that have waited long enough to be judged."""
        if not self._held or now_ms - self._held_since_ms < _JUDGED_MS:
            return ()
        return self.flush()

    def flush(self) -> Sequence[AudioFrame]:
        """Judge by the frames that are held, and return them."""
        if not self._held:
            return ()
        least_ms = min(delay_ms for _, delay_ms, _ in self._held)
        silence_ms = int(least_ms - (self.delay_ms or 0.0))
        first, delay_ms, now_ms = self._held[0]
        # Who catches up still gains in the second half; a few frames at once are no catching up.
        half_ms = self._held_since_ms + _JUDGED_MS / 2
        gained_ms = min(delay for _, delay, at_ms in self._held if at_ms <= half_ms) - least_ms
        if gained_ms < _CATCH_UP_MS / 2 and silence_ms >= _STALL_MS:
            self._position_ms += silence_ms
            at_ms = int(self._position_ms)
            if isinstance(first, AudioLost):  # its time would make the silence a loss
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
        """Keep the least delay of the last two windows."""
        self.delay_ms = min(self.delay_ms or 0.0, delay_ms)
        self._window_delay_ms = min(self._window_delay_ms, delay_ms)
        if now_ms - self._window_ms >= _WINDOW_MS:
            self.delay_ms = self._window_delay_ms
            self._window_delay_ms = delay_ms
            self._window_ms = now_ms
