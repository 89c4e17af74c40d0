"""What a group of workers implements: `Handler`, and the values that it receives and returns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from workers.client.events import AnyEvent


class Append(msgspec.Struct, frozen=True):
    """A derived event to append to `cs:{pNN}:<suffix>` and `cs:{pNN}:call:<call_id>:<suffix>`.

    Attributes:
        call_id: its call.
        fields: flat strings.
    """

    call_id: str
    fields: Mapping[str, str]


class Received(NamedTuple):
    """An event to handle, and its fields as in Redis."""

    event: AnyEvent
    fields: Mapping[str, str]


class Handler(Protocol):
    """Handles the events of one partition, one after another, while the worker holds its lease."""

    async def handle(self, received: Received) -> Sequence[Append]:
        """Handle an event and return the derived events to append.

        These are written in one step with the position, so they are written once, whatever
        crashes. Any other effect must be harmless when it is repeated: key it by (call_id,
        stream_id, epoch, n).

        Raises:
            PublishError: Redis is unavailable; the event is handled again when it is back.
            Exception: the event can't be handled. After some attempts it becomes a dead letter.
        """


@runtime_checkable
class TimedHandler(Protocol):
    """A handler that acts on the passing of time, too."""

    async def tick(self, until_ms: int) -> Sequence[Append]:
        """Return the derived events to append because time has passed.

        Called about once a second, unless the worker is more than a minute behind. The events
        returned are written once. A worker that takes over, or handles the events again, is not
        called at the same times: before `handle` handles an event, it must do what `tick` would
        have done until then.

        Args:
            until_ms: Unix ms by Redis's clock, as in the ids of entries. All events that were
                written before were handled.

        Raises:
            Exception: counted and logged; the next call has a later time.
        """


@runtime_checkable
class ClosableHandler(Protocol):
    """A handler that holds resources."""

    async def close(self) -> None:
        """Release them: the worker no longer holds the partition. Must not raise."""


class HandlerFactory(Protocol):
    """Creates the handler of a partition when a lease begins."""

    def __call__(self, partition: int) -> Handler:
        """Return a new handler, without any state of an earlier lease."""
