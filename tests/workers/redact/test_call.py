"""Streams, epochs, revisions, holding and bounds of a call's redactor."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.redact.playing import ALL, Turn, events, play
from workers.redact import CallRedactor, Kind, Redacted
from workers.redact.reading import MAX_HELD
from workers.redact.track import MAX_TEXT

CARD = "four one one one one one one one one one one one one one one one"


class Call:
    """Makes events and applies them to a redactor."""

    def __init__(self, **options: Any) -> None:
        self.redactor = CallRedactor(**{"kinds": ALL, **options})
        self.epoch = 1
        self._n = 0

    def apply(self, event_type: str, **fields: Any) -> list[Redacted]:
        self._n += 1
        base = {"type": event_type, "stream_id": "MZ1", "epoch": self.epoch, "n": self._n}
        return self.redactor.apply({k: str(v) for k, v in {**base, **fields}.items()})

    def delta(self, text: str, segment: int = 1, rev: int = 0, **fields: Any) -> list[Redacted]:
        return self._text("transcript.delta", text, segment, rev, fields)

    def final(self, text: str, segment: int = 1, rev: int = 0, **fields: Any) -> list[Redacted]:
        return self._text("transcript.final", text, segment, rev, fields)

    def _text(
        self, event_type: str, text: str, segment: int, rev: int, fields: dict[str, Any]
    ) -> list[Redacted]:
        start = fields.get("start_ms", segment * 1000)
        common = {"track": "inbound", "start_ms": start, "end_ms": start + 900}
        return self.apply(event_type, **{**common, **fields}, segment=segment, rev=rev, text=text)


def texts(redacted: list[Redacted]) -> list[str]:
    return [each.fields.get("text", each.fields["type"]) for each in redacted]


def test_ordinary_word_passes_with_the_next_one() -> None:
    call = Call()
    assert texts(call.delta("thank you")) == ["thank"]
    assert texts(call.delta(" for calling, goodbye ")) == [" you for calling,"]
    assert texts(call.final("thank you for calling, goodbye")) == ["thank you for calling, goodbye"]


def test_number_word_is_released_by_the_next_word() -> None:
    call = Call()
    assert texts(call.delta("one")) == []
    assert texts(call.delta(" moment please ")) == ["one moment"]


def test_number_is_masked_once_in_deltas_and_in_the_final() -> None:
    call = Call()
    pieces = [word + " " for word in f"it is {CARD} okay thanks bye".split()]
    deltas = [text for piece in pieces for text in texts(call.delta(piece))]
    assert "".join(deltas) == "it is [card] okay thanks"
    assert texts(call.final(f"it is {CARD} okay thanks bye")) == ["it is [card] okay thanks bye"]
    assert call.redactor.counts == {Kind.CARD: 1}


def test_the_language_of_a_final_stays() -> None:
    [final] = Call().final("thank you, goodbye", language="en")
    assert final.fields["language"] == "en"


def test_higher_rev_starts_the_segment_over() -> None:
    call = Call()
    call.delta("my pin is 48")
    assert texts(call.delta("we like apples ", rev=1)) == ["we like"]
    assert texts(call.delta("21", rev=0)) == []
    assert texts(call.final("we like apples", rev=1)) == ["we like apples"]


def test_final_with_an_open_number_is_held_until_the_track_goes_on() -> None:
    call = Call()
    assert texts(call.final("four one one one")) == []
    assert texts(call.final("one one one one", 2)) == []
    assert texts(call.apply("transcript.gap", track="inbound", from_ms=2900)) == []
    assert texts(call.final("hello", 1, track="outbound", start_ms=2000)) == ["hello"]
    assert texts(call.final("one one one one one one one one", 3)) == []
    released = call.delta("and it expires soon", 4)
    assert texts(released) == ["[card]", "[card]", "transcript.gap", "[card]", "and it expires"]
    assert [each.fields["source_n"] for each in released] == ["1", "2", "3", "5", "6"]
    assert [each.fields["n"] for each in released] == ["2", "3", "4", "5", "6"]


def test_held_final_is_released_eight_seconds_later() -> None:
    call = Call()
    call.final("I need twelve", start_ms=1000)
    assert texts(call.final("okay", track="outbound", start_ms=9900)) == ["okay"]
    released = call.final("still there", 2, track="outbound", start_ms=9901)
    assert texts(released) == ["I need twelve", "still there"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [("4 1 1 1", "4 1 1 1"), ("4 1 1 1 2 3 4", "[number]"), ("my pin is 4 1 1 1", "my pin is")],
)
def test_end_masks_what_is_cued_or_long(said: str, shown: str) -> None:
    call = Call()
    call.final(said)
    released = call.apply("stream.ended")
    assert released[0].fields["text"].startswith(shown)
    assert released[-1].fields["type"] == "stream.ended"
    assert texts(call.delta("more", 2)) == []


def test_end_publishes_held_words_of_an_open_segment_as_a_delta() -> None:
    call = Call()
    call.delta("my pin is 4821")
    assert texts(call.apply("stream.ended")) == [" [one_time_code]", "stream.ended"]


def test_resumed_stream_continues_its_open_segment() -> None:
    call = Call()
    call.delta("my card is four one one one one one one one ")
    call.epoch = 2
    lost = call.apply("stream.ended", status="lost")
    assert [(each.fields["epoch"], each.fields["n"]) for each in lost] == [("1", "2"), ("2", "1")]
    call.epoch = 3
    call.apply("stream.started", resumes=1)
    call.delta("one one one one one one one one")
    assert texts(call.final(f"my card is {CARD} thanks")) == ["my card is [card] thanks"]


def test_stream_that_is_taken_over_begins_anew() -> None:
    call = Call()
    call.final("my pin is 4 8", 7)
    call.epoch = 2
    assert texts(call.apply("stream.started")) == ["my pin is 4 8", "stream.started"]
    assert texts(call.delta("good morning to you", 1)) == ["good morning to"]
    call.epoch = 1
    assert texts(call.delta(" late", 8)) == []


def test_other_speakers_cue_applies_for_a_minute() -> None:
    for start, shown in ((50_000, "[one_time_code] thanks"), (90_000, "4821 thanks")):
        call = Call()
        call.final("what is your PIN?", track="outbound", start_ms=0)
        assert texts(call.final("4821 thanks", start_ms=start)) == [shown]


def test_repeated_group_of_another_speaker_is_masked() -> None:
    call = Call()
    call.final(f"{CARD} okay then bye")
    assert texts(call.final("1111 perfect", track="outbound")) == ["[card] perfect"]


def test_kind_that_is_not_selected_passes() -> None:
    call = Call(kinds=frozenset({Kind.CARD}))
    assert texts(call.final("my pin is 4821 okay bye")) == ["my pin is 4821 okay bye"]
    assert texts(call.final(f"{CARD} okay bye", 2)) == ["[card] okay bye"]


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({"phone": "+14155552671"}, {"phone": "[phone]"}),
        ({"dateOfBirth": "1984-03-05"}, {"dateOfBirth": "[birth_date]"}),
        ({"orderNumber": "4471982"}, {"orderNumber": "4471982"}),
        ({"note": "mail bob@example.com"}, {"note": "mail [email]"}),
        ("no object", {}),
    ],
)
def test_custom_parameters_are_masked(params: object, shown: object) -> None:
    [started] = Call().apply("stream.started", params=json.dumps(params))
    assert json.loads(started.fields["params"]) == shown


def test_malformed_parameters_are_not_published() -> None:
    [started] = Call().apply("stream.started", params="{4111 1111 1111 1111")
    assert started.fields["params"] == "{}"


def test_text_of_an_unknown_event_is_masked() -> None:
    [note] = Call().apply("transcript.note", text="card 4111111111111111")
    assert note.fields["text"] == "card [card]"


@given(
    text=st.text("4 one,.@a-(", min_size=1, max_size=40),
    times=st.integers(1, 2000),
    is_final=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_held_text_is_bounded(text: str, times: int, is_final: bool) -> None:
    raw = (text * times)[: 3 * MAX_HELD]
    call = Call()
    published = (call.final if is_final else call.delta)(raw)
    kept = sum(len(each.fields["text"]) for each in published)
    assert is_final or "[" in "".join(texts(published)) or len(raw) - kept <= MAX_HELD


@pytest.mark.parametrize("text", ["1", "1 ", "one ", "a@b.com ", "s,", "pin 1234 "])
def test_text_beyond_the_limit_is_not_published(text: str) -> None:
    call = Call()
    shown = texts(call.final(text * 100_000) + call.apply("stream.ended"))[0]
    assert len(shown) <= 5 * MAX_TEXT
    assert not any(each in shown for each in ("1111", "1 1 1", "one one"))


def test_streams_and_tracks_beyond_the_limits_are_not_published() -> None:
    call = Call()
    for name in range(100):
        call.final("hello", stream_id=name)
    assert texts(call.final("hello", stream_id="one more")) == []
    tracks = [texts(call.final("hello", track=name, stream_id=0)) for name in range(100)]
    assert tracks.count(["hello"]) == 15


def test_cost_per_event_does_not_grow_with_the_call() -> None:
    spoken = [Turn("inbound", f"my number is 415 555 {n:04} okay bye") for n in range(300)]
    redactor = CallRedactor(ALL)
    play(events(spoken), redactor)
    track = next(iter(redactor._streams.values())).tracks["inbound"]  # noqa: SLF001
    assert len(redactor._numbers._masked) <= 32  # noqa: SLF001
    assert not track._carry  # noqa: SLF001
    assert not track._held  # noqa: SLF001
