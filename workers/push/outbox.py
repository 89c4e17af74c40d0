"""The messages that wait in Redis: one queue per call and subscription.

    cs:{pNN}:push:due:<subscription>            zset    calls with messages -> when they are due
    cs:{pNN}:push:queue:<subscription>:<call>   list    the messages of a call, in order
    cs:{pNN}:push:tries:<subscription>          hash    calls -> attempts for the first message
    cs:{pNN}:push:history:<subscription>        stream  attempts: begun, and how they ended
    cs:{pNN}:push:dead:<subscription>           stream  messages that were given up
    cs:{pNN}:push:seen:<source>                 zset    the newest events whose messages were added

A worker claims a call: only it may try the call's first message until the claim expires. So
messages of a call are delivered one after another, whichever workers run, and a claim of a worker
that crashed is not in the way for longer than an attempt may last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, drop_connections, exchange, execute
from gateway.redis_client.errors import classify
from gateway.transcript.keys import partition_key
from workers.push.messages import Message

_FOLDER: Final = Path(__file__).parent
_ENQUEUE, _DUE, _CLAIM, _FINISH, _RESTART = (
    (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    for name in ("enqueue", "due", "claim", "finish", "restart")
)
_TIMEOUT_S: Final = 5.0
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Message).decode


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept in Redis.

    Attributes:
        keep_s: lifetime of the keys after the last change.
        history: entries of the history, per partition and subscription.
        dead: dead letters, per partition and subscription.
        queue: messages that wait, per call and subscription; more become dead letters.
        calls: calls with messages that wait, per partition and subscription; as above.
    """

    keep_s: int = 604_800
    history: int = 2000
    dead: int = 2000
    queue: int = 5000
    calls: int = 2000


class Enqueued(NamedTuple):
    """What became of the messages of an event.

    Attributes:
        added: how many queues got one.
        full: those that became dead letters, each with its subscription's id: too many wait.
    """

    added: int
    full: list[tuple[str, Message]]


class DueCall(NamedTuple):
    """A call with a message that may be tried."""

    partition: int
    subscription: str
    call_id: str


class Claim(NamedTuple):
    """An attempt that was begun.

    Attributes:
        token: identifies the attempt: its id in the history.
        attempt: its number, from 1.
        age_s: since the first attempt to deliver the message, or one before it that was given up.
        message: the message.
    """

    token: str
    attempt: int
    age_s: float
    message: Message


class End(NamedTuple):
    """How an attempt ended, and what follows.

    Attributes:
        step: `delivered`, `skipped`, `retry`, `dead` or `gone`.
        took_ms: duration of the attempt.
        status: of the response.
        reason: why it failed.
        pause_s: until the next attempt.
        dead: why the message is a dead letter.
    """

    step: str
    took_ms: int
    status: int | None = None
    reason: str = ""
    pause_s: float = 0.0
    dead: str = ""


class Finished(NamedTuple):
    """What is left of a call after an attempt.

    Attributes:
        is_mine: False if the claim had expired and another attempt was begun.
        waiting: messages of the call.
    """

    is_mine: bool
    waiting: int


def key(partition: int, name: str, subscription: str, call_id: str = "") -> str:
    """Return a key of the outbox."""
    call = f":{call_id}" if call_id else ""
    return partition_key(partition, f"push:{name}:{subscription}{call}")


