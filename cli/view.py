"""Transcripts in a terminal: in time order, words as they come, each line final in place.

printed for good    segments that are final, and before which no segment is still open
live, below them    the rest, as far as the terminal has room, and a status line
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.transcript import CallTranscript, Segment

_STYLES: Final = {"customer": "cyan", "agent": "magenta", "inbound": "cyan", "outbound": "magenta"}
_REFRESH_PER_S: Final = 8.0
_MOST_WAITING: Final = 8  # final segments behind an open one; it may have been abandoned
_NAME_CHARS: Final = 8  # of a call's id, on a terminal: its end tells calls apart
_STATUS_LINES: Final = 3  # with an empty line, and the cursor's

type _Key = tuple[str, str, int]


class TranscriptView:
    """Shows any number of calls; without a terminal, a line for each final segment.

    Args:
        console: where to.
        name_calls: put each line's call id in front.
        status: returns a line to show below the transcript, on a terminal.
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
        self._waiting: dict[str, list[Segment]] = {}  # by call: not printed for good
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
        """Take over the terminal's last lines."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        if self._live:
            self._live.stop()

    def update(self, call: CallTranscript) -> None:
        """Show what is new in a call."""
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
        with self._console:  # written at once: a line that becomes final does not flicker
            for segment in ready:
                self._print(call.call_id, segment)
            if self._live:
                self._live.refresh()

    def _print(self, call_id: str, segment: Segment) -> None:
        """Print a segment for good."""
        if self._live:
            self._console.print(self._row(call_id, segment))
            return
        name = f"{call_id}  " if self._name_calls else ""
        line = f"{name}{_clock(segment.start_ms)}  {segment.speaker:<8} {segment.text}"
        self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        """Draw what is not printed for good: the newest of it, if there is not room for all."""
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


@contextmanager
def showing(console: Console, what: str) -> Iterator[None]:
    """Show what takes a while: a spinner, or a line where there is no terminal."""
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
