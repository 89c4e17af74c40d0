"""Transcripts in a terminal: a line for each final segment, and below them what is being said."""

from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cli.transcript import CallTranscript, Segment

_STYLES: Final = {"inbound": "cyan", "outbound": "magenta"}


class TranscriptView:
    """Shows any number of calls; without a terminal, final segments only.

    Args:
        console: where to.
        name_calls: put each line's call id in front.
    """

    def __init__(self, console: Console, *, name_calls: bool = False) -> None:
        self._console = console
        self._name_calls = name_calls
        self._open: dict[str, list[Text]] = {}  # by call: the segments that still grow
        self._printed: dict[str, set[tuple[str, str, int]]] = {}
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
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
        growing = []
        for segment in call.segments:
            key = segment.stream_id, segment.track, segment.segment
            if key in printed:
                continue
            line = self._line(call, segment)
            if segment.final:
                printed.add(key)
                self._console.print(line, soft_wrap=not self._console.is_terminal)
            else:
                growing.append(line)
        self._open[call.call_id] = growing
        if call.over:
            del self._open[call.call_id], self._printed[call.call_id]
        if self._live:
            growing = [line for lines in self._open.values() for line in lines]
            self._live.update(Group(*growing), refresh=True)

    def _line(self, call: CallTranscript, segment: Segment) -> Text:
        minutes, seconds = divmod(segment.start_ms // 1000, 60)
        name = f"{call.call_id}  " if self._name_calls else ""
        return Text.assemble(
            (f"{name}{minutes:02d}:{seconds:02d}  ", "dim"),
            (f"{segment.track:<9}", _STYLES.get(segment.track, "bold")),
            (segment.text, "" if segment.final else "italic"),
        )
