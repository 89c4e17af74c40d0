"""Shares the events of all calls among any number of worker processes, in order, without loss.

    group = Group("redact", suffix="redacted")
    await Consumer(client, group, "redact-1", new_handler, metrics).run(stop)

Each partition has one owner at a time, by a lease with a fencing number. The owner reads the
partition's events after a stored position, handles them one after another, and stores effects and
position in one step. If it crashes, another worker continues there when the lease expires.

handler    what a group implements: handles an event, or the passing of time; returns derived events
calls      states of calls that a handler keeps in memory
consumer   membership, leases, reading
quota      the share of each worker
partition  one leased partition: handling, retries, dead letters, commits
store      the Redis operations (acquire.lua, commit.lua, begin.lua, members.lua)
metrics    the metrics of a group

dead_letters  what an operator does with entries that could not be handled (retry.lua)

Redis's own consumer groups would not do: two consumers of a group may hold neighboring events of a
call (docs/decisions/0018-consumer.md).
"""

from workers.consumer.calls import Calls, Identity, Progress
from workers.consumer.consumer import Consumer, run_all
from workers.consumer.dead_letters import DeadLetter, DeadLetters
from workers.consumer.handler import (
    Append,
    ClosableHandler,
    Handler,
    HandlerFactory,
    Received,
    TimedHandler,
)
from workers.consumer.metrics import ConsumerMetrics
from workers.consumer.store import Group

__all__ = [
    "Append",
    "Calls",
    "ClosableHandler",
    "Consumer",
    "ConsumerMetrics",
    "DeadLetter",
    "DeadLetters",
    "Group",
    "Handler",
    "HandlerFactory",
    "Identity",
    "Progress",
    "Received",
    "TimedHandler",
    "run_all",
]
