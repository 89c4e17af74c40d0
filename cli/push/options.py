"""What the commands of `./run push` share: the file of subscriptions, Redis, the subscription."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cli import events
from cli.errors import CommandError
from common.settings import load
from gateway.redis_client.client import RedisClient
from workers.push.assembly import limits
from workers.push.outbox import Outbox
from workers.push.settings import Settings
from workers.push.subscriptions import Listed, Subscription, read_subscriptions

_ENTRY: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,19})")
_LAST: Final = 2**64 - 1  # of the entries of one ms

RedisUrl = Annotated[
    str, typer.Option(envvar="WORKER_REDIS_URL", help="URL of the workers' Redis.")
]
File = Annotated[
    Path | None,
    typer.Option(
        "--subscriptions",
        envvar="WORKER_PUSH_SUBSCRIPTIONS",
        help="The file of the subscriptions, as the worker has it.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its name in the file.")]
LOCAL: Final = "redis://127.0.0.1:6379/0"


@asynccontextmanager
async def opened(redis_url: str) -> AsyncIterator[tuple[RedisClient, Outbox]]:
    """Open Redis and the outbox, with the limits of the worker's settings."""
    async with events.connect(redis_url) as client:
        yield client, Outbox(client, limits(load(Settings)), "run push")


def listed(file: Path | None) -> list[Listed]:
    """Return the subscriptions of the file.

    Raises:
        CommandError: no file is named.
    """
    if file is None:
        raise CommandError("name the file: --subscriptions FILE, or WORKER_PUSH_SUBSCRIPTIONS")
    return read_subscriptions(file)


def find(file: Path | None, name: str) -> Subscription:
    """Return a subscription by its name.

    Raises:
        CommandError: there is none.
    """
    known = {each.subscription.id: each.subscription for each in listed(file)}
    if name not in known:
        raise CommandError(f"no subscription {name} in the file; it has {', '.join(known)}")
    return known[name]


def position_at(time: str) -> str:
    """Return the position before a time: events of that ms are after it.

    Raises:
        CommandError: it is not a time with a zone.
    """
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.timestamp() < 1:
        raise CommandError("the time must be like 2026-11-30T20:00:00Z, with its zone")
    return f"{int(at.timestamp() * 1000) - 1}-{_LAST}"


def position_before(entry: str) -> str | None:
    """Return the position before the ms of an entry; None if it is not the id of one.

    Entries of one ms are ordered only within a partition, so all of them are after it.
    """
    found = _ENTRY.fullmatch(entry)
    if not found:
        return None
    return f"{max(0, int(found[1]) - 1)}-{_LAST}"
