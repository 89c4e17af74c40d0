"""OpenAI's dialect, without a server: what it sends, and what it makes of what a server sends."""

import audioop
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Done, Event, Options, Ready, Send, Speech
from gateway.upstream.dialects.openai import OpenAi, OpenAiSession

SECOND = bytes(32_000)
OPENAI = OpenAi(rate_hz=24_000, has_keywords=True, has_g711=True)
SGLANG = OpenAi(rate_hz=16_000, has_keywords=False)


def event(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, "event_id": "e", **fields}).encode()


def committed(item: str, previous: str | None = None) -> bytes:
    return event("input_audio_buffer.committed", item_id=item, previous_item_id=previous)


def item(kind: str, item_id: str, **fields: object) -> bytes:
    kind = f"conversation.item.input_audio_transcription.{kind}"
    return event(kind, item_id=item_id, content_index=0, **fields)


def delta(item_id: str, text: str) -> bytes:
    return item("delta", item_id, delta=text)


def completed(item_id: str, text: str) -> bytes:
    return item("completed", item_id, transcript=text)


def failed(item_id: str) -> bytes:
    return item("failed", item_id, error={"type": "server_error", "message": "secret"})


def error(
    code: str | None, event_id: str | None = None, kind: str = "invalid_request_error"
) -> bytes:
    return event("error", error={"type": kind, "code": code, "message": "m", "event_id": event_id})


UPDATED = event("session.updated", session={"type": "transcription"})


def updated(form: dict[str, object]) -> bytes:
    return event("session.updated", session={"audio": {"input": {"format": form}}})


def form_of(update: Event) -> Any:
    """Return the format of the audio that a `session.update` asks for."""
    assert isinstance(update, Send)
    return json.loads(update.messages[0])["session"]["audio"]["input"]["format"]


class Playbook:
    """A session after its handshake; records what it sends."""

    def __init__(self, dialect: OpenAi = SGLANG, **options: Any) -> None:
        self.session: OpenAiSession = dialect.session(Options("m", **options))
        self.sent: list[dict[str, Any]] = []
        self.pcm_bytes = 0
        assert list(self.session.open()) == []
        self.receive(event("session.created"))
        kind = {Encoding.PCMU: "audio/pcmu", Encoding.PCMA: "audio/pcma"}.get(
            options.get("encoding", Encoding.L16LE), "audio/pcm"
        )
        assert self.receive(updated({"type": kind})) == [Ready()]

    def receive(self, message: bytes) -> list[Event]:
        return self._apply(self.session.receive(message))

    def turn(self, pcm: bytes = SECOND) -> None:
        """Send a turn of a second, whose speech is from 0.1 to 0.9 s."""
        begin_ms = self.pcm_bytes // 32
        self.append(pcm)
        self.cut(begin_ms + 100, begin_ms + 900)

    def append(self, pcm: bytes) -> None:
        self.pcm_bytes += len(pcm)
        if message := self.session.append(pcm):
            self.sent.append(json.loads(message))

    def cut(self, start_ms: int, end_ms: int) -> None:
        assert self._apply(self.session.cut(Speech(start_ms, end_ms))) == []

    @property
    def audio(self) -> bytes:
        parts = (each["audio"] for each in self.sent if each["type"].endswith("append"))
        return b"".join(map(pybase64.b64decode, parts))

    @property
    def types(self) -> list[str]:
        return [each["type"].rpartition(".")[2] for each in self.sent]

    def _apply(self, events: Iterable[Event]) -> list[Event]:
        seen: list[Event] = []
        for each in events:
            if isinstance(each, Send):
                self.sent += map(json.loads, each.messages)
            else:
                seen.append(each)
        return seen


def final(text: str, turn: int = 0) -> Answer:
    begin_ms = 1000 * turn
    return Answer(text, begin_ms + 100, begin_ms + 900, begin_ms + 1000, replaces=True)


def partial(text: str, turn: int = 0, end_ms: int | None = None) -> Answer:
    begin_ms = 1000 * turn
    return Answer(text, begin_ms, end_ms or begin_ms + 1000, None, replaces=True)


