"""Reads the calls that rules are tried on: from Redis by id, or from files."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cli import events
from cli.errors import CommandError
from gateway.transcript.keys import encode_id
from workers.client import reading
from workers.client.events import AnyEvent, EventError, Hole, read_event

_MAX_BYTES: Final = 200_000_000
_DECODER: Final = msgspec.json.Decoder(AnyEvent | Hole)

type Events = list[AnyEvent]


class Called(NamedTuple):
    """A call: its events, and until when they are known, in Unix ms; None: until the last one."""

    call_id: str
    events: Events
    until_ms: int | None = None


async def calls(names: list[str], redis_url: str) -> AsyncIterator[Called]:
    """Yield the calls that arguments name.

    Args:
        names: names of files as `./run tail --json` prints them, and ids of calls.
        redis_url: where calls are, if an argument names no file.

    Raises:
        CommandError: there is no such call, or a file can't be read.
    """
    for name in names:
        if os.path.isfile(name):  # noqa: ASYNC240, PTH113  # a command has nothing else to do
            for call in recorded(Path(name)):
                yield call
        elif name.endswith((".json", ".jsonl")) or "/" in name:
            raise CommandError(f"{name}: there is no such file")
        else:
            stored = await _stored(name, redis_url)
            yield Called(name, stored, round(time.time() * 1000))


def recorded(path: Path) -> Iterator[Called]:
    """Yield the calls in a file: one event per line, as JSON.

    Raises:
        CommandError: it can't be read, or a line is not an event.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise CommandError(f"{path}: exceeds {_MAX_BYTES} bytes")
    found: dict[str, Events] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                event = _DECODER.decode(line)
            except (msgspec.DecodeError, RecursionError):
                raise CommandError(
                    f"{path}:{number}: is not an event as ./run tail --json prints them"
                ) from None
            if not isinstance(event, Hole):
                found.setdefault(event.call_id, []).append(event)
    if not found:
        raise CommandError(f"{path}: has no events")
    yield from (Called(*each) for each in found.items())


async def _stored(call_id: str, redis_url: str) -> Events:
    found: Events = []
    async with events.connect(redis_url) as redis:
        key = await events.stored_key(redis, call_id)
        async for page in reading.pages(redis, key):
            for entry in page:
                try:
                    found.append(read_event(entry.id, entry.fields))
                except EventError as error:
                    raise CommandError(f"{encode_id(call_id)}: {error}") from None
    if not found:
        raise CommandError(f"Redis has no call {call_id}, and there is no such file")
    return found
