"""How messages reach an endpoint: what an adapter implements."""

from typing import Protocol

from workers.push.delivery import Result
from workers.push.messages import Message


class Adapter(Protocol):
    """Delivers the messages of one subscription."""

    async def deliver(self, message: Message, attempt: int) -> Result:
        """Try to deliver a message; return how that ended.

        It has the longest time of an attempt; soon after, the caller cancels it. Several calls
        may be delivered at the same time. An exception is a bug, and counts as a failed attempt.

        Args:
            message: the message.
            attempt: the number of the attempt, from 1.
        """
