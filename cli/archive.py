"""`./run archive verify`: proves the archive complete, or lists the calls that are not."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import batched
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli import running
from cli.errors import CommandError
from common.settings import load
from gateway.transcript.keys import encode_id
from workers.archive.assembly import open_store
from workers.archive.objects import StoreError
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveError, ArchiveStore
from workers.archive.verify import State, Verdict, verify

_ENCODED: Final = re.compile(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})+")
_AT_ONCE: Final = 8  # calls

app = typer.Typer(
    name="archive",
    help="Verify the archive of calls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def archive() -> None:
    """Verify the archive of calls."""


@app.command("verify")
def verify_calls(
    call_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[CALL_ID]...", help="The calls to verify.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify all calls.")] = False,
    allow_incomplete: Annotated[
        bool,
        typer.Option(
            "--allow-incomplete",
            help="Exit with 0 if manifests are proved, even if some say that events are missing.",
        ),
    ] = False,
) -> None:
    """Compare calls with their manifests: digests, counts and the numbering of the events.

    Prints each call that is not proved complete, and exits with code 1 if there is one.
    """
    if every == bool(call_ids):
        raise CommandError("name the calls to verify, or use --all")
    named = [read_id(each) for each in call_ids or []]
    counts = running.run(_verify(named, every=every))
    parts = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    typer.echo(f"verified {counts.total()} calls: {parts or 'there are none'}", err=True)
    accepted = {State.COMPLETE} | ({State.INCOMPLETE} if allow_incomplete else set())
    raise typer.Exit(int(any(counts[state] for state in State if state not in accepted)))


async def _verify(named: list[str], *, every: bool) -> Counter[State]:
    settings, counts = load(Settings), Counter[State]()
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.completed} calls"), TimeElapsedColumn()
    is_hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        task = progress.add_task("", total=None)
        for text in map(Text, settings.text.kinds):
            async with opened(settings, text) as store:
                calls = [each async for each in store.calls()] if every else named
                async for verdict in _verdicts(store, calls):
                    counts[verdict.state] += 1
                    progress.advance(task)
                    for line in _lines(text, verdict):
                        typer.echo(line)
    return counts


async def _verdicts(store: ArchiveStore, calls: Iterable[str]) -> AsyncIterator[Verdict]:
    for some in batched(calls, _AT_ONCE):
        for verdict in await asyncio.gather(*(verify(store, each) for each in some)):
            yield verdict


def _lines(text: Text, verdict: Verdict) -> list[str]:
    who = f"{verdict.state}  {text}  {verdict.call_id}"
    return [f"{who}  {each}" for each in verdict.problems]


@asynccontextmanager
async def opened(settings: Settings, text: Text) -> AsyncIterator[ArchiveStore]:
    """Open the archive of one kind of text.

    Raises:
        CommandError: the store failed, or what it has is damaged.
        SettingsError: the settings name no store.
    """
    try:
        yield open_store(settings, text)
    except (StoreError, ArchiveError) as error:
        raise CommandError(str(error)) from None


def read_id(text: str) -> str:
    """Return a call's id in the form of docs/events.md, from that form or the carrier's."""
    return text if _ENCODED.fullmatch(text) else encode_id(text)