class TestHandshake:
    def test_the_address_has_the_key_and_no_model(self) -> None:
        address = OPENAI.address(Options("m"), "sk-secret")
        assert address.query == "intent=transcription"
        assert address.headers == {"Authorization": "Bearer sk-secret"}
        assert "sk-secret" not in repr(address)
        assert not OPENAI.address(Options("m"), None).headers

    @pytest.mark.parametrize(
        ("model", "hint"),
        [
            ("gpt-live-transcribe", {"languages": ["de"]}),
            ("gpt-transcribe-2026", {"languages": ["de"]}),
            ("gpt-realtime-whisper", {"language": "de"}),
            ("Qwen/Qwen3-ASR", {"language": "de"}),
        ],
    )
    def test_the_update_has_the_whole_configuration(self, model: str, hint: Any) -> None:
        session = OPENAI.session(Options(model, language="DE-AT", keywords=("Contoso",)))
        [sent] = session.receive(event("session.created"))
        assert isinstance(sent, Send)
        assert json.loads(sent.messages[0]) == {
            "type": "session.update",
            "session": {
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24_000},
                        "transcription": {"model": model, **hint, "keywords": ["Contoso"]},
                        "turn_detection": None,
                    }
                },
            },
        }

    @pytest.mark.parametrize(
        "configuration",
        [
            {"format": {"type": "audio/pcm", "rate": 24_000}},
            {"format": {"type": "audio/pcmu"}},
        ],
    )
    def test_a_server_that_does_something_else_is_refused(self, configuration: Any) -> None:
        session = SGLANG.session(Options("m"))
        list(session.receive(event("session.created")))
        with pytest.raises(UpstreamError) as caught:
            list(
                session.receive(
                    event("session.updated", session={"audio": {"input": configuration}})
                )
            )
        assert caught.value.reason == "validation-error"

    @pytest.mark.parametrize(
        ("message", "detail"),
        [
            (b'{"type":"session.created","id":"sess-0","created":1}', "vLLM's"),
            (event("session.created", session={"input_audio_format": "pcm16"}), "the beta version"),
            (event("session.created", session={"request_id": "r"}), "Mistral's"),
            (event("session.updated", session={"type": "realtime"}), "a conversation"),
        ],
    )
    def test_another_api_is_named(self, message: bytes, detail: str) -> None:
        with pytest.raises(UpstreamError, match=detail) as caught:
            list(OPENAI.session(Options("m")).receive(message))
        assert caught.value.reason == "model-mismatch"

    def test_speaches_is_asked_in_its_own_words(self) -> None:
        speaches = OpenAi(rate_hz=24_000, has_keywords=False, is_beta=True)
        options = Options("Systran/a b", language="de-AT")
        address = speaches.address(options, None)
        assert address.query == "intent=transcription&model=Systran%2Fa%20b"
        session = speaches.session(options)
        created = event("session.created", session={"input_audio_format": "pcm16"})
        [sent] = list(session.receive(created))
        assert isinstance(sent, Send)
        assert json.loads(sent.messages[0])["session"] == {
            "turn_detection": None,
            "input_audio_transcription": {"model": "Systran/a b", "language": "de"},
        }
        with pytest.raises(UpstreamError, match="OpenAI's"):
            list(speaches.session(options).receive(event("session.created", session={})))

    def test_a_conversation_that_refuses_the_update_is_named(self) -> None:
        session = OPENAI.session(Options("m"))
        list(session.receive(event("session.created", session={"type": "realtime"})))
        with pytest.raises(UpstreamError, match="a conversation") as caught:
            list(session.receive(error("invalid_parameter")))
        assert caught.value.reason == "model-mismatch"

    @pytest.mark.parametrize(
        "answer",
        [
            error("not_supported"),
            error("invalid_value"),
            error(None),
            UPDATED,
            updated({"type": "audio/pcm", "rate": 24_000}),
        ],
    )
    def test_a_server_that_does_not_confirm_g711_gets_pcm(self, answer: bytes) -> None:
        session = OPENAI.session(Options("m", encoding=Encoding.PCMA))
        [asked] = session.receive(event("session.created"))
        assert form_of(asked) == {"type": "audio/pcma"}
        [again] = session.receive(answer)
        assert form_of(again) == {"type": "audio/pcm", "rate": 24_000}
        assert list(session.receive(UPDATED)) == [Ready()]
        session.append(SECOND)
        [sent] = session.cut(Speech(0, 1000))
        assert isinstance(sent, Send)
        with pytest.raises(UpstreamError):
            list(session.receive(error("invalid_value")))

    def test_pcm_is_refused_once(self) -> None:
        session = OPENAI.session(Options("m", encoding=Encoding.PCMU))
        list(session.receive(error("invalid_value")))
        with pytest.raises(UpstreamError) as caught:
            list(session.receive(error("invalid_value")))
        assert caught.value.reason == "validation-error"

    @pytest.mark.parametrize("code", ["model_not_found", "too_many_sessions", "invalid_api_key"])
    def test_errors_that_are_not_about_the_format_end_the_session(self, code: str) -> None:
        with pytest.raises(UpstreamError):
            list(OPENAI.session(Options("m", encoding=Encoding.PCMU)).receive(error(code)))

    @pytest.mark.parametrize("extra", [{}, {"audio": {}}, {"audio": {"input": None}}])
    def test_a_server_may_report_less(self, extra: Any) -> None:
        session = SGLANG.session(Options("m"))
        assert list(session.receive(event("session.updated", session=extra))) == [Ready()]

    @pytest.mark.parametrize(
        ("created", "updated", "expires_s"),
        [
            ({}, {"expires_at": 1_700_003_600}, 1_700_003_600),
            ({"expires_at": 17}, {}, 17),
            ({"expires_at": 17}, {"expires_at": 18.5}, 18.5),
            ({"expires_at": 17}, {"expires_at": 0}, 17),
            ({"expires_at": 17}, {"expires_at": "2026-10-20"}, 17),
            ({"expires_at": [17]}, {"expires_at": None}, None),
        ],
    )
    def test_the_end_of_the_session(
        self, created: Any, updated: Any, expires_s: float | None
    ) -> None:
        session = OPENAI.session(Options("m"))
        list(session.receive(event("session.created", session=created)))
        ready = list(session.receive(event("session.updated", session=updated)))
        assert ready == [Ready(expires_s)]

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (error("model_not_found"), "model-not-found"),
            (error("invalid_api_key"), "access-denied"),
            (error("rate_limit_exceeded"), "throttled"),
            (error("too_many_sessions"), "model-at-capacity"),
            (error("sk-secret"), "validation-error"),
            (error(None), "validation-error"),
            (error(None, kind="server_error"), "realtime-error"),
            (event("error", error="vLLM's error", code="invalid_event"), "validation-error"),
        ],
    )
    def test_an_error_before_the_audio_ends_the_session(self, message: bytes, reason: str) -> None:
        with pytest.raises(UpstreamError) as caught:
            OPENAI.session(Options("m")).receive(message)
        assert caught.value.reason == reason
        assert "secret" not in str(caught.value)
        assert "vLLM" not in str(caught.value)


