"""Displays the transcript of `./run transcribe`: plain text, or a line per segment and party."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from cli.view import TranscriptView
from gateway.transcript.encode import flatten
from gateway.transcript.events import VERSION, FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement
from gateway.upstream.dialects.dialect import Answer
from workers.client import CallTranscript, read_event

type OnAnswer = Callable[[Answer], None]  # receives each answer, including empty ones


@contextmanager
def display(channels: int, note: OnAnswer) -> Iterator[list[OnAnswer]]:
    """Open a display; yield one function for each channel, to be called with its answers.

    Args:
        channels: the number of channels; one is displayed as plain text, several with times and
            names.
        note: called with each answer as well.
    """
    with _plain_text(note) if channels == 1 else _lines(channels, note) as texts:
        yield texts


@contextmanager
def _plain_text(note: OnAnswer) -> Iterator[list[OnAnswer]]:
    has_text = False

    def show(answer: Answer) -> None:
        nonlocal has_text
        note(answer)
        sys.stdout.write(answer.text if has_text else answer.text.lstrip())
        sys.stdout.flush()
        has_text = has_text or bool(answer.text)

    try:
        yield [show]
    finally:
        if has_text:
            sys.stdout.write("\n")


@contextmanager
def _lines(channels: int, note: OnAnswer) -> Iterator[list[OnAnswer]]:
    transcript = CallTranscript("")
    with TranscriptView(Console(highlight=False)) as view:
        lines = [_Lines(f"channel {n + 1}", transcript, view, note) for n in range(channels)]
        try:
            yield [each.on_answer for each in lines]
        finally:
            for each in lines:
                each.close()


class _Lines:
    """Converts one channel's answers to segments of a transcript."""

    def __init__(
        self, name: str, transcript: CallTranscript, view: TranscriptView, note: OnAnswer
    ) -> None:
        self._segmenter = Segmenter(name, "unknown", pause_ms=1000)
        self._transcript = transcript
        self._view = view
        self._note = note
        self._name = name
        self._events = 0

    def on_answer(self, answer: Answer) -> None:
        """Display an answer."""
        self._note(answer)
        placement = Placement(answer.start_ms, answer.end_ms, 0.0)
        self._show(self._segmenter.delta(answer.text, placement, 0.0))

    def close(self) -> None:
        """Close the last segment and display it."""
        self._show(self._segmenter.close(FinalReason.HANGUP))

    def _show(self, events: Sequence[TranscriptDelta | TranscriptFinal]) -> None:
        for event in events:
            self._events += 1
            kind, at, *fields = flatten(event, 0.0, 0.0)
            shared = {"v": VERSION, "call_id": "", "stream_id": self._name, "epoch": "1"}
            shared |= {"type": kind, "n": str(self._events), "at": at, "gateway": "", "tenant": ""}
            own = dict(zip(fields[::2], fields[1::2], strict=True))
            self._transcript.apply(read_event("0-0", shared | own))
            self._view.update(self._transcript)
