"""Displays transcripts in a terminal: lines in order of time, with words as they arrive.

printed permanently  final segments, once every earlier segment is final
redrawn below them   the other segments, as far as the terminal has room, and a status line
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workers.client import CallTranscript, Segment

_STYLES: Final = {"customer": "cyan", "agent": "magenta", "inbound": "cyan", "outbound": "magenta"}
_REFRESH_PER_S: Final = 8.0
_MOST_WAITING: Final = 8  # final segments that wait for an open one, which may have been abandoned
_NAME_CHARS: Final = 8  # the end of a call id, shown on a terminal to distinguish calls
_STATUS_LINES: Final = 3  # with an empty line and the line of the cursor

type _Key = tuple[str, str, int]


class TranscriptView:
    """Displays any number of calls; without a terminal, only a line for each final segment.

    Args:
        console: the console to print to.
        name_calls: whether each line starts with its call id.
        status: returns the line to show below the transcript on a terminal.
    """

    def __init__(
        self,
        console: Console,
        *,
        name_calls: bool = False,
        status: Callable[[], RenderableType] | None = None,
    ) -> None:
        self._console = console
        self._name_calls = name_calls
        self._status = status
        self._waiting: dict[str, list[Segment]] = {}  # by call: not yet printed permanently
        self._printed: dict[str, set[_Key]] = {}
        self._live = (
            Live(
                console=console,
                get_renderable=self._render,
                refresh_per_second=_REFRESH_PER_S,
                transient=True,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        """Start redrawing the last lines of the terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop redrawing and clear those lines."""
        if self._live:
            self._live.stop()

    def update(self, call: CallTranscript) -> None:
        """Display the changes of a call."""
        printed = self._printed.setdefault(call.call_id, set())
        waiting = [segment for segment in call.segments if _key(segment) not in printed]
        finals = sum(segment.final for segment in waiting)
        ready = []
        for segment in waiting:
            if not (segment.final or call.over) and finals <= _MOST_WAITING:
                break
            if segment.final or call.over:
                ready.append(segment)
                printed.add(_key(segment))
        self._waiting[call.call_id] = [each for each in waiting if _key(each) not in printed]
        if call.over:
            del self._waiting[call.call_id], self._printed[call.call_id]
        # Written at once, so that a line does not flicker when it becomes final.
        with self._console:
            for segment in ready:
                self._print(call.call_id, segment)
            if self._live:
                self._live.refresh()

    def _print(self, call_id: str, segment: Segment) -> None:
        """Print a segment permanently."""
        if self._live:
            self._console.print(self._row(call_id, segment))
            return
        name = f"{call_id}  " if self._name_calls else ""
        line = f"{name}{_clock(segment.start_ms)}  {segment.speaker:<8} {segment.text}"
        self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        """Return the unprinted segments, or the newest ones that fit, followed by the status."""
        rows = [
            self._row(call_id, segment)
            for call_id, segments in list(self._waiting.items())
            for segment in segments
        ]
        room = max(1, self._console.height - _STATUS_LINES)
        while len(rows) > 1 and self._lines(rows) > room:
            del rows[0]
        return Group(*rows, *(["", self._status()] if self._status else []))

    def _lines(self, rows: list[Table]) -> int:
        return sum(len(self._console.render_lines(row)) for row in rows)

    def _row(self, call_id: str, segment: Segment) -> Table:
        row = Table.grid(padding=(0, 2, 0, 0))
        if self._name_calls:
            row.add_column(style="dim", no_wrap=True)
        row.add_column(style="dim", no_wrap=True)
        row.add_column(style=_STYLES.get(segment.speaker, "bold"), min_width=8, no_wrap=True)
        row.add_column()
        name = [Text(f"…{call_id[-_NAME_CHARS:]}")] if self._name_calls else []
        text = Text(segment.text) if segment.final else Text(f"{segment.text} …", "italic")
        row.add_row(*name, _clock(segment.start_ms), Text(segment.speaker.capitalize()), text)
        return row


def printable(text: str) -> str:
    """Return a text without characters that control a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


@contextmanager
def showing(console: Console, what: str) -> Iterator[None]:
    """Show a spinner while the body runs, or print one line if there is no terminal."""
    if console.is_terminal:
        with console.status(f"[dim]{what} ..."):
            yield
    else:
        console.print(f"{what} ...")
        yield


def _key(segment: Segment) -> _Key:
    return segment.stream_id, segment.track, segment.segment


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes:02d}:{seconds:02d}"