class TestAudio:
    def test_a_turn_is_appended_and_committed(self) -> None:
        play = Playbook()
        play.turn()
        play.turn()
        assert play.types == ["update", "append", "commit", "append", "commit"]
        assert play.audio == 2 * SECOND
        assert [each.get("event_id") for each in play.sent[2::2]] == ["turn-1", "turn-2"]

    @pytest.mark.parametrize(("dialect", "rate_hz"), [(OPENAI, 24_000), (SGLANG, 16_000)])
    @pytest.mark.parametrize("samples", [1, 2, 3, 1280, 1599])
    def test_a_short_turn_is_padded_to_100_ms(
        self, dialect: OpenAi, rate_hz: int, samples: int
    ) -> None:
        play = Playbook(dialect)
        play.turn(bytes(2 * samples))
        assert len(play.audio) == 2 * rate_hz // 10
        assert play.types[-1] == "commit"

    def test_a_short_turn_of_g711_is_padded_with_its_silence(self) -> None:
        play = Playbook(OPENAI, encoding=Encoding.PCMU)
        play.turn(bytes(4 * 300))
        play.append(b"\x84\x03" * 8)
        play.cut(0, 1)
        assert play.audio == b"\xff" * 800 + audioop.lin2ulaw(b"\x84\x03" * 4, 2) + b"\xff" * 796

    @given(data=st.data(), turns=st.lists(st.integers(1, 5000), min_size=1, max_size=4))
    def test_resampling_is_exact_and_starts_anew_in_each_turn(
        self, data: st.DataObject, turns: list[int]
    ) -> None:
        """No sample is lost or repeated, however the audio is split."""
        play = Playbook(OPENAI)
        expected = b""
        for samples in turns:
            pcm = np.random.default_rng(samples).bytes(2 * samples)
            cuts = data.draw(st.lists(st.integers(0, samples), max_size=6))
            bounds = sorted({0, samples, *cuts})
            for begin, end in pairwise(bounds):
                play.append(pcm[2 * begin : 2 * end])
            play.cut(0, 1)
            turn = at_24_khz(pcm)
            expected += turn + bytes(max(0, 4800 - len(turn)))
        assert play.audio == expected

    def test_too_many_unanswered_turns_stop_the_audio_until_an_answer(self) -> None:
        play = Playbook()
        for number in range(64):
            assert play.session.accepts_audio
            play.turn()
            play.receive(committed(f"i{number}"))
        assert not play.session.accepts_audio
        events = list(play.session.receive(completed("i0", "a")))
        assert events == [final(" a"), Send(())]
        assert play.session.accepts_audio


