"""`./run search`: finds what was said in all calls, and maintains the index."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from cli import events, running
from cli.archive import read_id
from cli.errors import CommandError
from cli.json_output import AsJson, print_json
from cli.search_view import print_page
from common.settings import load
from gateway.errors import PublishError
from workers.archive.assembly import open_store
from workers.archive.record import Text
from workers.archive.settings import Settings as ArchiveSettings
from workers.search.archive_source import ArchiveSource
from workers.search.index import CursorError, Order, Page, Search, SearchIndexError
from workers.search.indexes import open_to_read, rebuild
from workers.search.indexes import remove as remove_calls
from workers.search.query import Query, QueryError, parse
from workers.search.rebuild import Chain, RedisSource, Source
from workers.search.results import result_of
from workers.search.settings import Settings
from workers.search.snippets import snippet


def search(
    query: Annotated[
        str | None,
        typer.Argument(help='What to find: refund "bank account" -cancel role:agent from:7d'),
    ] = None,
    raw: Annotated[
        bool | None,
        typer.Option("--raw/--redacted", help="Which text. Default: redacted, if it is indexed."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The most results.")] = 20,
    after: Annotated[str, typer.Option(help="Continue after a page, by its next.")] = "",
    best: Annotated[
        bool, typer.Option("--best", help="The best of the newest 1000 matches first.")
    ] = False,
    as_json: AsJson = False,
    anew: Annotated[
        bool,
        typer.Option("--rebuild", help="Build the index anew from the archive and Redis."),
    ] = False,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="CALL", help="Remove a call from the index; it stays out."),
    ] = None,
    redis_url: Annotated[
        str, typer.Option(envvar="WORKER_REDIS_URL", help="With --rebuild: URL of Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Search what was said in live and finished calls."""
    if (query is not None) + anew + bool(remove) != 1:
        raise CommandError("name a query, or use --rebuild or --remove")
    settings = load(Settings)
    kind = settings.text.kinds[-1] if raw is None else "raw" if raw else "redacted"
    try:
        if anew:
            running.run(_rebuild(settings, kind, redis_url))
        elif remove:
            running.run(_remove(settings, kind, [read_id(each) for each in remove]))
        else:
            _search(settings, kind, query or "", limit, after, best=best, as_json=as_json)
    except SearchIndexError as error:
        raise CommandError(f"{error} ({settings.path})") from None


def _search(
    settings: Settings, kind: str, text: str, limit: int, after: str, *, best: bool, as_json: bool
) -> None:
    try:
        query = parse(text, datetime.now(UTC))
        asked = Search(query, limit=limit, after=after, order=Order.BEST if best else Order.NEWEST)
        page = running.run(_find(settings, kind, asked))
    except QueryError as error:
        raise CommandError(f"{error}\n     {text}\n     {' ' * error.position}^") from None
    except CursorError:
        raise CommandError("--after must be the next of an earlier page") from None
    if as_json:
        print_json(_report(page, query))
    else:
        print_page(Console(highlight=False), page, query)


async def _find(settings: Settings, kind: str, asked: Search) -> Page:
    index = await open_to_read(settings, kind)
    try:
        return await index.search(asked)
    finally:
        await index.close()


async def _rebuild(settings: Settings, kind: str, redis_url: str) -> None:
    archive = _archive(kind)
    async with events.connect(redis_url) as redis:
        sources: list[Source] = [archive] if archive else []
        try:
            count = await rebuild(settings, kind, Chain(*sources, RedisSource(redis, kind)))
        except PublishError as error:
            raise CommandError(error.detail) from None
    damaged = f"; {archive.damaged} calls are damaged" if archive and archive.damaged else ""
    where = "the archive and Redis" if archive else "Redis"
    typer.echo(f"built the {kind} index anew from {where}: {count} changes{damaged}", err=True)


def _archive(kind: str) -> ArchiveSource | None:
    """Return the archive of a kind of text; None if there is none."""
    settings = load(ArchiveSettings)
    text = Text(kind)
    if not settings.url or text not in settings.text.kinds:
        return None
    return ArchiveSource(open_store(settings, text))


async def _remove(settings: Settings, kind: str, call_ids: list[str]) -> None:
    found = await remove_calls(settings, kind, call_ids)
    typer.echo(f"removed from the {kind} index: {found} of {len(call_ids)} calls", err=True)


def _report(page: Page, query: Query) -> dict[str, object]:
    return {
        "results": [result_of(hit, snippet(hit.text, query)) for hit in page.hits],
        "next": page.next or None,
        "complete": page.is_complete,
    }
