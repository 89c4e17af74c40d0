"""`./run dead-letters`: what the workers of a group could not handle, to be retried or dropped."""

import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Column, Table

from cli import events, running
from cli.errors import CommandError
from cli.view import printable
from gateway.transcript.encode import rfc3339_ms
from workers.client.events import DERIVED_EVENTS, KNOWN_EVENTS
from workers.consumer import DeadLetter, DeadLetters, Group

_ALL: Final = "all"
_ID: Final = re.compile(r"([0-9]{1,4}):([0-9]{1,15}-[0-9]{1,19})")
_GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_LISTED: Final = 1000
_COLUMNS: Final = ("id", "call", "type", "n", "error", "tries", "when")
_PIPE_WIDTH: Final = 250  # characters, without a terminal
_CONTENT: Final = {"text", "params", "summary", "follow_ups"}
# An entry that is not an event may have content in any field.
_WITHOUT_CONTENT: Final = {"type", "dead_id", "dead_error", "dead_tries"} | {
    name for kind in (*KNOWN_EVENTS, *DERIVED_EVENTS) for name in kind.__struct_fields__
} - _CONTENT


class _Id(NamedTuple):
    """An id as the list shows it: the partition, and the id in its stream."""

    partition: int
    entry_id: str

    def __str__(self) -> str:
        return f"{self.partition:02d}:{self.entry_id}"


def dead_letters(
    group: Annotated[str, typer.Argument(help="The group of workers, such as redact.")],
    show: Annotated[
        str | None, typer.Option(metavar="ID", help="Print the fields of one dead letter.")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="With --show: print what was said, too.")
    ] = False,
    retry: Annotated[
        str | None,
        typer.Option(metavar="ID|all", help="Let the workers handle one again, or all of them."),
    ] = None,
    drop: Annotated[str | None, typer.Option(metavar="ID", help="Delete one.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --drop: delete without a question.")
    ] = False,
    redis_url: Annotated[
        str, typer.Option(envvar="WORKER_REDIS_URL", help="URL of the workers' Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """List, retry or drop the events that workers can't handle."""
    if len([each for each in (show, retry, drop) if each is not None]) > 1:
        raise CommandError("use only one of --show, --retry and --drop")
    if text and show is None:
        raise CommandError("use --text only with --show")
    if not _GROUP.fullmatch(group):
        raise CommandError("the group is a name, such as redact")
    if show is not None:
        running.run(_show(redis_url, group, _read(show), with_text=text))
    elif retry is not None:
        running.run(_retry(redis_url, group, None if retry == _ALL else _read(retry)))
    elif drop is not None:
        letter = _read(drop)
        if not yes:
            typer.confirm(
                f"Delete the dead letter {letter} of {group}? It can't be undone", abort=True
            )
        running.run(_drop(redis_url, group, letter))
    else:
        running.run(_list(redis_url, group))


@asynccontextmanager
async def _opened(redis_url: str, group: str) -> AsyncIterator[DeadLetters]:
    async with events.connect(redis_url) as redis:
        yield DeadLetters(redis, Group(group, partitions=events.PARTITIONS))


def _read(text: str) -> _Id:
    found = _ID.fullmatch(text)
    if not found or int(found[1]) >= events.PARTITIONS:
        raise CommandError("the id must be one of the list, such as 53:1795255616265-0")
    return _Id(int(found[1]), found[2])


async def _list(redis_url: str, group: str) -> None:
    columns = (Column(name, no_wrap=name == "id") for name in _COLUMNS)
    table = Table(*columns, box=None, pad_edge=False)
    count = 0
    async with _opened(redis_url, group) as letters:
        async for letter in letters.all():
            count += 1
            if count <= _MOST_LISTED:
                table.add_row(*_row(letter))
        if not count and not await letters.group_exists():
            raise CommandError(f"no worker of a group {group} has used this Redis")
    if count:
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        Console(width=width, highlight=False, markup=False).print(table)
    shown = f"; the first {_MOST_LISTED} are shown" if count > _MOST_LISTED else ""
    typer.echo(f"dead letters of {group}: {count}{shown}", err=True)


def _row(letter: DeadLetter) -> list[str]:
    names = ("call_id", "type", "n", "dead_error", "dead_tries")
    values = [printable(letter.fields.get(name, "")) for name in names]
    when = rfc3339_ms(int(letter.id.partition("-")[0]) / 1000)
    return [str(_Id(letter.partition, letter.id)), *values, when]


async def _show(redis_url: str, group: str, letter_id: _Id, *, with_text: bool) -> None:
    async with _opened(redis_url, group) as letters:
        letter = await letters.find(*letter_id)
    if letter is None:
        raise _unknown(letter_id, group)
    for name, value in letter.fields.items():
        is_shown = with_text or name in _WITHOUT_CONTENT
        hidden = f"({len(value)} characters; --text shows them)"
        typer.echo(f"{printable(name):20} {printable(value) if is_shown else hidden}")


async def _retry(redis_url: str, group: str, letter_id: _Id | None) -> None:
    """Retry one dead letter, or all that there are when the command begins."""
    ids: defaultdict[int, list[str]] = defaultdict(list)
    async with _opened(redis_url, group) as letters:
        if letter_id:
            ids[letter_id.partition].append(letter_id.entry_id)
        else:
            async for letter in letters.all():
                ids[letter.partition].append(letter.id)
        moved = sum([await letters.retry(*each) for each in ids.items()])
    if letter_id and not moved:
        raise _unknown(letter_id, group)
    typer.echo(f"to be handled again by the workers {group}: {moved}")


async def _drop(redis_url: str, group: str, letter_id: _Id) -> None:
    async with _opened(redis_url, group) as letters:
        if not await letters.drop(*letter_id):
            raise _unknown(letter_id, group)
    typer.echo(f"dropped {letter_id}")


def _unknown(letter_id: _Id, group: str) -> CommandError:
    return CommandError(f"{group} has no dead letter {letter_id}")