def at_24_khz(pcm: bytes) -> bytes:
    """Resample a whole turn by the definition of the filter, sample by sample."""
    offsets = np.arange(-48, 49)
    taps = np.rint(2**15 * np.sinc(offsets / 3) * np.kaiser(97, 6.2))
    samples = np.frombuffer(pcm, "<i2")
    stuffed = np.zeros(3 * len(samples))
    stuffed[::3] = samples
    filtered = np.convolve(stuffed, taps)[::2] / 2**15
    count = len(samples) * 3 // 2
    padded = np.append(filtered, np.zeros(count))[24 : 24 + count]
    return np.rint(padded).clip(-32768, 32767).astype("<i2").tobytes()


class TestItems:
    def test_text_before_the_commit(self) -> None:
        play = Playbook()
        play.append(SECOND[:16_000])
        assert play.receive(delta("a", "Hel")) == [partial(" Hel", end_ms=500)]
        play.append(SECOND[16_000:])
        assert play.receive(delta("a", "lo wor")) == [partial(" Hello wor")]
        play.cut(100, 900)
        assert play.receive(committed("a")) == []
        assert play.receive(delta("a", "ld")) == [partial(" Hello world")]
        assert play.receive(completed("a", "Hello, world!")) == [final(" Hello, world!")]

    @pytest.mark.parametrize(
        ("fields", "language"),
        [
            ({"languages": [{"code": "de"}, {"code": "en"}]}, "de"),
            ({"languages": ["pt-br"]}, "pt-BR"),
            ({"languages": []}, None),
            ({"languages": [{"name": 7}]}, None),
            ({"languages": {"de": 1}}, None),
            ({"language": "german"}, "de"),
            ({"language": ["de"]}, None),
            ({}, None),
        ],
    )
    def test_the_language_of_an_item(self, fields: Any, language: str | None) -> None:
        play = Playbook()
        play.turn()
        play.receive(committed("a"))
        [answer] = play.receive(item("completed", "a", transcript="Hallo", **fields))
        assert isinstance(answer, Answer)
        assert (answer.text, answer.language) == (" Hallo", language)

    def test_text_after_the_commit(self) -> None:
        play = Playbook()
        play.turn()
        play.turn()
        play.receive(committed("a"))
        play.receive(committed("b", "a"))
        assert play.receive(delta("b", "second")) == []
        assert play.receive(delta("a", "first")) == [partial(" first")]
        assert play.receive(completed("a", "first")) == [final(" first"), partial(" second", 1)]
        assert play.receive(completed("b", "second")) == [final(" second", 1)]

    def test_items_may_be_completed_in_any_order(self) -> None:
        play = Playbook()
        for previous, name in zip([None, *"abc"], "abcd", strict=True):
            play.turn()
            play.receive(committed(name, previous))
        assert play.receive(completed("c", "3")) == []
        assert play.receive(failed("b")) == []
        missed = Answer("", 1000, 2000, 2000, replaces=True, is_missed=True)
        assert play.receive(completed("a", "1")) == [final(" 1"), missed, final(" 3", 2)]
        assert play.receive(completed("d", "")) == [final("", 3)]

    def test_a_failed_item_withdraws_its_text(self) -> None:
        play = Playbook()
        play.turn()
        play.receive(delta("a", "text"))
        play.receive(committed("a"))
        [answer] = play.receive(failed("a"))
        assert isinstance(answer, Answer)
        assert (answer.text, answer.is_missed, answer.until_ms) == ("", True, 1000)

    def test_messages_after_the_end_of_an_item_are_ignored(self) -> None:
        play = Playbook()
        play.turn()
        play.receive(committed("a"))
        play.receive(completed("a", "text"))
        play.append(SECOND)
        for message in (delta("a", "more"), completed("a", "other"), failed("a")):
            assert play.receive(message) == []
        assert play.receive(delta("b", "new")) == [partial(" new", 1)]

    @pytest.mark.parametrize("early", [[], [delta("a", "tex")]])
    def test_the_end_of_an_item_may_precede_its_commit(self, early: list[bytes]) -> None:
        play = Playbook()
        play.turn()
        for message in early:
            play.receive(message)
        assert play.receive(completed("a", "text")) == [partial(" text")]
        assert play.receive(committed("a")) == [final(" text")]

    def test_the_id_of_the_commit_counts(self) -> None:
        """A server may show text before the commit under another id."""
        play = Playbook()
        play.append(SECOND)
        play.receive(delta("early", "text"))
        play.cut(100, 900)
        play.receive(committed("late"))
        assert play.receive(completed("late", "text")) == [final(" text")]

    def test_a_refused_commit_is_a_missed_turn(self) -> None:
        play = Playbook()
        play.turn()
        [answer] = play.receive(error("input_audio_buffer_commit_empty", "turn-1"))
        assert isinstance(answer, Answer)
        assert answer.is_missed
        play.turn()
        play.receive(committed("a"))
        assert play.receive(completed("a", "text")) == [final(" text", 1)]

    def test_a_refused_commit_without_its_id_is_that_of_the_first_turn(self) -> None:
        play = Playbook()
        play.turn()
        play.turn()
        [answer] = play.receive(error("input_audio_buffer_commit_empty"))
        assert isinstance(answer, Answer)
        assert (answer.is_missed, answer.until_ms) == (True, 1000)

    def test_items_that_the_server_ends_belong_to_the_turn(self) -> None:
        """Without voice detection it was an error: the call failed."""
        play = Playbook()
        audio = {"input": {"turn_detection": {"type": "server_vad"}}}
        play.receive(event("session.updated", session={"audio": audio}))
        play.append(SECOND[:16_000])
        play.receive(event("input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=400))
        play.receive(committed("a"))
        assert play.receive(completed("a", "one")) == [partial(" one", end_ms=500)]
        play.append(SECOND[16_000:])
        play.cut(100, 900)
        # The server ends an item before it receives the commit, of which nothing is left.
        play.receive(event("input_audio_buffer.speech_stopped", item_id="b", audio_end_ms=900))
        play.receive(committed("b", "a"))
        play.append(SECOND)
        assert play.receive(completed("b", "two")) == [partial(" one two")]
        assert play.receive(error("input_audio_buffer_commit_empty", "turn-1")) == [
            final(" one two")
        ]
        # In the next turn there is no voice.
        play.cut(1100, 1900)
        assert play.receive(error("input_audio_buffer_commit_empty", "turn-2")) == [final("", 1)]

    def test_finish_waits_for_each_item(self) -> None:
        play = Playbook()
        play.turn()
        play.turn()
        assert list(play.session.finish()) == []
        play.receive(committed("a"))
        play.receive(committed("b", "a"))
        play.receive(failed("b"))
        assert play.receive(completed("a", "1"))[-1] == Done()

    def test_finish_without_turns_is_done(self) -> None:
        assert list(Playbook().session.finish()) == [Done()]

    def test_unknown_messages_are_ignored(self) -> None:
        play = Playbook()
        for kind in ("conversation.item.added", "rate_limits.updated", "x", "session.created"):
            assert play.receive(event(kind, item={"id": "a"})) == []
        assert play.receive(UPDATED) == []
        assert play.types == ["update"]


class TestViolations:
    @pytest.mark.parametrize(
        "messages",
        [
            [completed("a", "t"), committed("b")],  # "a" was not committed
            [delta("a", "t"), completed("a", "t"), delta("b", "t")],
            [failed("a"), failed("b")],
            [committed("a"), committed("b", "a")],  # a turn that the gateway has not ended
            [committed("a"), completed("a", "t"), delta("b", "t")],  # text without audio
            [delta("a", "t" * 5001)],
            [*([delta("a", "t" * 1999)] * 3)],
            [committed("a"), completed("a", "t" * 5001)],
            [b""],
            [b"{"],
            [b"[]"],
            [b"{}"],
            [b'{"type":1}'],
            [b'"' + b"x" * 1_000_000],
            [b"[" * 100_000],
            [b'{"type":"error","error":' + b"[" * 100_000],
            [b'{"type":"error"}'],
            [event("error", error=[])],
            [event("session.updated")],
            [event("session.updated", session={"audio": []})],
            [committed("")],
            [committed("a" * 257)],
            [event("input_audio_buffer.committed")],
            [item("delta", "a", delta=3)],
            [item("completed", "a")],
            [b'{"type":"error\xff"}'],
        ],
    )
    def test_a_violation_is_one_clear_error(self, messages: list[bytes]) -> None:
        play = Playbook()
        play.turn()
        *before, last = messages
        for message in before:
            play.receive(message)
        with pytest.raises(UpstreamError) as caught:
            play.receive(last)
        assert caught.value.reason == "realtime-protocol-error"
        assert len(str(caught.value)) < 120

    def test_items_in_another_order_than_the_audio(self) -> None:
        play = Playbook()
        for _ in range(3):
            play.turn()
        play.receive(committed("a"))
        play.receive(committed("b", "a"))
        with pytest.raises(UpstreamError, match="order"):
            play.receive(committed("c", "a"))

    def test_too_many_items_in_a_turn(self) -> None:
        play = Playbook()
        play.append(SECOND)
        for number in range(64):
            play.receive(committed(f"i{number}"))
        with pytest.raises(UpstreamError, match="too many items"):
            play.receive(committed("i64"))

    def test_too_much_text_in_the_items_of_a_turn(self) -> None:
        play = Playbook()
        play.append(SECOND)
        for number in range(50):
            play.receive(committed(f"i{number}"))
            play.receive(completed(f"i{number}", "x" * 100))
        play.receive(committed("more"))
        with pytest.raises(UpstreamError, match="too much text"):
            play.receive(completed("more", "x"))

    def test_an_item_for_two_turns(self) -> None:
        play = Playbook()
        play.turn()
        play.turn()
        play.receive(committed("a"))
        with pytest.raises(UpstreamError, match="two turns"):
            play.receive(committed("a"))

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (error("session_expired"), "service-unavailable"),
            (error("buffer_overflow"), "realtime-error"),
            (error("input_audio_buffer_commit_empty", "turn-9"), "realtime-error"),
            (error("anything"), "realtime-error"),
            (error(None), "realtime-error"),
        ],
    )
    def test_an_error_ends_the_session(self, message: bytes, reason: str) -> None:
        play = Playbook()
        play.turn()
        with pytest.raises(UpstreamError) as caught:
            play.receive(message)
        assert caught.value.reason == reason
        assert caught.value.info.retry

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.builds(committed, st.sampled_from("abc"), st.sampled_from([None, *"abc"])),
                st.builds(delta, st.sampled_from("abc"), st.text(max_size=5)),
                st.builds(completed, st.sampled_from("abc"), st.text(max_size=5)),
                st.builds(failed, st.sampled_from("abc")),
                st.just(None),  # a turn
            ),
            max_size=40,
        )
    )
    def test_anything_gives_events_or_an_error(self, messages: list[bytes | None]) -> None:
        """Answers come in the order of their audio, and final ones never overlap."""
        play = Playbook()
        until_ms = 0
        try:
            for message in messages:
                if message is None:
                    play.turn()
                    continue
                for each in play.receive(message):
                    assert isinstance(each, Answer)
                    assert each.start_ms >= until_ms
                    if each.until_ms is not None:
                        assert each.until_ms == until_ms + 1000
                        until_ms = each.until_ms
        except UpstreamError:
            pass

    def test_text_is_not_in_the_representation_of_an_answer(self) -> None:
        play = Playbook()
        play.turn()
        assert "secret" not in repr(play.receive(delta("a", "secret")))


@given(order=st.permutations(range(6)), early=st.booleans(), data=st.data())
def test_any_order_of_a_correct_server_gives_the_same_answers(
    order: list[int], early: bool, data: st.DataObject
) -> None:
    play = Playbook()
    answers: list[Answer] = []
    for turn in range(6):
        if early:
            play.append(SECOND[:1600])
            play.receive(delta(f"i{turn}", "w"))
            play.append(SECOND[1600:])
            play.cut(1000 * turn + 100, 1000 * turn + 900)
        else:
            play.turn()
    for turn in range(6):
        play.receive(committed(f"i{turn}", f"i{turn - 1}" if turn else None))
    for turn in order:
        messages = data.draw(st.lists(st.just(delta(f"i{turn}", " x")), max_size=3))
        for message in [*messages, completed(f"i{turn}", f"text {turn}")]:
            events = play.receive(message)
            answers += (each for each in events if isinstance(each, Answer) and each.until_ms)
    assert answers == [final(f" text {turn}", turn) for turn in range(6)]
