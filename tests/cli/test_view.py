"""What a transcript looks like: in time order, words as they come, within the terminal's width."""

import io
import re
from typing import Any

from rich.console import Console

from cli.transcript import CallTranscript
from cli.view import TranscriptView
from tests.cli.test_transcript import Event, ended, event, words

ASKS = {"track": "inbound", "role": "customer", "start_ms": 1000}
ANSWERS = {"track": "outbound", "role": "agent", "start_ms": 2000}
STARTED = event("stream.started", 1)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def delta(n: int, text: str, **who: Any) -> Event:
    return words("transcript.delta", n, text, **who)


def final(n: int, text: str, **who: Any) -> Event:
    return words("transcript.final", n, text, **who)


class Screen:
    """A view of one call, and what it has shown."""

    def __init__(self, *, terminal: bool, width: int = 40, height: int = 8) -> None:
        self.output = io.StringIO()
        self.console = Console(
            file=self.output, width=width, height=height, force_terminal=terminal, no_color=True
        )
        self.view = TranscriptView(self.console, name_calls=False)
        self.call = CallTranscript("CA1")

    def shows(self, *events: Event) -> str:
        """Return what is written for these events."""
        begin = self.output.tell()
        for each in events:
            self.call.apply(each)
            self.view.update(self.call)
        return _ESCAPE.sub("", self.output.getvalue()[begin:])


def test_lines_are_printed_in_the_order_of_speech() -> None:
    """Symptom: an answer above its question, whose last word was agreed upon later."""
    screen = Screen(terminal=False)
    question = delta(2, "Do you hear", **ASKS)
    assert screen.shows(STARTED, question, final(3, "Yes.", **ANSWERS)) == ""
    assert screen.shows(final(4, "Do you hear me?", **ASKS)) == (
        "00:01  customer Do you hear me?\n00:02  agent    Yes.\n"
    )


def test_an_open_segment_holds_others_back_only_so_long() -> None:
    screen = Screen(terminal=False)
    screen.shows(STARTED, delta(2, "Hello", **ASKS))
    finals = [
        final(n, f"line {n}", **{**ANSWERS, "segment": n, "start_ms": n * 1000})
        for n in range(3, 13)
    ]
    assert screen.shows(*finals).splitlines()[0] == "00:03  agent    line 3"


def test_what_never_became_final_is_shown_at_the_end() -> None:
    screen = Screen(terminal=False)
    shown = screen.shows(STARTED, delta(2, "Hello, is", **ASKS), ended(3, "lost"))
    assert shown == "00:01  customer Hello, is\n"


def test_a_terminal_shows_words_as_they_come() -> None:
    screen = Screen(terminal=True)
    with screen.view:
        assert "Do you …" in screen.shows(STARTED, delta(2, "Do you", **ASKS))
        shown = screen.shows(delta(3, " hear", **ASKS), final(4, "Do you hear me?", **ASKS))
        assert "Do you hear …" in shown
        assert "00:01  Customer  Do you hear me?" in shown


def test_long_lines_wrap_beside_the_speaker() -> None:
    """Symptom: lines of 200 characters that the terminal breaks in the middle of a word."""
    screen = Screen(terminal=True)
    said = "It was the best of times, it was the worst of times"
    with screen.view:
        shown = screen.shows(STARTED, final(2, said, **ASKS))
    lines = [line.rstrip() for line in re.split("[\r\n]+", shown)]
    at = lines.index("00:01  Customer  It was the best of")
    assert lines[at + 1 : at + 3] == [" " * 17 + "times, it was the worst", " " * 17 + "of times"]


def test_what_does_not_fit_the_terminal_leaves_at_the_top() -> None:
    screen = Screen(terminal=True, height=6)
    with screen.view:
        opened = [
            delta(n, f"line {n}", **{**ANSWERS, "segment": n, "start_ms": n * 1000})
            for n in range(2, 12)
        ]
        screen.shows(STARTED, *opened)
        last = screen.output.getvalue().rpartition("line 11 …")[0][-200:]
    assert "line 10" in last
    assert "line 2 " not in last


def test_text_that_looks_like_markup_is_text() -> None:
    screen = Screen(terminal=True, width=80)
    with screen.view:
        assert "[red]x[/] :smile:" in screen.shows(final(1, "[red]x[/] :smile:", **ASKS))
