"""What was tried, and how that ended, as operators see it."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from workers.client import reading
from workers.push import outbox
from workers.push.messages import Message

_TIMEOUT_S: Final = 5.0


class Attempt(NamedTuple):
    """One attempt to deliver a message.

    Attributes:
        id: identifies the attempt within its partition; begins with the Unix ms at which it began.
        partition: of the call.
        message: the id of the message.
        type: of the message.
        call_id: the call.
        number: 1 for the first attempt to deliver the message.
        worker: who made it.
        step: what followed: `delivered`, `skipped`, `retry`, `dead`, `gone`; empty if the attempt
            has no end: it is being made, or its worker crashed. Then the endpoint may have the
            message.
        status: of the response, or empty.
        reason: why it failed, or empty.
        took_ms: its duration.
        source: the stream that contained the message's event.
        entry: the id of the event in it.
    """

    id: str
    partition: int
    message: str
    type: str
    call_id: str
    number: int
    worker: str
    step: str = ""
    status: str = ""
    reason: str = ""
    took_ms: int = 0
    source: str = ""
    entry: str = ""

    @property
    def begun_ms(self) -> int:
        """Unix ms at which it began, by Redis's clock."""
        return int(self.id.partition("-")[0])


class DeadMessage(NamedTuple):
    """A message that was given up: after the budget, refused by the endpoint, or the queue full."""

    id: str
    partition: int
    message: Message
    reason: str
    attempts: int
    status: str = ""
    last_reason: str = ""


async def attempts(client: RedisClient, partition: int, subscription: str) -> list[Attempt]:
    """Return the attempts in the history of a partition, the oldest first.

    Raises:
        PublishError: Redis is unavailable.
    """
    found: dict[str, Attempt] = {}
    async for entries in reading.pages(client, outbox.key(partition, "history", subscription)):
        for entry in entries:
            token = entry.fields.get("of")
            if token is None:
                found[entry.id] = _begun(entry.id, partition, entry.fields)
            elif token in found and not found[token].step:
                found[token] = _ended(found[token], entry.fields)
    return list(found.values())


async def dead_messages(
    client: RedisClient, partition: int, subscription: str
) -> AsyncIterator[DeadMessage]:
    """Yield the dead letters of a partition, the oldest first.

    Raises:
        PublishError: Redis is unavailable.
    """
    async for entries in reading.pages(client, outbox.key(partition, "dead", subscription)):
        for entry in entries:
            fields = entry.fields
            yield DeadMessage(
                entry.id,
                partition,
                outbox.decode(fields["message"]),
                fields.get("reason", ""),
                int(fields.get("attempts") or 0),
                fields.get("status", ""),
                fields.get("last_reason", ""),
            )


async def drop_dead(
    client: RedisClient, partition: int, subscription: str, ids: Sequence[str]
) -> int:
    """Delete dead letters; return how many there were.

    Raises:
        PublishError: Redis is unavailable.
    """
    key = outbox.key(partition, "dead", subscription)
    return int(await execute(client, "XDEL", key, *ids, timeout_s=_TIMEOUT_S)) if ids else 0


def _begun(entry_id: str, partition: int, fields: dict[str, str]) -> Attempt:
    return Attempt(
        entry_id,
        partition,
        fields.get("message", ""),
        fields.get("type", ""),
        fields.get("call_id", ""),
        int(fields.get("attempt") or 0),
        fields.get("worker", ""),
        source=fields.get("source", ""),
        entry=fields.get("entry", ""),
    )


def _ended(attempt: Attempt, fields: dict[str, str]) -> Attempt:
    return attempt._replace(
        step=fields.get("step", ""),
        status=fields.get("status", ""),
        reason=fields.get("reason", ""),
        took_ms=int(fields.get("took_ms") or 0),
    )
