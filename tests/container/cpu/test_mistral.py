"""The CPU engine's server of Mistral's protocol."""

import audioop
import json
import zlib
from typing import Any

import numpy as np
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu.checksum import ChecksumTranscription
from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.mistral import MAX_APPEND_BYTES, MistralRules, MistralSession
from container.cpu.server_session import BacklogError, Phase, UnsupportedMessageError

RULES = Rules("m", TokenClock(480), max_backlog_s=60)
FORMAT = {"encoding": "pcm_s16le", "sample_rate": 16_000}
SILENT_SECOND = bytes(32_000)
NOISE = np.random.default_rng(1).integers(-9000, 9000, 16_000 * 20, "<i2").tobytes()


def noise(milliseconds: int) -> bytes:
    return NOISE[: 32 * milliseconds]


class Client:
    """Sends messages to a session; a slot is always free."""

    def __init__(self, extras: MistralRules = MistralRules()) -> None:  # noqa: B008 - frozen
        self.session = MistralSession(RULES, extras, "r1")

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        replies = self.session.receive(json.dumps({"type": kind, **fields}))
        if self.session.phase is Phase.WAITING:
            replies += self.session.begin(ChecksumTranscription())
        return [json.loads(reply) for reply in replies]

    def update(self, **session: Any) -> list[dict[str, Any]]:
        return self.send("session.update", session=session)

    def audio(self, pcm: bytes) -> list[dict[str, Any]]:
        return self.send("input_audio.append", audio=pybase64.b64encode(pcm).decode())

    def end(self) -> list[dict[str, Any]]:
        return self.send("input_audio.flush") + self.send("input_audio.end")


def of(kind: str, replies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reply for reply in replies if reply["type"] == kind]


def test_it_greets_with_the_session() -> None:
    [created] = map(json.loads, MistralSession(RULES, MistralRules(), "r1").greet())
    assert created["type"] == "session.created"
    assert created["session"]["request_id"] == "r1"
    assert created["session"]["model"] == "m"
    assert created["session"]["audio_format"] == FORMAT
    assert created["session"]["target_streaming_delay_ms"] is None


def test_settings_are_merged_and_null_clears_them() -> None:
    client = Client()
    client.update(language="en", context_bias=["Contoso"], target_streaming_delay_ms=2400)
    [updated] = client.update(language=None, turn_detection={"min_silence_ms": 300})
    session = updated["session"]
    assert updated["type"] == "session.updated"
    assert (session["language"], session["context_bias"]) == (None, ["Contoso"])
    assert session["turn_detection"]["min_silence_ms"] == 300
    assert session["turn_detection"]["end_threshold"] == 0.33


@pytest.mark.parametrize(
    "session",
    [
        {"target_streaming_delay_ms": 79},
        {"target_streaming_delay_ms": 1201},
        {"target_streaming_delay_ms": "480"},
        {"audio_format": {"encoding": "opus", "sample_rate": 16_000}},
        {"audio_format": {"encoding": "pcm_mulaw", "sample_rate": 16_000}},
        {"audio_format": {"encoding": "pcm_s16le", "sample_rate": 8000}},
        {"diarize": True},
        {"diarize": True, "turn_detection": {}},
        {"speaker_references": {"Anna": "AAAA"}},
        {"turn_detection": {"end_threshold": 2}},
        {"turn_detection": {"silence": 5}},
        {"context_bias": "Contoso"},
        {"model": "other"},
    ],
)
def test_what_the_vendor_or_the_engine_refuses(session: dict[str, Any]) -> None:
    [refused] = Client().update(**session)
    assert refused["type"] == "error"
    assert isinstance(refused["error"]["code"], int)
    assert isinstance(refused["error"]["message"], str)


def test_a_model_without_turns_refuses_them() -> None:
    client = Client(MistralRules(has_turns=False))
    assert of("error", client.update(turn_detection={}))
    assert of("session.updated", client.update(language="en"))


@pytest.mark.parametrize("encoding", ["pcm_mulaw", "pcm_alaw"])
def test_g711(encoding: str) -> None:
    decode = audioop.ulaw2lin if encoding == "pcm_mulaw" else audioop.alaw2lin
    audio = np.random.default_rng(3).bytes(640)
    client = Client()
    [updated] = client.update(audio_format={"encoding": encoding, "sample_rate": 8000})
    assert updated["session"]["audio_format"]["encoding"] == encoding
    for at in range(0, len(audio), 77):  # odd lengths are valid
        client.audio(audio[at : at + 77])
    heard = np.repeat(np.frombuffer(decode(audio, 2), "<i2"), 2).tobytes()
    [done] = of("transcription.done", client.send("input_audio.end"))
    assert done["text"] == f" {zlib.crc32(heard):08x}"
    assert done["usage"]["prompt_audio_seconds"] == 0


