"""The store of events, as the publisher sees it. Pure.

`redis_store.py` is the real one. Any implementation must keep the guarantees of `append.lua`: each
event of a stream once, in order, from its owner only.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from gateway.errors import PublishError
from gateway.transcript.keys import CallKeys


class AppendCall(NamedTuple):
    """One batch: the keys of its call, then the arguments of `append.lua`."""

    keys: CallKeys
    stream_header: bytes  # encode.pack_stream
    payload: bytes  # encode.pack_batch
    age_ms: int = 0  # since the gateway opened the stream; the youngest claim owns it


# Replies of `append` other than an n. For both, nothing was written.
FENCED: Final = -1  # another gateway has taken the stream
STILL_LEASED: Final = -2  # the batch required that the owner's lease has lapsed, and it has not
# This value or less: the batch was written, and it resumed a stream that a janitor had closed.
# `RESUMED - reply` is the last n that was written before it.
RESUMED: Final = -3


class Outcome(Enum):
    """What Redis's reply to a batch means."""

    WRITTEN = auto()
    REFUSED = auto()  # it was not written, and never would be
    FENCED = auto()  # another gateway owns the stream
    UNKNOWN = auto()  # it may have been written or not: send the same batch again


class Reply(NamedTuple):
    """Redis's reply to a batch.

    Attributes:
        outcome: what it means.
        written_n: n of the last event that was written before the batch.
        is_resumed: the batch resumed a stream that a janitor had closed.
        error: for REFUSED and UNKNOWN.
    """

    outcome: Outcome
    written_n: int = 0
    is_resumed: bool = False
    error: PublishError | None = None

    @classmethod
    def of(cls, reply: int | PublishError) -> "Reply":
        """Parse what `EventStore.append` returned for a batch."""
        if isinstance(reply, PublishError):
            outcome = Outcome.UNKNOWN if reply.info.retry else Outcome.REFUSED
            return cls(outcome, error=reply)
        if reply == FENCED:
            return cls(Outcome.FENCED)
        if reply <= RESUMED:
            return cls(Outcome.WRITTEN, RESUMED - reply, is_resumed=True)
        return cls(Outcome.WRITTEN, reply)


class EventStore(Protocol):
    """Appends batches of many streams in one exchange."""

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch; never raises for what a server did.

        Args:
            calls: at most one batch per stream: a later one must not overtake one that failed.
            timeout_s: for the exchange as a whole.

        Returns:
            Per call the last n that was written before it (0: none by this gateway), `RESUMED` or
            less, `FENCED`, `STILL_LEASED`, or an error. An error with `info.retry` means that the
            batch may have been written or not: send the same batch again. Any other error means
            that it was not, and never will be.
        """
