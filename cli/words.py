"""What `./run transcribe` shows: one party's words as they come; several parties line by line."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from rich.console import Console

from cli.transcript import CallTranscript
from cli.view import TranscriptView
from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.token_clock import TOKEN_MS, Placement

type OnText = Callable[[str], None]  # takes each delta's text, empty ones too

_TYPES: Final = {TranscriptDelta: "transcript.delta", TranscriptFinal: "transcript.final"}


@contextmanager
def shown(channels: int, note: OnText) -> Iterator[list[OnText]]:
    """Open the view for so many channels; yield what each one's deltas are passed to.

    Args:
        channels: one is printed as plain text, several with times and names.
        note: called with each delta's text, too.
    """
    with _words(note) if channels == 1 else _lines(channels, note) as texts:
        yield texts


@contextmanager
def _words(note: OnText) -> Iterator[list[OnText]]:
    said = False

    def show(text: str) -> None:
        nonlocal said
        note(text)
        sys.stdout.write(text if said else text.lstrip())
        sys.stdout.flush()
        said = said or bool(text)

    try:
        yield [show]
    finally:
        if said:
            sys.stdout.write("\n")


@contextmanager
def _lines(channels: int, note: OnText) -> Iterator[list[OnText]]:
    transcript = CallTranscript("")
    with TranscriptView(Console(highlight=False)) as view:
        lines = [_Lines(f"channel {n + 1}", transcript, view, note) for n in range(channels)]
        try:
            yield [each.on_text for each in lines]
        finally:
            for each in lines:
                each.close()


class _Lines:
    """One channel's deltas as segments of a transcript."""

    def __init__(
        self, name: str, transcript: CallTranscript, view: TranscriptView, note: OnText
    ) -> None:
        self._segmenter = Segmenter(name, "", pause_ms=1000)
        self._transcript = transcript
        self._view = view
        self._note = note
        self._name = name
        self._ticks = 0
        self._events = 0

    def on_text(self, text: str) -> None:
        """Show a delta: the kth is about the kth 80 ms."""
        self._note(text)
        begin_ms = self._ticks * TOKEN_MS
        self._ticks += 1
        placement = Placement(begin_ms, begin_ms + TOKEN_MS, 0.0)
        self._show(self._segmenter.delta(text, placement, 0.0))

    def close(self) -> None:
        """Show the last words for good."""
        self._show(self._segmenter.close(FinalReason.HANGUP))

    def _show(self, events: Sequence[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._events += 1
            fields = {name: str(value) for name, value in msgspec.structs.asdict(event).items()}
            place = {"stream_id": self._name, "epoch": "1", "n": str(self._events)}
            self._transcript.apply(
                {"type": _TYPES[type(event)], "latency_ms": "0", **place, **fields}
            )
            self._view.update(self._transcript)