def test_settings_are_frozen_by_the_first_audio() -> None:
    client = Client()
    client.audio(noise(20))
    [refused] = client.update(language="en")
    assert refused == {
        "type": "error",
        "error": {
            "message": "Session fields cannot be changed after audio has started.",
            "code": 3051,
        },
    }


@pytest.mark.parametrize("size", [0, 3, MAX_APPEND_BYTES + 2])
def test_audio_of_a_wrong_size_is_refused(size: int) -> None:
    assert of("error", Client().audio(bytes(size)))
    assert not of("error", Client().audio(bytes(MAX_APPEND_BYTES)))


@pytest.mark.parametrize("text", ["", "[]", '{"type":"input_audio_buffer.append","audio":""}'])
def test_other_messages_are_refused(text: str) -> None:
    [refused] = Client().session.receive(text)
    assert json.loads(refused)["type"] == "error"


def test_binary_frames_drop_the_connection() -> None:
    with pytest.raises(UnsupportedMessageError):
        Client().session.receive(b"{}")


def test_too_much_audio_without_a_slot_drops_the_connection() -> None:
    session = MistralSession(RULES, MistralRules())
    append = json.dumps(
        {"type": "input_audio.append", "audio": pybase64.b64encode(bytes(256_000)).decode()}
    )
    for _ in range(7):
        session.receive(append)
    with pytest.raises(BacklogError):
        session.receive(append)


def test_segments_have_the_times_of_their_words() -> None:
    client = Client()
    replies = client.audio(SILENT_SECOND + noise(2000))
    for _ in range(2):
        replies += client.audio(SILENT_SECOND)
    replies += client.audio(noise(500))
    replies += client.end()
    segments = [(s["start"], s["end"]) for s in of("transcription.segment", replies)]
    assert segments == [(0.96, 3.04), (4.96, 5.52)]
    [done] = of("transcription.done", replies)
    assert [(s["start"], s["end"]) for s in done["segments"]] == segments
    assert done["text"] == "".join(d["text"] for d in of("transcription.text.delta", replies))
    assert done["usage"]["prompt_audio_seconds"] == 5
    assert replies[-1] is done
    assert client.session.phase is Phase.IDLE


def test_turns_have_times() -> None:
    client = Client(MistralRules(has_segments=False))
    client.update(turn_detection={})
    replies = client.audio(noise(800))
    for _ in range(2):
        replies += client.audio(SILENT_SECOND)
    turns = [(r["type"], r["time_s"]) for r in replies if r["type"].startswith("turn.")]
    assert turns == [("turn.start", 0.0), ("turn.eager_end", 1.12), ("turn.end", 1.36)]
    assert not of("transcription.segment", replies + client.end())


def test_language_is_reported_once() -> None:
    client = Client()
    replies = client.audio(noise(3000)) + client.end()
    assert [r["audio_language"] for r in of("transcription.language", replies)] == ["en"]


def test_nothing_is_accepted_after_the_end() -> None:
    client = Client()
    client.audio(noise(100))
    client.end()
    assert of("error", client.audio(noise(100)))


def test_an_end_without_audio_is_done() -> None:
    [done] = Client().end()
    assert (done["type"], done["text"], done["segments"]) == ("transcription.done", "", [])


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_text_does_not_depend_on_the_pieces_of_the_audio(sizes: list[int]) -> None:
    client, at = Client(), 0
    replies = []
    for size in sizes:
        replies += client.audio(NOISE[2 * at : 2 * (at + size)])
        at += size
    replies += client.end()
    pcm = NOISE[: 2 * at]
    sums = [f" {zlib.crc32(pcm[begin : begin + 2560]):08x}" for begin in range(0, len(pcm), 2560)]
    assert [delta["text"] for delta in of("transcription.text.delta", replies)] == sums


def test_a_failure_of_the_engine_has_the_shape_of_other_errors() -> None:
    session = MistralSession(RULES, MistralRules(), "r1")
    assert json.loads(session.error("The model failed")) == {
        "type": "error",
        "error": {"message": "The model failed", "code": 3000},
    }
