"""Transcripts are displayed in order of time, word by word, within the terminal's width."""

import io
import re
from typing import Any

from rich.console import Console

from cli.view import TranscriptView, printable
from tests.workers.client.stories import ended, event, words
from workers.client import AnyEvent, CallTranscript

ASKS = {"track": "inbound", "role": "customer", "start_ms": 1000}
ANSWERS = {"track": "outbound", "role": "agent", "start_ms": 2000}
STARTED = event("stream.started", 1)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def delta(n: int, text: str, **who: Any) -> AnyEvent:
    return words("transcript.delta", n, text, **who)


def final(n: int, text: str, **who: Any) -> AnyEvent:
    return words("transcript.final", n, text, **who)


def test_characters_that_control_a_terminal_are_escaped() -> None:
    assert printable("a\x1b[2J\u202eé") == "a\\x1b[2J\\u202eé"


class Screen:
    """A view of one call and its output."""

    def __init__(self, *, terminal: bool, width: int = 40, height: int = 8) -> None:
        self.output = io.StringIO()
        self.console = Console(
            file=self.output, width=width, height=height, force_terminal=terminal, no_color=True
        )
        self.view = TranscriptView(self.console, name_calls=False)
        self.call = CallTranscript("CA1")

    def shows(self, *events: AnyEvent) -> str:
        """Return the output for these events."""
        begin = self.output.tell()
        for each in events:
            self.call.apply(each)
            self.view.update(self.call)
        return _ESCAPE.sub("", self.output.getvalue()[begin:])


def test_lines_are_printed_in_the_order_of_speech() -> None:
    """Symptom: an answer was printed above its question, which became final later."""
    screen = Screen(terminal=False)
    question = delta(2, "Do you hear", **ASKS)
    assert screen.shows(STARTED, question, final(3, "Yes.", **ANSWERS)) == ""
    assert screen.shows(final(4, "Do you hear me?", **ASKS)) == (
        "00:01  customer Do you hear me?\n00:02  agent    Yes.\n"
    )


def test_open_segment_delays_at_most_8_final_ones() -> None:
    screen = Screen(terminal=False)
    screen.shows(STARTED, delta(2, "Hello", **ASKS))
    finals = [
        final(n, f"line {n}", **{**ANSWERS, "segment": n, "start_ms": n * 1000})
        for n in range(3, 13)
    ]
    assert screen.shows(*finals).splitlines()[0] == "00:03  agent    line 3"


def test_partial_segment_is_printed_when_the_call_ends() -> None:
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
    """Symptom: the terminal broke lines of 200 characters in the middle of a word."""
    screen = Screen(terminal=True)
    said = "It was the best of times, it was the worst of times"
    with screen.view:
        shown = screen.shows(STARTED, final(2, said, **ASKS))
    lines = [line.rstrip() for line in re.split("[\r\n]+", shown)]
    at = lines.index("00:01  Customer  It was the best of")
    assert lines[at + 1 : at + 3] == [" " * 17 + "times, it was the worst", " " * 17 + "of times"]


def test_oldest_lines_are_hidden_if_the_terminal_is_full() -> None:
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


def test_markup_in_text_is_printed_literally() -> None:
    screen = Screen(terminal=True, width=80)
    with screen.view:
        assert "[red]x[/] :smile:" in screen.shows(final(1, "[red]x[/] :smile:", **ASKS))
