"""A session as Speaches has it, without a socket: the beta version of OpenAI's protocol."""

import json
from typing import Any

import numpy as np
import pytest

from container.cpu.checksum import ChecksumTranscription
from container.cpu.openai_protocol import OpenAiServer
from container.cpu.server_session import Close
from tests.container.cpu.test_openai import (
    CLEAR,
    COMMIT,
    NOISE,
    Client,
    append,
    checksums,
    message,
    summary,
)

SECOND = NOISE[:48_000]  # at 24 kHz
SHORT = "Expected at least 100ms of audio, but buffer only has"
VOICE = np.random.default_rng(1).integers(-9000, 9000, 24_000, "<i2").tobytes()


def update(**session: object) -> str:
    session = {"turn_detection": None, **session}
    return message("session.update", session=session, event_id="e1")


def client(model: str = "m") -> Client:
    return Client(OpenAiServer.SPEACHES, model=model)


def pcm_16_khz(pcm: bytes) -> bytes:
    """Return what the checksum engine makes of audio at 24 kHz."""
    return np.repeat(np.frombuffer(pcm, "<i2")[::3], 2).tobytes()


def test_the_address_has_the_model_and_voice_detection_is_on() -> None:
    session = client().seen[0]["session"]
    assert session["input_audio_format"] == "pcm16"
    assert session["input_audio_transcription"] == {"model": "m"}
    assert session["turn_detection"]["type"] == "server_vad"
    assert "audio" not in session
    assert "type" not in session


@pytest.mark.parametrize(
    ("changes", "model", "detects"),
    [
        ({}, {"model": "m"}, False),
        ({"turn_detection": {"type": "server_vad"}}, {"model": "m"}, True),
        (
            {"input_audio_transcription": {"model": "x", "language": "de"}},
            {"model": "x", "language": "de"},
            False,
        ),
        ({"type": "transcription", "audio": {"input": {}}}, {"model": "m"}, False),  # OpenAI's
    ],
)
def test_what_an_update_changes(changes: Any, model: Any, detects: bool) -> None:
    [updated] = client().send(update(**changes))
    assert updated["type"] == "session.updated"
    assert updated["session"]["input_audio_transcription"] == model
    assert (updated["session"]["turn_detection"] is not None) == detects


@pytest.mark.parametrize(
    "text",
    [
        update(input_audio_format="g711_ulaw"),
        update(input_audio_transcription={}),
        message("session.update"),
        message("response.x", event_id="e1"),
        "[",
    ],
)
def test_errors_have_neither_a_code_nor_the_event(text: str) -> None:
    [reply] = client().send(text)
    assert reply["type"] == "error"
    names = ("type", "code", "event_id")
    assert [reply["error"][name] for name in names] == ["invalid_request_error", None, None]


def test_items_have_text_once_they_are_complete() -> None:
    other = client()
    other.send(update())
    assert other.send(append(SECOND)) == []
    committed, created, completed = other.send(COMMIT)
    item_id = committed["item_id"]
    assert committed["previous_item_id"] is None
    assert created["item"]["id"] == completed["item_id"] == item_id
    assert completed["transcript"] == checksums(pcm_16_khz(SECOND))
    assert completed["usage"] == {"type": "duration", "seconds": 1.0}
    assert other.send(append(SECOND), COMMIT)[0]["previous_item_id"] == item_id


def test_the_predecessor_of_an_item_is_the_newest_one_with_text() -> None:
    other = client()
    other.send(update())
    first, *_ = other.send(append(SECOND), COMMIT)
    assert summary(other.send(append(bytes(48_000)), COMMIT)) == ["committed", "completed"]
    other.has_slot = False
    [third] = other.send(append(SECOND), COMMIT)
    [fourth] = other.send(append(SECOND), COMMIT)
    assert third["previous_item_id"] == fourth["previous_item_id"] == first["item_id"]


@pytest.mark.parametrize(
    ("texts", "too_short_ms"),
    [
        ([append(SECOND[:4800])], None),
        ([append(SECOND[:4794])], 99),
        ([append(SECOND[:1600])] * 3, 99),  # 800 samples each, of which 533 are left
        ([append(SECOND[:4800]), CLEAR], 0),
        ([append(SECOND[:4800]), COMMIT], 0),
    ],
)
def test_each_message_is_rounded_down(texts: list[str], too_short_ms: int | None) -> None:
    other = client()
    other.send(update(), *texts)
    reply = other.send(COMMIT)[0]
    if too_short_ms is None:
        assert reply["type"].endswith("committed")
    else:
        assert f"{SHORT} {too_short_ms}.00ms" in reply["error"]["message"]


def test_a_model_that_it_has_not_fails_each_item_without_its_id() -> None:
    other = client("x")
    other.send(update())
    for _ in range(2):
        committed, failed = other.send(append(SECOND), COMMIT)
        assert committed["type"].endswith("committed")
        assert failed["error"]["type"] == "server_error"
        assert failed["error"]["message"] == "Transcription failed"


def test_a_transcription_that_does_not_finish_is_such_a_failure() -> None:
    other = client()
    other.has_slot = False
    other.send(update(), append(SECOND), COMMIT)
    transcription = ChecksumTranscription()
    transcription.finish = lambda: None  # type: ignore[method-assign]
    other.session.begin(transcription)
    [failed] = map(json.loads, map(str, other.session.fail()))
    assert failed["error"]["message"] == "Transcription failed"


def test_voice_is_timed_from_the_last_commit() -> None:
    other, silence = client(), bytes(24_000)
    for audio in (silence, VOICE, silence) * 2:
        other.send(append(audio))
    voice = [(each["type"].rpartition("_")[2], each) for each in other.seen[1:]]
    starts = [each["audio_start_ms"] for kind, each in voice if kind == "started"]
    ends = [each["audio_end_ms"] for kind, each in voice if kind == "stopped"]
    assert np.allclose(starts, [200, 200], atol=40)
    assert np.allclose(ends, [1850, 1850], atol=400)
    assert sum("transcript" in each for each in other.seen) == 2


def test_half_an_hour_ends_the_session() -> None:
    other = client()
    other.send(update())
    minute = append(SECOND * 10)
    for _ in range(180):
        other.send(minute, COMMIT)
    assert not other.closes
    assert other.send(append(SECOND[:6])) == []
    assert other.closes == [Close(1011)]
