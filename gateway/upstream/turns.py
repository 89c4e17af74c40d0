"""Cut one session's audio into turns, for servers that answer turns. Pure.

    quiet    | lead-in | speech .... pause |  quiet  | lead-in | speech ........ | speech ...
    skipped  |<-------- one turn --------->| skipped |<- the longest turn, cut ->|
                                                                   overlap |<---->|<- the next

Quiet audio between turns is not sent. A turn ends at a pause: the longer it is, the shorter the
pause that ends it. If there is none, it is cut at its longest length. Its last audio is then sent
again, from a quiet moment on, at the start of the next turn, so that a word at the cut is whole
there; `seams.py` joins their texts.
"""

import audioop
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.audio.loudness import LOUD_RMS
from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk

_LEAD_IN_MS: Final = 400  # a word's first sounds are soft
# The shortest and longest overlap: some words, of which one is whole in both turns.
_LEAST_OVERLAP_MS: Final = 1200
_MOST_OVERLAP_MS: Final = 2000
# From this share of the longest length on, a pause of this length ends a turn. Its second half
# begins the next turn, too.
_PAUSES_MS: Final = ((0.9, 160), (0.8, 240), (0.6, 400))
# A pause is less than 9.5 dB above the floor, the least level so far, which rises by 1 dB/s; and
# 14 dB below the turn's loudest chunk. Soft words are less loud than `LOUD_RMS`.
_ABOVE_FLOOR: Final = 3.0
_BELOW_PEAK: Final = 5.0
_FLOOR_RISE_PER_MS: Final = 1.000115
_LEAST_FLOOR: Final = 20.0


class Part(msgspec.Struct, frozen=True, gc=False):
    """A chunk that belongs to the current turn."""

    chunk: AudioChunk
    received_s: float  # when its audio was received, on the monotonic clock
    level: int  # its RMS

    @property
    def is_loud(self) -> bool:
        """Whether it has the energy of speech."""
        return self.level >= LOUD_RMS

    @property
    def length_ms(self) -> int:
        """Length of its audio."""
        return len(self.chunk.pcm) // BYTES_PER_MS


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """A chunk between turns, which is not sent."""

    chunk: AudioChunk
    received_s: float


class Cut(msgspec.Struct, frozen=True, gc=False):
    """The end of a turn.

    Attributes:
        overlap_ms: how much of its audio the next turn begins with; 0 if it ends at a pause.
        ends_utterance: whether that pause is long enough to end a segment.
    """

    overlap_ms: int = 0
    ends_utterance: bool = False


type Step = Part | Quiet | Cut


class TurnCutter:
    """Decides for each chunk whether and in which turn it is sent.

    Args:
        longest_ms: the longest turn.
        pause_ms: length of a pause that ends an utterance.
    """

    def __init__(self, longest_ms: int, pause_ms: int) -> None:
        self._longest_ms = longest_ms
        self._pause_ms = pause_ms
        self._is_open = False
        self._turn_ms = 0  # length of the open turn
        self._quiet_ms = 0  # at its end: not loud
        self._pausing_ms = 0  # at its end: near the floor
        self._peak = 0  # of its levels
        self._floor = LOUD_RMS / _ABOVE_FLOOR
        self._recent: deque[Part] = deque()  # the lead-in of the next turn, or its overlap
        self._recent_ms = 0
        self._end_ms: int | None = None  # of the newest chunk, on the media clock
        self._cut_ms: int | None = None  # of the last one in a turn

    def add(self, chunk: AudioChunk, received_s: float) -> list[Step]:
        """Add the next chunk."""
        steps: list[Step] = []
        part = Part(chunk, received_s, audioop.rms(chunk.pcm, 2))
        jump_ms = 0 if self._end_ms is None else chunk.start_ms - self._end_ms
        is_padding = chunk.start_ms == chunk.end_ms and not part.is_loud
        if self._is_open and (jump_ms >= self._pause_ms or is_padding):
            steps += self._end(keep_ms=0, ends_utterance=True)
        self._end_ms = chunk.end_ms
        rise = _FLOOR_RISE_PER_MS**part.length_ms
        self._floor = max(_LEAST_FLOOR, min(part.level, self._floor * rise))
        if not (self._is_open or part.is_loud):
            return steps + self._wait(part)
        if not self._is_open:
            steps += self._begin()
        steps.append(part)
        return steps + self._extend(part)

    def end(self) -> list[Step]:
        """End the audio: the open turn, or the quiet audio that might have begun one."""
        if self._is_open:
            return self._end(keep_ms=0, ends_utterance=True)
        return self._skip(0)

    def _begin(self) -> list[Step]:
        """Begin a turn with the recent audio."""
        self._is_open = True
        self._turn_ms, self._quiet_ms, self._pausing_ms = self._recent_ms, 0, 0
        self._peak = 0
        return list(self._recent)

    def _extend(self, part: Part) -> list[Step]:
        """Record a part of the open turn; return the end of the turn if it is time for it."""
        self._turn_ms += part.length_ms
        self._quiet_ms = 0 if part.is_loud else self._quiet_ms + part.length_ms
        self._peak = max(self._peak, part.level)
        is_pausing = part.level <= min(_ABOVE_FLOOR * self._floor, self._peak / _BELOW_PEAK)
        self._pausing_ms = self._pausing_ms + part.length_ms if is_pausing else 0
        self._keep(part)
        self._forget(_MOST_OVERLAP_MS)
        if self._quiet_ms >= self._pause_ms:
            return self._end(keep_ms=0, ends_utterance=True)
        if self._is_at_pause:
            return self._end(keep_ms=self._pausing_ms // 2, ends_utterance=False)
        if self._turn_ms + part.length_ms > self._longest_ms:
            self._forget(self._overlap_ms())
            return [Cut(self._recent_ms), *self._begin()]
        return []

    @property
    def _is_at_pause(self) -> bool:
        """Whether the pause is long enough to end a turn of this length."""
        share = self._turn_ms / self._longest_ms
        return any(share >= least and self._pausing_ms >= ms for least, ms in _PAUSES_MS)

    def _overlap_ms(self) -> int:
        """Return the length of the recent audio from its quietest moment on."""
        from_ms, found = self._recent_ms, []
        for part in self._recent:
            if from_ms >= _LEAST_OVERLAP_MS:
                found.append((part.level, from_ms))
            from_ms -= part.length_ms
        return min(found)[1] if found else 0

    def _end(self, *, keep_ms: int, ends_utterance: bool) -> list[Step]:
        self._is_open = False
        self._cut_ms = self._end_ms
        self._forget(keep_ms)
        return [Cut(ends_utterance=ends_utterance)]

    def _wait(self, part: Part) -> list[Step]:
        """Keep quiet audio for the lead-in of the next turn; return what is too old for it."""
        self._keep(part)
        return self._skip(_LEAD_IN_MS)

    def _skip(self, keep_ms: int) -> list[Step]:
        dropped = (part for part in self._drop(keep_ms) if not self._was_in_turn(part.chunk))
        return [Quiet(part.chunk, part.received_s) for part in dropped]

    def _was_in_turn(self, chunk: AudioChunk) -> bool:
        return self._cut_ms is not None and chunk.end_ms <= self._cut_ms

    def _keep(self, part: Part) -> None:
        self._recent.append(part)
        self._recent_ms += part.length_ms

    def _forget(self, keep_ms: int) -> None:
        for _ in self._drop(keep_ms):
            pass

    def _drop(self, keep_ms: int) -> Iterator[Part]:
        while self._recent and self._recent_ms > keep_ms:
            part = self._recent.popleft()
            self._recent_ms -= part.length_ms
            yield part
