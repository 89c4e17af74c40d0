"""Play a written call to a redactor, cut in any way, and judge what it published."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from workers.redact import CallRedactor, Kind, Redacted

ALL = frozenset(Kind)
TURN_MS = 1500
_WORD = re.compile(r"\[\w+\]|[\w'@]+")
_SOFT = frozenset(
    re.findall(
        r"\S+",
        "uh um er and the of dash dot at okay no sorry is my it's yeah then space hyphen point in "
        "wait plus und der punkt i mean rather make that",
    )
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says; sensitive values are in braces."""

    track: str
    marked: str

    @property
    def text(self) -> str:
        return self.marked.replace("{", "").replace("}", "")


def turns(call: str) -> list[Turn]:
    parts = [each.strip() for each in call.split(" || ")]
    return [
        Turn("outbound", each[3:]) if each.startswith("Q: ") else Turn("inbound", each)
        for each in parts
    ]


def events(
    spoken: Sequence[Turn], cut: Callable[[str], Iterable[str]] = lambda text: [text]
) -> Iterator[dict[str, str]]:
    """Yield the raw events of a call with one stream.

    Args:
        spoken: the turns, a segment each.
        cut: splits a segment's text into deltas.
    """
    base = {"v": "1", "call_id": "CA1", "stream_id": "MZ1", "epoch": "1"}
    n = 1
    yield {**base, "type": "stream.started", "n": "1", "tracks": "[]", "params": "{}"}
    segments: Counter[str] = Counter()
    for at, turn in enumerate(spoken):
        segments[turn.track] += 1
        common = {
            **base,
            "track": turn.track,
            "segment": str(segments[turn.track]),
            "rev": "0",
            "start_ms": str(at * TURN_MS),
            "end_ms": str((at + 1) * TURN_MS - 200),
        }
        for piece in cut(turn.text):
            n += 1
            yield {**common, "type": "transcript.delta", "n": str(n), "text": piece}
        n += 1
        yield {**common, "type": "transcript.final", "n": str(n), "text": turn.text}
    yield {**base, "type": "stream.ended", "n": str(n + 1), "status": "completed"}


def play(raw: Iterable[dict[str, str]], redactor: CallRedactor) -> list[Redacted]:
    return [each for event in raw for each in redactor.apply(event)]


def published(call: str, language: str = "en", region: str = "US") -> list[str]:
    """Return the published finals of a call, in the order of its turns."""
    spoken = turns(call)
    redacted = play(events(spoken, words), CallRedactor(ALL, language, region))
    return finals(redacted, spoken)


def finals(redacted: Iterable[Redacted], spoken: Sequence[Turn]) -> list[str]:
    texts = {
        (each.fields["track"], each.fields["segment"]): each.fields["text"]
        for each in redacted
        if each.fields["type"] == "transcript.final"
    }
    segments: Counter[str] = Counter()
    found = []
    for turn in spoken:
        segments[turn.track] += 1
        found.append(texts[turn.track, str(segments[turn.track])])
    return found


def words(text: str) -> list[str]:
    """Cut a text into deltas as models send them: words, each with the space before it."""
    return re.findall(r"\s*\S+", text)


def survivors(marked: str, output: str) -> list[str]:
    """Return the words of the sensitive values of a turn that its output still shows."""
    inside = _counted(" ".join(re.findall(r"\{([^}]*)\}", marked)))
    outside = _counted(re.sub(r"\{[^}]*\}", " ", marked))
    left = _counted(output) - outside
    digits = "".join(each for each in inside if each.isdecimal())
    return [
        word
        for word in left
        if (word in inside and word not in _SOFT) or (word.isdecimal() and word in digits)
    ]


def _counted(text: str) -> Counter[str]:
    return Counter(word for word in _WORD.findall(text.lower()) if not word.startswith("["))
