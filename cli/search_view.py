"""Prints search results: calls as headings, below them what was said, with the matches marked."""

from itertools import groupby
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.transcript.encode import rfc3339_ms
from workers.search.index import Hit, Page
from workers.search.query import Query
from workers.search.snippets import snippet

_STYLES: Final = {"customer": "cyan", "agent": "magenta"}
_MATCH: Final = "bold reverse"
_PIPE_WIDTH: Final = 400  # characters, without a terminal


def print_page(console: Console, page: Page, query: Query) -> None:
    """Print the results, then how to get more."""
    for _, hits in groupby(page.hits, key=lambda hit: hit.call_id):
        _print_call(console, list(hits), query)
    if not page.hits:
        console.print("Nothing was found.", style="dim")
    if not page.is_complete:
        text = "The time limit ended the search; narrow it, for example with from:7d."
        console.print(text, style="yellow")
    if page.next:
        console.print(f"More: --after {page.next}", style="dim")


def _print_call(console: Console, hits: list[Hit], query: Query) -> None:
    console.print(_heading(hits[0]), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for hit in hits:
        who = hit.track if hit.role == "unknown" else hit.role
        style = _STYLES.get(who, "")
        table.add_row(
            Text(_clock(hit.start_ms), "dim"), Text(_plain(who), style), _marked(hit, query)
        )
    width = None if console.is_terminal else _PIPE_WIDTH
    console.print(Padding(table, (0, 0, 1, 2)), width=width)


def _heading(hit: Hit) -> Text:
    when = rfc3339_ms(hit.at_ms / 1000)[:16].replace("T", " ")
    about = [when, hit.carrier, hit.route and f"route {hit.route}", f"tenant {hit.tenant}"]
    line = Text.assemble((_plain(hit.call_id), "bold"), "  ")
    line.append(_plain(" · ".join(filter(None, about))), "dim")
    if hit.disposition:
        line.append(f"  {_plain(hit.disposition)}", "green")
    if hit.alerts:
        line.append(f"  ! {_plain(', '.join(hit.alerts))}", "yellow")
    if hit.gap_ms:
        line.append(f"  {hit.gap_ms / 1000:.1f} s without a transcript", "red")
    return line


def _marked(hit: Hit, query: Query) -> Text:
    shown = snippet(hit.text, query)
    text = Text(_plain(shown.text))
    for begin, end in shown.highlights:
        text.stylize(_MATCH, begin, end)
    return text


def _clock(ms: int) -> str:
    """Return a position on the media clock as minutes and seconds."""
    return f"{ms // 60_000:02d}:{ms // 1000 % 60:02d}"


def _plain(text: str) -> str:
    """Return a text of the same length without characters that control a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)
