"""Displays the transcript of `./run transcribe`: plain text, or a line per segment and party."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from cli.lone_session import SEGMENT_PAUSE_MS
from cli.view import TranscriptView
from gateway.calls.placed_answers import PlacedAnswer
from gateway.transcript.encode import flatten
from gateway.transcript.events import VERSION, FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from workers.client import CallTranscript, read_event

type OnAnswer = Callable[[PlacedAnswer], None]  # receives each answer, including empty ones


def segment(segmenter: Segmenter, answer: PlacedAnswer) -> list[TranscriptDelta | TranscriptFinal]:
    """Return the events that an answer makes."""
    text, placement, answered_ms = answer.text, answer.placement, answer.answered_ms
    if answer.replaces:
        rest, language = answer.provisional, answer.language
        events = segmenter.replace(
            text, rest, placement, 0.0, answered_ms=answered_ms, language=language
        )
    else:
        events = segmenter.delta(text, placement, 0.0, is_final=answered_ms is not None)
    if answer.ends_segment:
        events += segmenter.close(FinalReason.PAUSE)
    return events


class Display(Protocol):
    """The display of one channel.

    Attributes:
        text: its transcript, complete once the display is closed.
    """

    text: str

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Display an answer."""


@contextmanager
def display(channels: int, note: OnAnswer, *, is_plain: bool) -> Iterator[Sequence[Display]]:
    """Open a display; yield one for each channel.

    Args:
        channels: the number of channels.
        note: called with each answer as well.
        is_plain: whether to display plain text, of one channel whose text is never replaced; else
            with times and names.
    """
    with _plain_text(note) if is_plain else _lines(channels, note) as displays:
        yield displays


class _PlainText:
    """Writes text as it arrives."""

    def __init__(self, note: OnAnswer) -> None:
        self.text = ""
        self._note = note

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Write an answer."""
        self._note(answer)
        new = answer.text if self.text else answer.text.lstrip()
        self.text += new
        sys.stdout.write(new)
        sys.stdout.flush()


@contextmanager
def _plain_text(note: OnAnswer) -> Iterator[list[Display]]:
    plain = _PlainText(note)
    try:
        yield [plain]
    finally:
        if plain.text:
            sys.stdout.write("\n")


@contextmanager
def _lines(channels: int, note: OnAnswer) -> Iterator[list[Display]]:
    transcript = CallTranscript("")
    with TranscriptView(Console(highlight=False)) as view:
        lines = [_Lines(f"channel {n + 1}", transcript, view, note) for n in range(channels)]
        try:
            yield list(lines)
        finally:
            for each in lines:
                each.close()


class _Lines:
    """Converts one channel's answers to segments of a transcript."""

    def __init__(
        self, name: str, transcript: CallTranscript, view: TranscriptView, note: OnAnswer
    ) -> None:
        self.text = ""
        self._segmenter = Segmenter(name, "unknown", pause_ms=SEGMENT_PAUSE_MS)
        self._transcript = transcript
        self._view = view
        self._note = note
        self._name = name
        self._events = 0

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Display an answer."""
        self._note(answer)
        self._show(segment(self._segmenter, answer))

    def close(self) -> None:
        """Close the last segment and display it."""
        self._show(self._segmenter.close(FinalReason.HANGUP))

    def _show(self, events: Sequence[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            if isinstance(event, TranscriptFinal):
                self.text = f"{self.text} {event.text}".strip()
            self._events += 1
            kind, at, *fields = flatten(event, 0.0, 0.0)
            shared = {"v": VERSION, "call_id": "", "stream_id": self._name, "epoch": "1"}
            shared |= {"type": kind, "n": str(self._events), "at": at, "gateway": "", "tenant": ""}
            own = dict(zip(fields[::2], fields[1::2], strict=True))
            self._transcript.apply(read_event("0-0", shared | own))
            self._view.update(self._transcript)