class Outbox:
    """The queues of all subscriptions.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        limits: what is kept.
        worker: written to the history.
    """

    def __init__(self, client: RedisClient, limits: Limits, worker: str) -> None:
        self._client = client
        self._limits = limits
        self._worker = worker

    async def enqueue(
        self, partition: int, source: str, event: str, messages: Sequence[tuple[str, Message]]
    ) -> Enqueued:
        """Add the messages of one event.

        Args:
            partition: the partition of the calls.
            source: the stream that contains the event.
            event: identifies the event: if its messages were added before, nothing is done. Empty
                if they are to be added again.
            messages: each with the id of its subscription.
        """
        keys = [key(partition, "seen", source)]
        values: list[str | int] = []
        for subscription, message in messages:
            keys += [
                key(partition, "due", subscription),
                key(partition, "queue", subscription, message.call_id),
                key(partition, "dead", subscription),
            ]
            values += [message.call_id, _encode(message).decode()]
        kept = self._limits
        bounds = kept.keep_s, kept.queue, kept.calls, kept.dead
        added, full = await self._eval(_ENQUEUE, keys, event, *bounds, *values)
        return Enqueued(added, [messages[position - 1] for position in full])

    async def due(self, partitions: Sequence[int], room: dict[str, int]) -> list[DueCall]:
        """Return calls with messages that may be tried now.

        Args:
            partitions: where to look.
            room: how many calls to return at most of each subscription and partition.
        """
        if not room or not partitions:
            return []
        commands: list[Command] = [
            ("EVAL", _DUE, len(room), *(key(each, "due", name) for name in room), *room.values())
            for each in partitions
        ]
        found, failure = [], None
        replies = await exchange(self._client, commands, _TIMEOUT_S)
        for partition, reply in zip(partitions, replies, strict=True):
            if not isinstance(reply, list):
                failure = reply if isinstance(reply, Exception) else TypeError()
                continue
            for subscription, calls in zip(room, reply, strict=True):
                found += [DueCall(partition, subscription, call.decode()) for call in calls]
        if failure:
            await drop_connections(self._client)
            if not found:
                raise classify(failure)
        return found

    async def claim(self, call: DueCall, lifetime_s: float) -> Claim | None:
        """Begin an attempt to deliver a call's first message; None if it is not due."""
        names = "due", "queue", "tries", "history"
        found: Any = await self._eval(
            _CLAIM,
            _keys(call, *names),
            call.call_id,
            round(lifetime_s * 1000),
            self._worker,
            self._limits.history,
            self._limits.keep_s,
        )
        if not found:
            return None
        token, attempt, age_ms, message = found
        return Claim(_text(token), int(attempt), int(age_ms) / 1000, _decode(message))

    async def finish(self, call: DueCall, token: str, end: End) -> Finished:
        """End an attempt; return what is left."""
        names = "due", "queue", "tries", "history", "dead"
        outcome = (
            call.call_id,
            token,
            end.step,
            round(end.pause_s * 1000),
            "" if end.status is None else end.status,
            end.reason,
            end.took_ms,
            end.dead,
        )
        kept = self._limits.history, self._limits.dead, self._limits.keep_s
        found: Any = await self._eval(_FINISH, _keys(call, *names), *outcome, *kept)
        return Finished(bool(found[0]), int(found[1]))

    async def restart(self, partition: int, subscription: str) -> int:
        """Make all messages of a subscription due now; return how many calls have some."""
        keys = [key(partition, name, subscription) for name in ("due", "tries")]
        return int(await self._eval(_RESTART, keys))

    async def waiting(
        self, partitions: Sequence[int], subscriptions: Sequence[str]
    ) -> dict[str, tuple[int, int]]:
        """Return, by subscription, how many calls have messages, and how many dead letters."""
        commands: list[Command] = [
            (command, key(partition, name, subscription))
            for subscription in subscriptions
            for command, name in (("ZCARD", "due"), ("XLEN", "dead"))
            for partition in partitions
        ]
        replies: list[Any] = await exchange(self._client, commands, _TIMEOUT_S, key_at=1)
        if failure := next((each for each in replies if isinstance(each, Exception)), None):
            await drop_connections(self._client)
            raise classify(failure)
        size = len(partitions)
        counts = [sum(replies[at : at + size]) for at in range(0, len(replies), size)]
        return {each: (counts[2 * i], counts[2 * i + 1]) for i, each in enumerate(subscriptions)}

    async def discard(self, call: DueCall) -> None:
        """Delete the messages of a call that wait."""
        await execute(self._client, "DEL", *_keys(call, "queue"), timeout_s=_TIMEOUT_S)

    async def _eval(self, script: str, keys: Sequence[str], *arguments: str | int) -> Any:  # noqa: ANN401 - any reply
        return await execute(
            self._client, "EVAL", script, len(keys), *keys, *arguments, timeout_s=_TIMEOUT_S
        )


def decode(message: str) -> Message:
    """Parse a message as the queues contain it."""
    return _decode(message)


def _keys(call: DueCall, *names: str) -> list[str]:
    return [
        key(call.partition, name, call.subscription, call.call_id if name == "queue" else "")
        for name in names
    ]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
