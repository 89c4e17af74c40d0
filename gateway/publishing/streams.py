"""The open streams of the process, and what each of them waits for. Pure.

    idle ---> ready ---> on its way ---> idle, or ready: there is more to write
                ^             |
                |             v  no answer
                '----------- held: until the backoff is over

One whose batches are in the spool waits for those, whatever it is here.
"""

from collections.abc import Iterator, Sequence

from gateway.publishing.stream_writer import StreamWriter


class Streams:
    """All open streams, in the order of their opening."""

    def __init__(self) -> None:
        self._open: dict[StreamWriter, None] = {}
        self._ready: dict[StreamWriter, None] = {}  # in the order in which they became it
        self._held: dict[StreamWriter, None] = {}
        self._unanswered: dict[StreamWriter, None] = {}  # held, or tried again since

    def __iter__(self) -> Iterator[StreamWriter]:
        """Iterate over the open streams."""
        return iter(self._open)

    def __len__(self) -> int:
        """Count those that are open."""
        return len(self._open)

    def __contains__(self, writer: StreamWriter) -> bool:
        """Return whether a stream is open."""
        return writer in self._open

    def open(self, writer: StreamWriter) -> None:
        """Register a stream with nothing to write."""
        self._open[writer] = None

    def forget(self, writer: StreamWriter) -> None:
        """Remove a stream that has ended or that another gateway owns."""
        self._open.pop(writer, None)
        self._ready.pop(writer, None)
        self._held.pop(writer, None)
        self._unanswered.pop(writer, None)

    def forget_all(self) -> None:
        """Remove all streams."""
        for waiting in (self._open, self._ready, self._held, self._unanswered):
            waiting.clear()

    @property
    def ready(self) -> Sequence[StreamWriter]:
        """Those to be written next, in order."""
        return list(self._ready)

    @property
    def has_unwritten(self) -> bool:
        """Whether any stream is ready or held."""
        return bool(self._ready or self._held)

    def make_ready(self, writer: StreamWriter) -> None:
        """Schedule a stream for the next write."""
        self._ready[writer] = None

    def make_ready_unless_waiting(self, writer: StreamWriter) -> bool:
        """Schedule a stream for the next write unless older events of it wait; return whether."""
        if writer in self._held or writer.spooled:
            return False
        self._ready[writer] = None
        return True

    def make_silent_ready(self, since_s: float) -> None:
        """Schedule the streams that were last written before a time and are not held."""
        for writer in self._open:
            if writer.lease_renewed_at <= since_s and writer not in self._held:
                self._ready[writer] = None

    def unready(self, writer: StreamWriter) -> None:
        """Mark a stream as being written, or as having nothing left to write."""
        self._ready.pop(writer, None)

    @property
    def has_held(self) -> bool:
        """Whether any stream waits for the backoff."""
        return bool(self._held)

    def is_waiting(self, writer: StreamWriter) -> bool:
        """Return whether a stream waits for the backoff, or for its batches in the spool."""
        return writer in self._held or bool(writer.spooled)

    @property
    def has_unanswered(self) -> bool:
        """Whether any stream waits for an acknowledgement; scheduling its retry keeps that."""
        return bool(self._held or self._unanswered)

    def note_answer(self, writer: StreamWriter) -> None:
        """Clear a stream's missing acknowledgement. If the exchange failed, call `hold` next."""
        self._unanswered.pop(writer, None)

    def hold(self, writer: StreamWriter) -> None:
        """Hold a stream whose batch was not acknowledged until the backoff ends."""
        self._ready.pop(writer, None)
        self._held[writer] = self._unanswered[writer] = None

    def hold_unwritten(self) -> None:
        """Hold every stream that has something to write, because its outcome is unknown."""
        self._held.update((writer, None) for writer in self._open if writer.backlog)

    def release_held(self) -> None:
        """Schedule the streams that waited for the backoff."""
        self._ready.update(self._held)
        self._held.clear()
