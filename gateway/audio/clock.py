"""The media clock of one track: where in the stream's audio each frame belongs. Pure.

The clock counts the audio it was given. A carrier's timestamp positions the first frame; after
that it only ever reports what is missing: a frame that lies ahead of the count is a jump. Frames
that come late but complete are none; a delivery gap is invisible here.

    lead of a frame over the count       frame numbers or stamps           is
    >= half the frame                    numbers show a hole               a jump
    whole frames                         all leads so far were that        a jump
    >= JUMP_MS                           any                               a jump
    <= -JUMP_MS                          any                               stamps begun anew
    anything else                                                          nothing

Some senders stamp frames by a wall clock, so their stamps jitter: hence `JUMP_MS`. One whose stamps
have always been on the grid of its frames counts them, and is taken at its word. Where numbers show
a hole, what the stamps advanced since the last frame counts, if the lead itself hides it. A number
that skips is a hole only if the one before it did not: some senders count all tracks together.

A frame whose audio is lost is a hole as well. It ends where the stamp of the next frame says, or
else is as long as the lost frames should have been.
"""

from typing import Final, TypeGuard

JUMP_MS: Final = 100
RECENT_FRAMES: Final = 64  # a number further back than that is no duplicate but numbering anew
ANEW_LEAPS: Final = 25  # carriers begin anew after a hold, if at all; frames get lost all the time
MAX_TIMESTAMP_MS: Final = 24 * 3600 * 1000  # beyond it a timestamp is no offset into a call


class MediaClock:
    """Counts one track's audio in payload bytes, so that half a sample can't shift it.

    Args:
        bytes_per_ms: payload bytes of one millisecond.

    Attributes:
        position_bytes: where the next frame is expected, unless frames are lost before it.
        lost_bytes: how long the lost frames are that came since then.
        leaps: jumps so far; stamps begun anew count as `ANEW_LEAPS` each.
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
        self._counts_frames = True  # the last frame's number was the one after its predecessor's
        self._on_grid = True
        self._shift_bytes = 0  # from the carrier's stamps to ours, since they began anew
        self._last_lead_bytes = 0  # of the last frame, if it was behind the count

    def to_ms(self, position_bytes: int) -> int:
        """A position as media time, rounded down."""
        return position_bytes // self._bytes_per_ms

    def is_duplicate(
        self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None
    ) -> bool:
        """Whether a frame of that number has been passed lately, and its time with it.

        A number that does not grow is no proof while the timestamp does: some senders number frames
        anew, or all of them alike.
        """
        last = self._last_sequence
        if sequence is None or last is None or not last - RECENT_FRAMES < sequence <= last:
            return False
        return not _usable(timestamp_ms) or 2 * self._lead(timestamp_ms) <= -frame_bytes

    def place(self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None) -> int:
        """Count a frame that is no duplicate.

        Args:
            frame_bytes: its payload's length.
            timestamp_ms: its start as the carrier says; None, negative or beyond a day: unknown.
            sequence: its number in its track, if the carrier numbers frames.

        Returns:
            The length of the jump before it, in payload bytes; 0 almost always.
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
            self.leaps += ANEW_LEAPS
        elif jump_bytes := self._jump(lead_bytes, frame_bytes, sequence):
            self._shift_bytes += jump_bytes - lead_bytes
            self.leaps += 1
        self._last_lead_bytes = min(0, self._lead(timestamp_ms) - jump_bytes)
        return jump_bytes

    def lose(self, frame_bytes: int, timestamp_ms: int | None, sequence: int | None) -> None:
        """Count a frame that is no duplicate and whose audio is lost; see `place`."""
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
        """End a run of lost frames, where the next frame begins.

        Args:
            timestamp_ms: its start as the carrier says; see `place`.

        Returns:
            The length of the run, in payload bytes: the count has gone on by it.
        """
        run_bytes, self.lost_bytes = self.lost_bytes, 0
        if _usable(timestamp_ms):
            lead_bytes = self._lead(timestamp_ms)
            if lead_bytes > -JUMP_MS * self._bytes_per_ms:
                run_bytes = max(0, lead_bytes)
        self.position_bytes += run_bytes
        return run_bytes

    def _lead(self, timestamp_ms: int) -> int:
        """How far a frame's stamp is ahead of the count."""
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
