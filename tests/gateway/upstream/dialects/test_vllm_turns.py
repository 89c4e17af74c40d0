"""vLLM's Realtime API with one generation per turn: Qwen3-ASR's headers, and any model's text."""

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamError
from gateway.upstream import realtime
from gateway.upstream.dialects.dialect import Answer, Done, Event, Options, Ready, Send, Speech
from gateway.upstream.dialects.registry import DialectName, make_dialect
from gateway.upstream.dialects.vllm_turns import VllmTurnsSession

SECOND = bytes(32_000)
CREATED = b'{"type":"session.created","id":"sess-1","created":0}'
DONE = b'{"type":"transcription.done","text":"","usage":{"completion_tokens":3}}'
BEGIN_TURN = Send((realtime.COMMIT,))
END_TURN = Send((realtime.FINAL_COMMIT,))


def session(name: DialectName = DialectName.QWEN3_ASR, *, seconds: int = 0) -> VllmTurnsSession:
    """Return a session after its handshake, and after some audio."""
    opened = make_dialect(name).session(Options("m"))
    assert isinstance(opened, VllmTurnsSession)
    assert list(opened.open()) == []
    update = b'{"type":"session.update","model":"m"}'
    assert list(opened.receive(CREATED)) == [Send((update, realtime.COMMIT)), Ready()]
    for _ in range(seconds):
        opened.append(SECOND)
    return opened


def delta(text: str) -> bytes:
    return json.dumps({"type": "transcription.delta", "delta": text}).encode()


def say(opened: VllmTurnsSession, *deltas: str) -> list[Event]:
    return [event for text in deltas for event in opened.receive(delta(text))]


def texts(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Answer)]


def test_a_turn() -> None:
    opened = session(seconds=2)
    assert opened.accepts_audio
    assert list(opened.cut(Speech(400, 1600))) == [END_TURN]
    assert not opened.accepts_audio
    assert say(opened, "language", " English", "<asr_text>") == []
    assert say(opened, "Hello") == [Answer(" Hello", 0, 2000, None, replaces=True)]
    assert say(opened, " there.", "") == [Answer(" Hello there.", 0, 2000, None, replaces=True)]
    final = Answer(" Hello there.", 400, 1600, 2000, replaces=True, language="en")
    assert list(opened.receive(DONE)) == [final, BEGIN_TURN]
    assert opened.accepts_audio
    opened.append(SECOND)
    assert list(opened.cut(Speech(2100, 2900))) == [END_TURN]
    assert list(opened.receive(DONE)) == [Answer("", 2100, 2900, 3000, replaces=True), BEGIN_TURN]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("language English<asr_text>Hello.", " Hello."),
        ("language None<asr_text>", ""),
        ("language None", ""),
        ("", ""),
        # segments follow one another without a space
        ("language English<asr_text>One two.language English<asr_text>Three.", " One two. Three."),
        ("language English<asr_text>One.language None<asr_text>", " One."),
        ("language None<asr_text>language English<asr_text>Two.", " Two."),
        ("language Nonelanguage English<asr_text>Two.", " Two."),
        ("language Chinese<asr_text>你好。language English<asr_text>Hello.", " 你好。 Hello."),
        # words that only look like a header
        ("language English<asr_text>The language of love.", " The language of love."),
        ("language English<asr_text>My language", " My language"),
        ("language English<asr_text>I speak language", " I speak language"),
        ("language English<asr_text>A language of love", " A language of love"),
        (
            "language English<asr_text>The language of lovelanguage English<asr_text>is old",
            " The language of love is old",
        ),
    ],
)
def test_headers_are_removed(raw: str, expected: str) -> None:
    """However the server splits the text, and headers are never shown, not even in part."""
    for sizes in ([1], [2], [3, 5], [1000]):
        opened, rest, shown = session(seconds=5), raw, list[str]()
        sizes_again = itertools.cycle(sizes)
        while rest:
            size = next(sizes_again)
            shown += texts(say(opened, rest[:size]))
            rest = rest[size:]
        opened.cut(Speech(0, 5000))
        [final] = texts(opened.receive(DONE))
        assert final == expected
        assert not any("<asr" in text or "English" in text or "None" in text for text in shown)


@given(st.data())
def test_any_split_gives_the_same_text(data: st.DataObject) -> None:
    words = st.sampled_from([" language", " English", " it", " was", ".", " lang", " the language"])
    segments = data.draw(st.lists(st.lists(words, max_size=5).map("".join), max_size=3))
    raw = "".join(f"language English<asr_text>{text}" for text in segments)
    whole, split = session(seconds=5), session(seconds=5)
    say(whole, raw)
    shown, at = list[str](), 0
    while at < len(raw):
        size = data.draw(st.integers(1, 12))
        shown += texts(say(split, raw[at : at + size]))
        at += size
    for opened in (whole, split):
        opened.cut(Speech(0, 5000))
    assert list(split.receive(DONE)) == list(whole.receive(DONE))
    assert all(new.startswith(old) for old, new in itertools.pairwise(shown))


