"""Where batches of events go, as the publisher sees it. Pure.

`redis_store.py` is the real one. Any implementation must keep the guarantees of `append.lua`: each
event of a stream once, in order, from its owner only.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from gateway.errors import PublishError
from gateway.transcript.keys import CallKeys


class AppendCall(NamedTuple):
    """One batch: the keys of its call, then the arguments of `append.lua`."""

    keys: CallKeys
    stream_header: bytes  # encode.pack_stream
    payload: bytes  # encode.pack_batch
    age_ms: int = 0  # since the gateway took the stream; of two the younger one owns it


# What `append` answers instead of a number. Both mean that nothing was written.
FENCED: Final = -1  # another gateway has taken the stream
STILL_LEASED: Final = -2  # asked to write only if the owner's lease has lapsed, and it has not
# This and below: written, and a stream that a janitor had closed was resumed by it. `RESUMED -
# answer` is the last n that was written before.
RESUMED: Final = -3


class EventStore(Protocol):
    """Takes batches of many streams in one exchange."""

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch; never raises for what a server did.

        Args:
            calls: at most one batch per stream: what comes later must not overtake what failed.
            timeout_s: for the exchange as a whole.

        Returns:
            Per call the last n that was written before it (0: none by this gateway), `RESUMED` or
            less, `FENCED`, `STILL_LEASED`, or why there is no answer: an error to be retried (it
            may have been written or not: send the same again) or one that is not (it was not, and
            never would).
        """
