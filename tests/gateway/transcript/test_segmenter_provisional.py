"""Provisional text: it becomes longer, is replaced, or becomes final."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement
from workers.client import CallTranscript, read_event

type Event = TranscriptDelta | TranscriptFinal


def summary(events: list[Event]) -> list[str]:
    return [
        f"{event.segment}.{event.rev} {'+' if isinstance(event, TranscriptDelta) else '='}"
        f"{event.text}"
        for event in events
    ]


class Talk:
    """A segmenter whose text is placed by the test."""

    def __init__(self, max_ms: int = 30_000) -> None:
        self.segmenter = Segmenter("inbound", "customer", pause_ms=1000, max_ms=max_ms)
        self.events: list[Event] = []

    def add(self, text: str, start_ms: int, end_ms: int, *, is_final: bool = False) -> list[str]:
        placement = Placement(start_ms, end_ms, 0.0)
        return self.keep(self.segmenter.delta(text, placement, 9.0, is_final=is_final))

    def replace(
        self,
        text: str,
        start_ms: int,
        end_ms: int,
        rest: str = "",
        *,
        is_final: bool = False,
        until_ms: int | None = None,
        language: str | None = None,
    ) -> list[str]:
        placement = Placement(start_ms, end_ms, 0.0)
        answered_ms = (end_ms if until_ms is None else until_ms) if is_final else None
        return self.keep(
            self.segmenter.replace(
                text, rest, placement, 9.0, answered_ms=answered_ms, language=language
            )
        )

    @property
    def languages(self) -> list[str | None]:
        """The languages of all finals."""
        return [event.language for event in self.events if isinstance(event, TranscriptFinal)]

    def close(self) -> list[str]:
        return self.keep(self.segmenter.close(FinalReason.HANGUP))

    def keep(self, events: list[Event]) -> list[str]:
        self.events += events
        return summary(events)


def test_text_that_grows_adds_deltas() -> None:
    talk = Talk()
    assert talk.replace(" I", 0, 1000) == ["1.0 +I"]
    assert talk.replace(" I would", 0, 1500) == ["1.0 + would"]
    assert talk.replace(" I would", 0, 1600) == []
    assert talk.replace(" I would like", 0, 2000, is_final=True) == ["1.0 + like"]
    assert talk.close() == ["1.0 =I would like"]


def test_a_final_has_the_language_of_its_own_text() -> None:
    talk = Talk()
    talk.replace(" Hello.", 0, 800)
    talk.replace(" Hello.", 0, 800, is_final=True, language="en")
    talk.replace(" Grüezi.", 3000, 3800, is_final=True, language="de-CH")
    talk.replace("", 3800, 4000, is_final=True, language="fr")  # no words of this language
    talk.replace(" Ja.", 7000, 7200, is_final=True)
    talk.close()
    assert talk.languages == ["en", "de-CH", None]


def test_a_segment_has_the_language_that_came_last() -> None:
    talk = Talk()
    talk.replace(" Hello.", 0, 800, is_final=True, language="en")
    talk.replace(" Hola.", 900, 1700, is_final=True, language="es")
    talk.replace(" Sí.", 1800, 2100, is_final=True)
    talk.close()
    assert talk.languages == ["es"]


def test_text_beyond_the_longest_segment_has_its_language_in_the_next_one() -> None:
    talk = Talk(max_ms=5000)
    talk.replace(" one", 0, 4000, is_final=True, language="en")
    talk.replace(" due tre", 4000, 6000, is_final=True, language="it")
    talk.close()
    assert talk.languages == ["en", "it"]


def test_text_that_changes_begins_a_revision() -> None:
    talk = Talk()
    talk.replace(" I wood", 0, 1000)
    assert talk.replace(" I would like", 0, 2000, is_final=True) == ["1.1 +I would like"]
    assert talk.close() == ["1.1 =I would like"]


def test_final_text_stays_when_the_text_after_it_changes() -> None:
    talk = Talk()
    talk.replace(" I would like", 0, 2000, is_final=True)
    assert talk.replace(" to change my addr", 2000, 4000) == ["1.0 + to change my addr"]
    assert talk.replace(" to change it", 2000, 4000) == ["1.1 +I would like", "1.1 + to change it"]
    assert talk.replace("", 2000, 2400, is_final=True) == ["1.2 +I would like"]
    assert talk.close() == ["1.2 =I would like"]


def test_silence_after_final_text_ends_the_segment_at_its_last_word() -> None:
    """Symptom: from a server that does not report ends of speech, no final came in a pause."""
    talk = Talk()
    talk.replace(" I would like", 0, 2000, is_final=True)
    assert talk.replace("", 2000, 2900, is_final=True) == []
    [final] = talk.segmenter.replace("", "", Placement(2900, 6000, 0.0), 0.0, answered_ms=6000)
    assert isinstance(final, TranscriptFinal)
    assert (final.text, final.end_ms, final.reason) == ("I would like", 2000, "pause")


def test_text_becomes_final_in_parts_without_a_revision() -> None:
    """At a seam, the words of the overlap stay provisional, and nothing is published again."""
    talk = Talk()
    talk.replace(" it was the age", 0, 4000)
    assert talk.replace(" it was", 0, 4000, " the age", is_final=True) == []
    assert talk.replace(" the age of", 2400, 6000) == ["1.0 + of"]
    assert talk.replace(" the epoch of", 2400, 7000) == ["1.1 +it was", "1.1 + the epoch of"]
    assert talk.replace(" the epoch of", 2400, 7000, is_final=True) == []
    assert talk.close() == ["1.1 =it was the epoch of"]


def test_provisional_text_is_dropped_at_the_end() -> None:
    """It may be incomplete; its audio is replayed, or declared as a gap."""
    talk = Talk()
    talk.replace(" it was", 0, 4000, " the age", is_final=True, until_ms=2500)
    talk.replace(" the age of", 2500, 6000)
    assert talk.close() == ["1.1 +it was", "1.1 =it was"]
    assert (talk.events[-1].start_ms, talk.events[-1].end_ms) == (0, 2500)
    talk.replace(" the age of", 2500, 6000)
    assert talk.close() == ["2.1 ="]
    assert (talk.events[-1].start_ms, talk.events[-1].end_ms) == (2500, 2500)


def test_text_after_a_pause_begins_a_segment() -> None:
    talk = Talk()
    talk.replace(" Hello.", 0, 800, is_final=True)
    assert talk.replace(" Yes?", 2000, 2500) == ["1.0 =Hello.", "2.0 +Yes?"]


def test_provisional_text_does_not_stay_in_the_segment_before() -> None:
    talk = Talk(max_ms=5000)
    talk.replace(" one", 0, 4000, " two", is_final=True)
    assert talk.replace(" two three", 3000, 6000) == ["1.1 +one", "1.1 =one", "2.0 +two three"]
    assert talk.replace(" two three", 3000, 6000, is_final=True) == []
    assert talk.close() == ["2.0 =two three"]


def test_a_replay_keeps_the_final_text_that_it_does_not_reach() -> None:
    talk = Talk()
    talk.replace(" one two", 0, 4000, " three", is_final=True)
    talk.segmenter.restart()
    assert talk.segmenter.is_behind
    assert talk.close() == ["1.1 +one two", "1.1 =one two"]


def folded(events: list[Event]) -> CallTranscript:
    """Return the transcript that a reader of these events has."""
    transcript = CallTranscript("CA1")
    for number, event in enumerate(events, start=1):
        is_delta = isinstance(event, TranscriptDelta)
        kind = "transcript.delta" if is_delta else "transcript.final"
        fields = msgspec.to_builtins(event)
        entry = {
            "v": "1",
            "type": kind,
            "call_id": "CA1",
            "stream_id": "MZ1",
            "epoch": "1",
            "tenant": "default",
            "carrier": "twilio",
            "ts_ms": "0",
            "n": str(number),
            "at": "2026-01-01T00:00:00Z",
            "gateway": "g",
            "latency_ms": "0",
            **{key: str(value) for key, value in fields.items()},
        }
        transcript.apply(read_event("0-0", entry))
    return transcript


texts = st.lists(st.sampled_from([" it", " was", " the", " age.", " a", "", " "]), max_size=5)
steps = st.tuples(
    st.sampled_from(["add", "replace", "final", "pause", "restart"]),
    texts.map("".join),
    texts.map("".join),
    st.integers(0, 3000),
)


@given(st.lists(steps, max_size=30), st.sampled_from([3000, 30_000]))
def test_readers_end_with_the_text_of_the_final(
    rows: list[tuple[str, str, str, int]], max_ms: int
) -> None:
    """The deltas of a segment's last revision concatenate to its final, whatever came before."""
    talk, at_ms = Talk(max_ms), 0
    for kind, text, rest, length_ms in rows:
        end_ms = at_ms + length_ms
        match kind:
            case "add":
                talk.add(text, at_ms, end_ms)
            case "replace":
                talk.replace(text, at_ms, end_ms, rest)
            case "final":
                talk.replace(text, at_ms, end_ms, rest, is_final=True)
                at_ms = end_ms
            case "pause":
                at_ms = end_ms
            case _:
                talk.segmenter.restart()
    talk.close()
    shown: dict[tuple[int, int], str] = {}
    closed: set[int] = set()
    for event in talk.events:
        key = event.segment, event.rev
        if isinstance(event, TranscriptDelta):
            assert event.segment not in closed
            shown[key] = shown.get(key, "") + event.text
            assert shown[key] == shown[key].strip()
        else:
            closed.add(event.segment)
            assert shown.get(key, "") == event.text
            assert event.rev == max(rev for segment, rev in shown if segment == event.segment) or (
                event.text == ""
            )
    finals = [event for event in talk.events if isinstance(event, TranscriptFinal)]
    assert [final.segment for final in finals] == list(range(1, len(finals) + 1))
    read = {each.segment: each.text for each in folded(talk.events).segments}
    assert read == {final.segment: final.text for final in finals}


growth = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=12)


@given(growth)
def test_growing_text_never_begins_a_revision(rows: list[tuple[int, int, bool]]) -> None:
    """However much of it is final, and whenever it becomes so."""
    talk, final, until, shown = Talk(), 0, 0, 0
    words = [f" {number}" for number in range(100)]
    for more, rest, is_final in rows:
        shown = max(shown, until + more + rest)
        until = max(final, shown - rest)
        text, provisional = "".join(words[final:until]), "".join(words[until:shown])
        talk.replace(text, 1000, 2000, provisional, is_final=is_final)
        final = until if is_final else final
    talk.replace("".join(words[final:shown]), 1000, 2000, is_final=True)
    talk.close()
    assert all(event.rev == 0 for event in talk.events)
    assert "".join(words[:shown]).strip() == (talk.events[-1].text if talk.events else "")