def test_text_grows_while_it_arrives() -> None:
    """So that it is published as deltas, not as revisions."""
    opened = session(seconds=5)
    header = ["language", " English", "<asr_text>"]
    said = ["It", " was", " the", " language", " of", " light."]
    shown = texts(say(opened, *header, *said, *header, *said))
    assert all(new.startswith(old) for old, new in itertools.pairwise(shown))


@pytest.mark.parametrize(
    ("raw", "language"),
    [
        ("language Cantonese<asr_text>x", "yue"),
        ("language German<asr_text>xlanguage English<asr_text>y", "en"),
        ("language German<asr_text>xlanguage None<asr_text>", "de"),
        ("language Klingon<asr_text>x", None),
        ("language None", None),
        ("the language English", None),
    ],
)
def test_the_language_of_a_turn(raw: str, language: str | None) -> None:
    opened = session(seconds=1)
    list(opened.cut(Speech(0, 900)))
    say(opened, raw)
    answer, _ = opened.receive(DONE)
    assert isinstance(answer, Answer)
    assert answer.language == language


def test_voxtral_has_no_headers() -> None:
    opened = session(DialectName.VOXTRAL_TURNS, seconds=1)
    assert texts(say(opened, "", " language", " English")) == [" language", " language English"]


def test_the_end_waits_for_the_last_turn() -> None:
    opened = session(seconds=1)
    opened.cut(Speech(0, 1000))
    assert list(opened.finish()) == []
    assert list(opened.receive(DONE)) == [Answer("", 0, 1000, 1000, replaces=True), Done()]


def test_the_end_without_a_turn_is_at_once() -> None:
    assert list(session().finish()) == [Done()]


def test_an_unasked_end_of_a_generation() -> None:
    """Without audio it ended an idle generation; with audio, the context is full."""
    opened = session()
    assert list(opened.receive(DONE)) == [BEGIN_TURN]
    opened.append(SECOND)
    assert list(opened.receive(DONE)) == [Done()]


def test_an_unasked_end_that_crosses_the_final_commit_is_an_error() -> None:
    """Else the turn would be answered without its words."""
    opened = session(seconds=1)
    opened.cut(Speech(0, 1000))
    with pytest.raises(UpstreamError) as caught:
        opened.receive(DONE.replace(b"3", b"0"))
    assert caught.value.reason == "context-full"


def test_too_much_text_ends_the_session() -> None:
    opened = session(seconds=5)
    with pytest.raises(UpstreamError, match="too much text"):
        say(opened, *["language " * 400] * 10)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b'{"type":"error","error":"x","code":"model_not_found"}', "model-not-found"),
        (b'{"type":"error","error":"x","code":"processing_error"}', "realtime-error"),
        (b'{"type":"transcription.delta","delta":5}', "realtime-protocol-error"),
        (b"[" * 100_000, "realtime-protocol-error"),
        (b"\xff", "realtime-protocol-error"),
    ],
)
def test_errors(message: bytes, reason: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(session(seconds=1).receive(message))
    assert caught.value.reason == reason


MESSAGES = st.one_of(
    st.text(max_size=60).map(delta),
    st.sampled_from([DONE, CREATED, b'{"type":"unknown"}', delta("language None<asr_text>")]),
)


@given(st.lists(st.one_of(MESSAGES, st.just(b"cut")), max_size=40))
def test_any_messages_give_answers_in_order(messages: list[bytes]) -> None:
    """Each turn has one final answer, which answers exactly its audio."""
    opened, until_ms, cuts, finals = session(), 0, 0, 0
    for message in messages:
        if message == b"cut":
            if opened.accepts_audio:
                opened.append(SECOND)
                cuts += 1
                opened.cut(Speech(until_ms, until_ms + 1000))
            continue
        for event in opened.receive(message):
            if isinstance(event, Answer) and event.until_ms is not None:
                finals += 1
                assert event.until_ms == until_ms + 1000
                until_ms = event.until_ms
    assert cuts - finals in {0, 1}


@pytest.mark.parametrize("parts", [["<asr_text>"], list("<asr_text>"), ["Hello<asr", "_text>"]])
def test_the_header_of_another_model_is_an_error(parts: list[str]) -> None:
    opened = session(DialectName.VOXTRAL_TURNS, seconds=1)
    with pytest.raises(UpstreamError, match="model-mismatch"):
        say(opened, "language", " English", *parts)
