"""The media clock of one track: the position of each frame in the stream's audio. Pure.

The clock counts the audio it receives. The carrier's timestamp of the first frame sets the start.
Later timestamps and frame numbers only serve to detect missing audio: a frame whose timestamp is
ahead of the count can be a jump. Frames that arrive late but complete cause no jump, so the clock
does not see gaps in delivery.

    lead of the frame over the count     condition                         result
    >= half a frame                      numbers show a hole               jump
    a multiple of the frame length       so was every lead before it       jump
    >= JUMP_MS                           none                              jump
    <= -JUMP_MS                          none                              timestamps restarted
    anything else                        none                              no jump

Some senders take timestamps from a wall clock, so their timestamps jitter: hence `JUMP_MS`. If all
leads of a sender were multiples of its frame length, its timestamps count frames, and each lead is
a jump. If the numbers show a hole, but an earlier late timestamp hides the lead, the advance of the
timestamp since the last frame is the length of the jump. A skipped number is a hole only if the
number before it was not skipped: some senders number the frames of all tracks together.

A frame whose audio is lost is a hole as well. It ends at the timestamp of the next frame. Without a
timestamp, it has the expected length of the lost frames.
"""

from typing import Final, TypeGuard

JUMP_MS: Final = 100
RECENT_FRAMES: Final = 64  # a number further back is a restart of the numbering, no duplicate
# Carriers restart timestamps after a hold, if at all; lost frames are far more frequent.
RESTART_LEAPS: Final = 25
MAX_TIMESTAMP_MS: Final = 24 * 3600 * 1000  # a larger timestamp cannot be an offset into a call


class MediaClock:
    """Counts one track's audio in payload bytes, so that half a sample does not shift the clock.

    Args:
        bytes_per_ms: payload bytes of one millisecond.

    Attributes:
        position_bytes: position of the next frame, unless frames before it are lost.
        lost_bytes: length of the lost frames after `position_bytes`.
        leaps: number of jumps so far; a restart of the timestamps counts as `RESTART_LEAPS`.
    """

    __slots__ = (
        "_bytes_per_ms",
        "_counts_frames",
        "_last_lead_bytes",
        "_last_sequence",
        "_on_grid",
        "_placed",
        "_shift_bytes",
        "leaps",
        "lost_bytes",
        "position_bytes",
    )

    def __init__(self, bytes_per_ms: int) -> None:
        self.leaps = 0
        self.position_bytes = 0
        self.lost_bytes = 0
        self._bytes_per_ms = bytes_per_ms
        self._last_sequence: int | None = None
        self._placed = False
        self._counts_frames = True  # the last frame's number was its predecessor's plus 1
        self._on_grid = True
        self._shift_bytes = 0  # added to the carrier's timestamps; set by restarts and jumps
        self._last_lead_bytes = 0  # lead of the last frame if it was negative, else 0

    def to_ms(self, position_bytes: int) -> int:
        """Convert a position to media time, rounded down."""
        return position_bytes // self._bytes_per_ms

    def is_duplicate(
        self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None
    ) -> bool:
        """Return whether a frame repeats a recent number and its timestamp is in the past.

        If the timestamp advances, a repeated number does not make a frame a duplicate: some senders
        restart their numbers, or send the same number with every frame.
        """
        last = self._last_sequence
        if sequence is None or last is None or not last - RECENT_FRAMES < sequence <= last:
            return False
        return not _usable(timestamp_ms) or 2 * self._lead(timestamp_ms) <= -frame_bytes

    def place(self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None) -> int:
        """Advance the clock by a frame that is not a duplicate.

        Args:
            frame_bytes: length of its payload.
            timestamp_ms: the carrier's timestamp of its start; unknown if None, negative or beyond
                one day.
            sequence: its number in its track, if the carrier numbers frames.

        Returns:
            The length of the jump before the frame, in payload bytes; usually 0.
        """
        jump_bytes = 0
        if _usable(timestamp_ms):
            lead_bytes = self._lead(timestamp_ms)
            if lead_bytes or self._last_lead_bytes:  # rare
                jump_bytes = self._correct(timestamp_ms, lead_bytes, frame_bytes, sequence)
        self._placed = True
        if sequence is not None:
            self._counts_frames = self._last_sequence in (None, sequence - 1)
            self._last_sequence = sequence
        self.position_bytes += jump_bytes + frame_bytes
        return jump_bytes

    def _correct(
        self, timestamp_ms: int, lead_bytes: int, frame_bytes: int, sequence: int | None
    ) -> int:
        """Handle a timestamp that differs from the count; return the jump before the frame."""
        jump_bytes = 0
        if not self._placed:
            self.position_bytes += lead_bytes
        elif lead_bytes <= -JUMP_MS * self._bytes_per_ms:
            self._shift_bytes -= lead_bytes
            self.leaps += RESTART_LEAPS
        elif jump_bytes := self._jump(lead_bytes, frame_bytes, sequence):
            self._shift_bytes += jump_bytes - lead_bytes
            self.leaps += 1
        self._last_lead_bytes = min(0, self._lead(timestamp_ms) - jump_bytes)
        return jump_bytes

    def lose(self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None) -> None:
        """Count a frame whose audio is lost and which is not a duplicate; see `place`."""
        if _usable(timestamp_ms):
            lead_bytes = self._lead(timestamp_ms)
            if self._placed:
                self.lost_bytes = max(self.lost_bytes, lead_bytes)
            else:
                self.position_bytes += lead_bytes
        self._placed = True
        if sequence is not None:
            self._counts_frames = self._last_sequence in (None, sequence - 1)
            self._last_sequence = sequence
        self.lost_bytes += frame_bytes

    def recover(self, timestamp_ms: int | None = None) -> int:
        """End a run of lost frames at the start of the next frame.

        Args:
            timestamp_ms: the carrier's timestamp of that start; see `place`.

        Returns:
            The length of the run in payload bytes, by which the clock has advanced.
        """
        run_bytes, self.lost_bytes = self.lost_bytes, 0
        if _usable(timestamp_ms):
            lead_bytes = self._lead(timestamp_ms)
            if lead_bytes > -JUMP_MS * self._bytes_per_ms:
                run_bytes = max(0, lead_bytes)
        self.position_bytes += run_bytes
        return run_bytes

    def _lead(self, timestamp_ms: int) -> int:
        """Return how far a frame's timestamp is ahead of the count, in payload bytes."""
        return timestamp_ms * self._bytes_per_ms + self._shift_bytes - self.position_bytes

    def _jump(self, lead_bytes: int, frame_bytes: int, sequence: int | None) -> int:
        if frame_bytes and (lead_bytes < 0 or lead_bytes % frame_bytes):
            self._on_grid = False
        if lead_bytes >= JUMP_MS * self._bytes_per_ms or (lead_bytes > 0 and self._on_grid):
            return lead_bytes
        last = self._last_sequence
        if not self._counts_frames or sequence is None or last is None or sequence <= last + 1:
            return 0
        advance_bytes = lead_bytes - self._last_lead_bytes
        return advance_bytes if 2 * advance_bytes >= frame_bytes else 0


def _usable(timestamp_ms: int | None) -> TypeGuard[int]:
    return timestamp_ms is not None and 0 <= timestamp_ms <= MAX_TIMESTAMP_MS
