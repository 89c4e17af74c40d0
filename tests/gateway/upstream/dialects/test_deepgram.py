"""Deepgram's dialect: what it asks for, and which answers its messages become."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import SettingsError
from gateway.audio.encodings import Encoding
from gateway.errors import UpstreamError
from gateway.upstream.dialects.deepgram import Deepgram, DeepgramSession
from gateway.upstream.dialects.dialect import Answer, Done, Event, Options, Ready, Send, Speech
from gateway.upstream.dialects.registry import DialectName, make_dialect

SECOND = bytes(32_000)
DONE = Done()


def results(start: float, duration: float, transcript: str = "", **fields: Any) -> dict[str, Any]:
    """Return a result; each word is 0.1 s long, and the first begins 0.1 s after its start."""
    words = [
        {"word": word, "start": start + 0.1 * k, "end": start + 0.1 * (k + 1), "confidence": 1.0}
        for k, word in enumerate(transcript.split(), 1)
    ]
    alternative = {"transcript": transcript, "confidence": 1.0, "words": words}
    message = {"type": "Results", "channel_index": [0, 1], "start": start, "duration": duration}
    return {**message, "channel": {"alternatives": [alternative]}, "metadata": {}, **fields}


def final(start: float, duration: float, transcript: str = "", **fields: Any) -> dict[str, Any]:
    return results(start, duration, transcript, is_final=True, **fields)


def metadata(duration: float) -> dict[str, Any]:
    return {"type": "Metadata", "duration": duration, "channels": 1, "sha256": "0"}


def session(seconds: int = 60) -> DeepgramSession:
    """Return a session that has sent audio."""
    made = Deepgram().session(Options("nova-3"))
    assert list(made.open()) == [Ready()]
    for _ in range(seconds):
        made.append(SECOND)
    return made


def play(made: DeepgramSession, *messages: dict[str, Any] | bytes) -> list[Event]:
    return [
        event
        for message in messages
        for event in made.receive(
            message if isinstance(message, bytes) else json.dumps(message).encode()
        )
    ]


def text(answers: list[Event]) -> str:
    """Return the text that a reader has at the end."""
    finals, provisional = "", ""
    for answer in answers:
        if isinstance(answer, Answer):
            provisional = answer.text if answer.replaces else provisional + answer.text
            if answer.until_ms is not None:
                finals, provisional = finals + provisional, ""
    return finals + provisional


def interim_answer(words: str, start_ms: int, end_ms: int) -> Answer:
    return Answer(words, start_ms, end_ms, None, replaces=True)


class TestAddress:
    def test_the_options_are_in_the_query(self) -> None:
        options = Options("nova-3", language="de-CH", keywords=("Contoso AG", "R&D"))
        address = Deepgram(pause_ms=700).address(options, None)
        assert address.path == "v1/listen"
        assert address.headers == {}
        assert parse_qsl(address.query, strict_parsing=True) == [
            ("model", "nova-3"),
            ("encoding", "linear16"),
            ("sample_rate", "16000"),
            ("channels", "1"),
            ("interim_results", "true"),
            ("smart_format", "true"),
            ("endpointing", "700"),
            ("utterance_end_ms", "1000"),
            ("language", "de-CH"),
            ("keyterm", "Contoso AG"),
            ("keyterm", "R&D"),
        ]

    @pytest.mark.parametrize(
        ("encoding", "query"),
        [
            (Encoding.PCMU, "encoding=mulaw&sample_rate=8000"),
            (Encoding.PCMA, "encoding=alaw&sample_rate=8000"),
        ],
    )
    def test_g711_is_sent_as_it_came(self, encoding: Encoding, query: str) -> None:
        options = Options("nova-3", encoding=encoding)
        assert query in Deepgram().address(options, None).query
        made = Deepgram().session(options)
        silence = encoding.silence * 8000
        assert made.append(SECOND) == silence
        [answer] = [e for e in play(made, final(0, 1.0, "Hello")) if isinstance(e, Answer)]
        assert answer.until_ms == 1000  # times are those of the audio

    def test_the_key_has_deepgrams_own_scheme_and_no_repr(self) -> None:
        address = Deepgram().address(Options("nova-3"), "dg-secret")
        assert address.headers == {"Authorization": "Token dg-secret"}
        assert "dg-secret" not in repr(address)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (Options("mistralai/Voxtral-Mini-4B-Realtime-2602"), "nova-3"),
            (Options("nova-3", keywords=("a" * 30,) * 60), "1984"),
        ],
    )
    def test_what_cannot_be_sent_prevents_startup(self, options: Options, problem: str) -> None:
        with pytest.raises(SettingsError, match=problem):
            Deepgram().address(options, None)

    def test_the_registry_has_it(self) -> None:
        assert isinstance(make_dialect(DialectName("deepgram")), Deepgram)


class TestSending:
    def test_audio_is_sent_as_it_is(self) -> None:
        made = session(0)
        assert made.append(b"\x01\x02\xff\xfe") == b"\x01\x02\xff\xfe"
        assert Deepgram.capabilities.is_audio_binary

    def test_control_messages_are_json(self) -> None:
        made = session()
        assert list(made.keep_alive()) == [Send((b'{"type":"KeepAlive"}',))]
        assert list(made.cut(Speech(0, 1))) == []
        assert list(made.finish()) == [Send((b'{"type":"CloseStream"}',))]


class TestResults:
    def test_an_interim_result_is_provisional_and_replaced(self) -> None:
        answers = play(
            session(),
            results(0, 1.0, "two bee"),
            results(0, 2.0, "to be or not"),
            final(0, 3.0, "To be, or not to be."),
        )
        assert answers == [
            interim_answer(" two bee", 100, 300),
            interim_answer(" to be or not", 100, 500),
            Answer(" To be, or not to be.", 100, 700, 3000, replaces=True),
        ]

    def test_the_next_result_begins_after_a_final_one(self) -> None:
        answers = play(session(), final(0, 1.5, "one"), results(1.5, 1.0, "two"))
        assert answers[1:] == [interim_answer(" two", 1600, 1700)]

    def test_a_final_result_without_words_answers_its_audio(self) -> None:
        assert play(session(), final(0, 3.6000004), final(3.6, 3.4)) == [
            Answer("", 0, 3600, 3600, replaces=True),
            Answer("", 3600, 7000, 7000, replaces=True),
        ]

    def test_an_interim_result_without_words_covers_no_audio(self) -> None:
        assert play(session(), results(0, 1.0)) == [interim_answer("", 1000, 1000)]

    def test_a_final_result_without_words_retracts_an_interim_one(self) -> None:
        assert text(play(session(), results(0, 1.0, "hm"), final(0, 2.0))) == ""

    def test_the_end_of_speech_ends_the_utterance(self) -> None:
        [answer] = play(session(), final(0, 2.0, "bye", speech_final=True))
        assert isinstance(answer, Answer)
        assert answer.ends_segment

    def test_the_end_of_the_session_ends_no_utterance(self) -> None:
        made = session()
        _ = list(made.finish())
        [answer] = play(made, final(0, 2.0, "bye", speech_final=True))
        assert isinstance(answer, Answer)
        assert not answer.ends_segment

    def test_utterance_end_ends_the_utterance(self) -> None:
        end = {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.2}
        answers = play(session(), final(0, 2.0, "bye"), end)
        assert answers[1] == Answer("", 2000, 2000, 2000, ends_segment=True)

    def test_the_final_result_is_asked_for_once(self) -> None:
        """A pause, or the end of the utterance, may find words that are still provisional."""
        made, finalize = session(), [Send((b'{"type":"Finalize"}',))]
        end = {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.2}
        play(made, results(0, 1, "one"))
        assert play(made, end) == finalize
        assert play(made, end) == []
        assert list(made.cut(Speech(0, 1000))) == []
        play(made, final(0, 1, "one"), results(1, 1, "two"))
        assert list(made.cut(Speech(1000, 2000))) == finalize

    @pytest.mark.parametrize(
        "repeated",
        [
            final(0, 2.0, "one"),
            final(0, 1.0, "one"),
            results(0, 1.0, "one"),
            final(2.0, 0.0, from_finalize=True),
        ],
    )
    def test_answered_audio_is_not_answered_again(self, repeated: dict[str, Any]) -> None:
        assert play(session(), final(0, 2.0, "one"), repeated)[1:] == []

    def test_a_result_that_overlaps_an_answered_one_begins_after_it(self) -> None:
        [_, answer] = play(session(), final(0, 2.0, "one"), final(1.0, 3.0, "two"))
        assert answer == Answer(" two", 2000, 2000, 4000, replaces=True)

    def test_times_are_limited_to_the_audio(self) -> None:
        [answer] = play(session(1), final(0, 1.04, "one two three four five six seven eight nine"))
        assert isinstance(answer, Answer)
        assert (answer.start_ms, answer.end_ms, answer.until_ms) == (100, 1000, 1000)

    def test_white_space_is_normalized(self) -> None:
        message = final(0, 1.0)
        message["channel"]["alternatives"][0]["transcript"] = "  a\n b "
        [answer] = play(session(), message)
        assert isinstance(answer, Answer)
        assert answer.text == " a b"


@pytest.mark.parametrize(
    ("reported", "of_words", "language"),
    [
        (["pt-BR", "en"], ["en", "en"], "pt-BR"),
        (None, ["es", "en", "en"], "en"),
        ([], ["es", None, ["en"]], "es"),
        ("es", [None, None], None),
        ([7], [], None),
        (None, [], None),
    ],
)
def test_the_language_of_a_result(reported: object, of_words: Any, language: str | None) -> None:
    message = final(0, 1.0, "uno two three")
    alternative = message["channel"]["alternatives"][0]
    alternative["languages"] = reported
    for word, each in zip(alternative["words"], of_words, strict=False):
        word["language"] = each
    [answer] = [e for e in play(session(), message) if isinstance(e, Answer)]
    assert (answer.text, answer.language) == (" uno two three", language)


def ending(seconds: int = 60) -> DeepgramSession:
    """Return a session whose audio has ended."""
    made = session(seconds)
    list(made.finish())
    return made


class TestEnd:
    def test_metadata_ends_the_session(self) -> None:
        assert play(ending(2), final(0, 2.0, "one"), metadata(2.0))[1:] == [DONE]

    def test_metadata_before_the_end_is_no_end(self) -> None:
        assert play(session(2), metadata(0.0), metadata(2.0)) == []

    def test_metadata_of_the_beginning_may_arrive_after_the_audio(self) -> None:
        [_, *rest] = play(ending(2), metadata(0.0), final(0, 2.0, "one"), metadata(2.0))
        assert rest == [DONE]

    def test_metadata_ends_a_session_without_audio(self) -> None:
        assert play(ending(0), metadata(0.0)) == [DONE]

    def test_metadata_answers_silence_that_had_no_result(self) -> None:
        [answer, done] = play(ending(9), metadata(9.0))
        assert answer == Answer("", 0, 9000, 9000)
        assert done == DONE

    def test_metadata_does_not_answer_audio_that_was_not_processed(self) -> None:
        [answer, _] = play(ending(9), metadata(4.0))
        assert answer == Answer("", 0, 4000, 4000)

    @pytest.mark.parametrize("message", [{"type": "Metadata"}, metadata(8.98)])
    def test_metadata_answers_all_audio_if_its_duration_is_missing_or_rounded(
        self, message: dict[str, Any]
    ) -> None:
        answers = play(ending(9), final(0, 2.0), message)
        assert answers[1:] == [Answer("", 2000, 9000, 9000), DONE]

    def test_words_without_a_final_result_are_kept_at_the_end(self) -> None:
        answers = play(ending(9), results(0, 1, "one"), metadata(9.0))
        assert answers[1:] == [Answer(" one", 100, 200, 9000, replaces=True), DONE]


class TestHostileMessages:
    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"\xff\xfe",
            b'{"type":7}',
            b'{"type":"Results"}',
            b'{"type":"Results","start":"0","duration":1,"channel":{"alternatives":[]}}',
            b'{"type":"Results","start":0,"duration":1,"channel":[]}',
            b'{"type":"Metadata","duration":"x"}',
            b"[" * 100_000,
            b'{"type":"Results","start":0,"duration":1e999,"channel":{"alternatives":[]}}',
            json.dumps(results(-1.0, 1.5)).encode(),
            json.dumps(results(0, -1.0)).encode(),
            json.dumps(results(0, 63.0)).encode(),
            json.dumps(final(0, 1.0, "x" * 20_001)).encode(),
        ],
    )
    def test_a_malformed_message_is_one_error(self, message: bytes) -> None:
        with pytest.raises(UpstreamError) as raised:
            play(session(), message)
        assert raised.value.reason == "realtime-protocol-error"

    def test_an_error_names_its_variant_but_not_its_text(self) -> None:
        error = {"type": "Error", "variant": "SchemaError", "description": "secret", "message": "s"}
        with pytest.raises(UpstreamError) as raised:
            play(session(), error)
        assert (raised.value.reason, raised.value.detail) == ("realtime-error", "SchemaError")
        with pytest.raises(UpstreamError) as raised:
            play(session(), {**error, "variant": "say: secret"})
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("kind", ["SpeechStarted", "ConfigureSuccess", "error", "x" * 10_000])
    def test_other_messages_are_ignored(self, kind: str) -> None:
        assert play(session(), {"type": kind, "start": []}) == []

    def test_no_alternative_is_no_word(self) -> None:
        message = final(0, 1.0)
        message["channel"]["alternatives"] = []
        assert play(session(), message) == [Answer("", 0, 1000, 1000, replaces=True)]

    def test_memory_is_bounded(self) -> None:
        """Results that never become final leave only the newest."""
        made = session()
        for k in range(1000):
            play(made, results(0, 1 + k / 100, f"word {k}"))
        play(made, final(0, 12.0, "word"))
        assert text(play(made, metadata(12.0))) == ""


WORD = st.text("abcdefgh", min_size=1, max_size=6)


@given(
    st.lists(st.tuples(st.integers(1, 4000), st.lists(WORD, max_size=5)), max_size=20),
    st.data(),
)
def test_the_final_results_are_the_text_whatever_comes_between(
    finals: list[tuple[int, list[str]]], data: st.DataObject
) -> None:
    """Interim results and other messages between the final ones change nothing in the end."""
    made, at_ms = session(90), 0
    answers: list[Event] = []
    for length_ms, words in finals:
        for _ in range(data.draw(st.integers(0, 3))):
            guess = " ".join(data.draw(st.lists(WORD, max_size=3)))
            part_ms = data.draw(st.integers(0, length_ms))
            other = data.draw(
                st.sampled_from(
                    [
                        results(at_ms / 1000, part_ms / 1000, guess),
                        final(0, at_ms / 1000, "again"),
                        {"type": "UtteranceEnd", "channel": [0], "last_word_end": at_ms / 1000},
                        {"type": "SpeechStarted"},
                    ]
                )
            )
            answers += [e for e in play(made, other) if not isinstance(e, Send)]
        answers += play(made, final(at_ms / 1000, length_ms / 1000, " ".join(words)))
        at_ms += length_ms
    assert text(answers).split() == [word for _, words in finals for word in words]
    untils = [a.until_ms for a in answers if isinstance(a, Answer) and a.until_ms is not None]
    assert untils == sorted(untils)
    assert untils[-1:] == ([at_ms] if finals else [])
    for answer in answers:
        assert isinstance(answer, Answer)
        assert 0 <= answer.start_ms <= answer.end_ms <= (answer.until_ms or answer.end_ms)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
KIND = st.sampled_from(["Results", "Metadata", "UtteranceEnd", "Error", "SpeechStarted"])
FIELDS = ["start", "duration", "is_final", "channel", "variant", "speech_final"]


@given(st.lists(st.tuples(KIND, st.dictionaries(st.sampled_from(FIELDS), JSON)), max_size=5))
def test_any_json_is_events_or_a_documented_error(
    messages: list[tuple[str, dict[str, Any]]],
) -> None:
    made = session(1)
    for kind, fields in messages:
        try:
            play(made, {**final(0, 1.0, "x"), **fields, "type": kind})
        except UpstreamError:
            return
