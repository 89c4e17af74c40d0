"""Mistral's dialect: messages in, events out."""

import contextlib
import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import SettingsError
from gateway.audio.encodings import Encoding
from gateway.errors import UpstreamError
from gateway.upstream.dialects import mistral_messages as messages
from gateway.upstream.dialects.dialect import Answer, Done, Event, Options, Ready, Send, Speech
from gateway.upstream.dialects.mistral import Mistral, MistralSession

SECOND = bytes(32_000)
FORMAT = {"encoding": "pcm_s16le", "sample_rate": 16_000}


def message(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def delta(text: str) -> bytes:
    return message("transcription.text.delta", text=text)


def segment(text: str, start: float | None, end: float | None) -> bytes:
    return message("transcription.segment", text=text, start=start, end=end)


def turn_end(time_s: float) -> bytes:
    return message("turn.end", time_s=time_s, end_reason="threshold")


def done(text: str = "") -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return message("transcription.done", model="m", text=text, language=None, usage=usage)


def error(code: object = 3051, text: object = "secret words") -> bytes:
    return message("error", error={"message": text, "code": code})


CREATED = message("session.created", session={"request_id": "r", "model": "m"})
UPDATED = message("session.updated", session={"request_id": "r", "audio_format": FORMAT})


def opened(options: Options = Options("m"), *, seconds: int = 10) -> MistralSession:  # noqa: B008
    session = Mistral().session(options)
    assert not list(session.open())
    list(session.receive(CREATED))
    assert list(session.receive(UPDATED)) == [Ready()]
    for _ in range(seconds):
        session.append(SECOND)
    return session


def receive(session: MistralSession, *messages: bytes) -> list[Event]:
    return [event for each in messages for event in session.receive(each)]


def sent(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [json.loads(m) for e in events if isinstance(e, Send) for m in e.messages]


def final(events: Iterable[Event]) -> list[Answer]:
    return [e for e in events if isinstance(e, Answer) and e.until_ms is not None]


def said(events: Iterable[Event]) -> str:
    """Return all final text, and the last text that is provisional."""
    answers = [event for event in events if isinstance(event, Answer)]
    last = answers[-1:] if answers and answers[-1].until_ms is None else []
    return "".join(answer.text for answer in [*final(events), *last])


class TestOpening:
    def test_address(self) -> None:
        address = Mistral().address(Options("voxtral mini"), "k")
        assert address.path == "/v1/audio/transcriptions/realtime"
        assert address.query == "model=voxtral+mini"
        assert address.headers == {"Authorization": "Bearer k"}
        assert "Bearer" not in repr(address)

    @pytest.mark.parametrize("delay_ms", [None, 80, 481, 1200, 2400])
    def test_delays_of_the_server(self, delay_ms: int | None) -> None:
        Mistral().address(Options("m", delay_ms=delay_ms), None)

    @pytest.mark.parametrize("delay_ms", [0, 79, 1201, 2399, 2401])
    def test_other_delays_are_refused_at_startup(self, delay_ms: int) -> None:
        with pytest.raises(SettingsError):
            Mistral().address(Options("m", delay_ms=delay_ms), None)

    def test_all_options_are_sent(self) -> None:
        session = Mistral().session(Options("m", "pt-BR", ("Contoso", "Zürich"), 1200))
        [update] = sent(session.receive(CREATED))
        assert update == {
            "type": "session.update",
            "session": {
                "audio_format": FORMAT,
                "target_streaming_delay_ms": 1200,
                "language": "pt",
                "context_bias": ["Contoso", "Zürich"],
                "turn_detection": {},
            },
        }

    def test_without_options(self) -> None:
        [update] = sent(Mistral().session(Options("m")).receive(CREATED))
        assert update["session"].keys() == {
            "audio_format",
            "target_streaming_delay_ms",
            "turn_detection",
        }

    def test_a_model_that_cannot_detect_turns_is_asked_without(self) -> None:
        session = Mistral().session(Options("m"))
        list(session.receive(CREATED))
        [update] = sent(session.receive(error()))
        assert "turn_detection" not in update["session"]
        with pytest.raises(UpstreamError) as caught:
            list(session.receive(error()))
        assert str(caught.value) == "realtime-error: code 3051"

    def test_g711_is_sent_as_it_came(self) -> None:
        session = Mistral().session(Options("m", encoding=Encoding.PCMU))
        [update] = sent(session.receive(CREATED))
        mulaw = {"encoding": "pcm_mulaw", "sample_rate": 8000}
        assert update["session"]["audio_format"] == mulaw
        assert receive(session, message("session.updated", session={"audio_format": mulaw})) == [
            Ready()
        ]
        [audio] = [json.loads(session.append(SECOND))["audio"]]
        assert pybase64.b64decode(audio) == b"\xff" * 8000
        [answer] = receive(session, segment("Hi", 0.2, 0.9))
        assert isinstance(answer, Answer)
        assert (answer.start_ms, answer.until_ms) == (200, 900)

    def test_a_server_that_refuses_settings_is_asked_for_less(self) -> None:
        session = Mistral().session(Options("m", encoding=Encoding.PCMA))
        asked = sent(receive(session, CREATED, error(), error(), error()))
        forms = [each["session"]["audio_format"]["encoding"] for each in asked]
        assert forms == ["pcm_alaw", "pcm_alaw", "pcm_s16le", "pcm_s16le"]
        assert ["turn_detection" in each["session"] for each in asked] == [True, False, True, False]
        with pytest.raises(UpstreamError):
            receive(session, error())

    def test_another_audio_format_is_an_error(self) -> None:
        session = Mistral().session(Options("m"))
        list(session.receive(CREATED))
        other = {"encoding": "pcm_mulaw", "sample_rate": 8000}
        with pytest.raises(UpstreamError, match="audio format"):
            list(session.receive(message("session.updated", session={"audio_format": other})))

    def test_an_update_that_was_not_asked_for_is_ignored(self) -> None:
        assert not receive(Mistral().session(Options("m")), UPDATED)
        assert not receive(opened(), CREATED, UPDATED)


class TestText:
    def test_audio(self) -> None:
        assert json.loads(opened().append(b"\x01\x02")) == {
            "type": "input_audio.append",
            "audio": pybase64.b64encode(b"\x01\x02").decode(),
        }

    def test_deltas_are_provisional_and_end_a_delay_before_they_arrive(self) -> None:
        [one, two] = receive(opened(), delta(" Hello"), delta(" you."))
        assert one == Answer(" Hello", 8960, 9440, None, replaces=True)
        assert two == Answer(" Hello you.", 8960, 9440, None, replaces=True)

    def test_much_text_at_once_begins_where_it_may_have_been_said(self) -> None:
        """Symptom: after a burst of audio, all its words seemed to be at its end."""
        *_, last = receive(opened(), *(delta(f" word{n:03}") for n in range(20)))
        assert isinstance(last, Answer)
        assert (last.start_ms, last.end_ms) == (9440 - 40 * len(last.text), 9440)

    def test_text_has_the_language_that_was_announced_last(self) -> None:
        session = opened()
        language = message("transcription.language", audio_language="fr")
        odd = message("transcription.language", audio_language=["fr"])
        events = receive(session, delta(" Un"), language, delta(" deux"), segment("Un deux", 0, 1))
        answers = [event for event in events if isinstance(event, Answer)]
        assert [each.language for each in answers] == [None, "fr", "fr"]
        assert [
            e.language for e in receive(session, odd, delta(" x")) if isinstance(e, Answer)
        ] == [None]

    def test_the_last_message_may_be_the_only_one_with_the_language(self) -> None:
        session = opened()
        receive(session, delta(" Un deux"))
        list(session.finish())
        done = message("transcription.done", text=" Un deux", language="fr", usage={})
        [answer, _] = receive(session, done)
        assert isinstance(answer, Answer)
        assert (answer.text, answer.language, answer.until_ms) == (" Un deux", "fr", None)

    def test_a_segment_is_final_and_what_follows_it_is_not(self) -> None:
        session = opened()
        receive(session, delta(" Hello"), delta(" you."), delta(" And"))
        [answer, rest] = receive(session, segment("Hello you.", 1.5, 2.25))
        assert answer == Answer(" Hello you.", 1500, 2250, 2250, replaces=True, provisional=" And")
        assert rest == Answer(" And", 9440, 9440, None, replaces=True)
        assert not session.cut(Speech(0, 9000))
        [end] = receive(session, segment("And.", 2.5, 3))
        assert end == Answer(" And.", 2500, 3000, 3000, replaces=True, ends_segment=True)

    @pytest.mark.parametrize(
        ("deltas", "text", "taken", "rest"),
        [
            ([" hello", " you"], "Hello, you.", " Hello, you.", ""),
            ([" Hel", "lo", " there", " you"], "Hello", " Hello", " there you"),
            ([" Hello.", " "], "Hello.", " Hello.", ""),
            ([" one", " too", " tree"], "One, two,", " One, two,", " tree"),
            (["你好", "世界"], "你好", "你好", "世界"),
            ([], "Hello", " Hello", ""),
        ],
    )
    def test_segments_are_found_in_the_deltas(
        self, deltas: list[str], text: str, taken: str, rest: str
    ) -> None:
        session = opened()
        receive(session, *map(delta, deltas))
        [answer] = final(receive(session, segment(text, 1, 2)))
        assert (answer.text, answer.provisional) == (taken, rest)

    def test_deltas_after_their_segment_are_not_repeated(self) -> None:
        session = opened()
        receive(session, delta(" It"), segment("It was the best", 1, 2), delta(" was"))
        [answer] = receive(session, delta(" the best of"))
        assert isinstance(answer, Answer)
        assert answer.text == " of"

    def test_other_words_after_a_segment_are_kept(self) -> None:
        session = opened()
        receive(session, segment("It was", 1, 2))
        [answer] = receive(session, delta(" Never"))
        assert isinstance(answer, Answer)
        assert answer.text == " Never"

    @pytest.mark.parametrize(("start", "end"), [(None, None), (None, 2.0), (1.0, None)])
    def test_a_segment_without_times_answers_nothing(
        self, start: float | None, end: float | None
    ) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        assert not receive(session, segment("Hello", start, end))
        assert final(session.cut(Speech(5000, 5600)))

    @pytest.mark.parametrize(("start", "end"), [(3e300, 1e308), (9.0, 8.0), (0, 1e9), (-1, 1)])
    def test_times_are_limited_to_the_audio_sent(self, start: float, end: float) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        [answer] = final(receive(session, segment("Hello", start, end)))
        assert 0 <= answer.start_ms <= answer.end_ms <= 10_000

    def test_the_end_of_a_turn_is_final_without_segments(self) -> None:
        session = opened()
        receive(session, message("turn.start", time_s=1.25), delta(" Hello"))
        [answer] = receive(session, turn_end(3.0))
        assert answer == Answer(" Hello", 1250, 3000, 3000, replaces=True, ends_segment=True)
        assert not receive(session, turn_end(5.0))

    def test_a_segment_after_the_end_of_its_turn_is_not_repeated(self) -> None:
        session = opened()
        receive(session, delta(" Hello"), turn_end(3.0))
        assert not receive(session, segment("Hello", 1.0, 3.2))
        receive(session, delta(" you"))
        assert not receive(session, turn_end(4.0))  # segments have come
        [answer] = final(receive(session, segment("you", 3.3, 4.0)))
        assert answer.text == " you"

    def test_a_segment_that_began_before_the_end_of_a_turn_adds_its_other_words(self) -> None:
        session = opened()
        receive(session, delta(" It was"), turn_end(3.0), delta(" the best"), delta(" of"))
        [answer] = final(receive(session, segment("It was the best", 1.0, 4.0)))
        assert (answer.text, answer.provisional) == (" the best", " of")
        assert (answer.start_ms, answer.until_ms) == (3000, 4000)

    def test_a_pause_is_final_without_segments_and_turns(self) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        [answer] = session.cut(Speech(2000, 2600))
        end = Answer(" Hello", 2000, 2600, 2600, replaces=True, ends_segment=True, is_assumed=True)
        assert answer == end
        assert not session.cut(Speech(2000, 2600))

    def test_a_long_pause_without_audio_is_final_although_segments_are_expected(self) -> None:
        session = opened()
        receive(session, segment("Hello", 1, 2), delta(" Hello"), delta(" you"))
        for _ in range(5):
            assert not session.cut(Speech(2000, 2600))
        receive(session, delta(" there"))
        for _ in range(7):
            assert not session.cut(Speech(2000, 2600))
        [answer] = final(session.cut(Speech(2000, 2600)))
        assert answer.text == " you there"

    def test_a_segment_that_comes_after_its_pause_is_final_at_once(self) -> None:
        """Symptom: its words stayed provisional, and the next segment took them for its own."""
        session = opened()
        receive(session, delta(" It was"))
        session.cut(Speech(1000, 3000))
        receive(session, segment("It was", 1.0, 1.5))
        receive(session, delta(" the"), delta(" best"))
        events = final(receive(session, segment("the best", 2.2, 2.8), delta(" of")))
        events += final(receive(session, segment("of", 5.0, 5.2)))
        assert [(answer.text, answer.until_ms) for answer in events] == [
            (" the best", 3000),
            (" of", 5200),
        ]

    def test_a_long_pause_is_final_although_segments_are_expected(self) -> None:
        session = opened()
        receive(session, segment("Hello", 1, 2), delta(" Hello"), delta(" you"))
        assert not session.cut(Speech(2000, 2600))
        for _ in range(8):
            session.append(SECOND)
        [answer] = final(session.cut(Speech(2000, 2600)))
        assert answer.text == " you"
        assert not receive(session, segment("you", 2.2, 2.6))
        receive(session, delta(" there"))
        [answer] = final(receive(session, segment("there", 11, 12)))
        assert answer.text == " there"

    def test_long_text_becomes_final_by_itself(self) -> None:
        session = opened(seconds=1)
        events: list[Event] = []
        for _ in range(60):
            session.append(SECOND)
            events += receive(session, delta(" word"))
        events += receive(session, turn_end(60))
        text = "".join(answer.text for answer in final(events))
        assert text == " word" * 60
        until_ms = [answer.until_ms for answer in final(events)]
        assert len(until_ms) == 5
        assert until_ms == sorted(until_ms)  # type: ignore[type-var]  # final answers have it
        assert [answer.is_assumed for answer in final(events)] == [True] * 4 + [False]

    def test_long_text_that_came_at_once_is_divided_over_its_time(self) -> None:
        session = opened(seconds=18)
        events: list[Event] = []
        for _ in range(50):  # after a suspension
            events += receive(session, delta(" wordy"))
        for _ in range(10):
            session.append(SECOND)
            events += receive(session, delta(" word"))
        [head] = final(events)
        assert 35 < len(head.text.split()) < 48
        assert head.until_ms is not None
        assert 13_000 < head.until_ms < 16_500

    @pytest.mark.parametrize(
        "ignored",
        [
            message("turn.eager_end", time_s=1),
            message("turn.resume", time_s=1),
            message("transcription.language", audio_language="en"),
            message("rate_limits.updated", limits=[1]),
        ],
    )
    def test_other_messages_are_ignored(self, ignored: bytes) -> None:
        assert not receive(opened(), ignored)


class TestEnd:
    def test_flush_and_end(self) -> None:
        assert [m["type"] for m in sent(opened().finish())] == [
            "input_audio.flush",
            "input_audio.end",
        ]

    def test_text_after_the_end_reaches_to_the_end(self) -> None:
        session = opened()
        session.finish()
        assert receive(session, delta(" Hello"), done(" Hello")) == [
            Answer(" Hello", 9520, 10_000, None, replaces=True),
            Done(),
        ]

    def test_words_that_only_done_has_are_kept(self) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        session.finish()
        [answer, end] = receive(session, done(" Hello you"))
        assert isinstance(answer, Answer)
        assert (answer.text, end) == (" Hello you", Done())

    def test_another_text_of_done_is_ignored(self) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        session.finish()
        assert receive(session, done("Goodbye to all")) == [Done()]

    def test_a_done_that_was_not_asked_for_is_no_answer(self) -> None:
        session = opened()
        receive(session, delta(" Hello"))
        assert receive(session, done(" Hello")) == [Done()]


HOSTILE = [
    b"",
    b"\xff",
    b"null",
    b"[]",
    b'{"type":1}',
    b"[" * 100_000,
    b'{"type":"transcription.text.delta"}',
    message("transcription.text.delta", text=5),
    message("transcription.text.delta", text="x" * 20_001),
    message("transcription.segment", text="x", start="1", end=2),
    message("turn.end", time_s=None),
    message("transcription.done"),
    message("session.updated", session=[]),
    error("not a number"),
    message("error", error="text"),
    error(1, {"detail": "secret words"}),
    error(2**70),
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_messages_are_one_clear_error(hostile: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        receive(opened(), hostile)
    assert caught.value.reason in ("realtime-protocol-error", "realtime-error")
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 100


def test_no_text_in_representations() -> None:
    for each in (delta("secret"), segment("secret", 1, 2), done("secret")):
        assert "secret" not in repr(messages.decode(each))


def test_memory_is_bounded() -> None:
    """Text that never becomes final ends the session; text that does leaves nothing."""
    session = opened(seconds=0)
    for _ in range(20):
        receive(session, delta("x" * 1000))
    with pytest.raises(UpstreamError, match="too much text"):
        receive(session, delta("x"))
    session = opened(seconds=1)
    tracemalloc.start()
    for second in range(3000):
        session.append(SECOND)
        receive(session, delta(" word"), turn_end(second))
    assert tracemalloc.get_traced_memory()[0] < 200_000
    tracemalloc.stop()


WORDS = st.lists(st.sampled_from(["one", "two", "Three.", "é", "a", "x,"]), max_size=25)


@given(WORDS, st.data())
def test_words_are_final_once_in_order(words: list[str], data: st.DataObject) -> None:
    """Whatever the cuts of the text into deltas and segments, and their order."""
    session = opened(seconds=1)
    text = "".join(f" {word}" for word in words)
    events: list[Event] = []
    spoken_ms = at = 0
    while at < len(text):
        end = data.draw(st.integers(at + 1, len(text)))
        session.append(SECOND)
        spoken_ms += 1000
        events += receive(session, delta(text[at:end]))
        at = end
        end_of = data.draw(st.sampled_from(["", "turn", "pause"]))
        if end_of == "turn":
            events += receive(session, turn_end(spoken_ms / 1000))
        elif end_of == "pause":
            events += session.cut(Speech(spoken_ms - 500, spoken_ms))
    session.finish()
    events += receive(session, done(text))
    assert said(events) == text.rstrip()
    shown_ms = [answer.until_ms for answer in final(events)]
    assert shown_ms == sorted(shown_ms)  # type: ignore[type-var]


@given(WORDS.filter(bool), st.data())
def test_segments_are_final_once_in_order(words: list[str], data: st.DataObject) -> None:
    """A segment comes before, between or after the deltas that repeat its words."""
    session = opened(seconds=len(words) + 1)
    wire: list[tuple[float, bytes]] = []
    at = 0
    for number, word in enumerate(words):
        wire.append((number, delta(f" {word}")))
    while at < len(words):
        end = data.draw(st.integers(at + 1, len(words)))
        late = data.draw(st.floats(at - 0.5, len(words)))
        late = max(late, wire[-1][0] if at else late)
        wire.append((late, segment(" ".join(words[at:end]), at, end)))
        at = end
    wire.sort(key=lambda each: each[0])
    events = receive(session, *(each for _, each in wire))
    session.finish()
    events += receive(session, done(" ".join(words)))
    assert said(events).split() == words


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(HOSTILE)), max_size=5))
def test_any_message_is_decoded_or_an_upstream_error(hostile: list[bytes]) -> None:
    session = opened()
    with contextlib.suppress(UpstreamError):
        receive(session, *hostile)
