"""A session of OpenAI's protocol, without a socket: as the reference describes it."""

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
from container.cpu.openai import OpenAiSession
from container.cpu.openai_protocol import OpenAiServer
from container.cpu.server_session import BacklogError, Close, Phase, UnsupportedMessageError

RULES = Rules("m", TokenClock(480), max_backlog_s=100)
NOISE = np.random.default_rng(7).integers(-9000, 9000, 160_000, "<i2").tobytes()  # 10 s


def message(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def append(audio: bytes) -> str:
    return message("input_audio_buffer.append", audio=pybase64.b64encode(audio).decode())


def update(**changes: object) -> str:
    configuration = {"transcription": {"model": "m"}, "turn_detection": None, **changes}
    session = {"type": "transcription", "audio": {"input": configuration}}
    return message("session.update", session=session, event_id="e1")


COMMIT = message("input_audio_buffer.commit", event_id="e2")
CLEAR = message("input_audio_buffer.clear")
PCM_16 = {"format": {"type": "audio/pcm", "rate": 16_000}}


class Client:
    """Sends messages to a session; a slot is free unless `has_slot` is False."""

    def __init__(
        self, server: OpenAiServer = OpenAiServer.SGLANG, *, model: str | None = None
    ) -> None:
        self.session = OpenAiSession(RULES, server, "s", 1, model)
        self.has_slot = True
        self.seen = list(map(json.loads, map(str, self.session.greet())))
        self.closes: list[Close] = []

    def send(self, *texts: str) -> list[dict[str, Any]]:
        replies = []
        for text in texts:
            replies += self.session.receive(text)
            replies += self.begin() if self.has_slot else ()
        self.closes += (reply for reply in replies if isinstance(reply, Close))
        sent = [json.loads(reply) for reply in replies if not isinstance(reply, Close)]
        self.seen += sent
        return sent

    @property
    def phase(self) -> Phase:
        return self.session.phase

    def begin(self) -> list[Any]:
        replies: list[Any] = []
        while self.session.phase is Phase.WAITING:
            replies += self.session.begin(ChecksumTranscription())
        return replies


def summary(replies: list[dict[str, Any]]) -> list[str]:
    """Summarize replies: error codes, or the last part of the type; deltas are left out."""
    short = [
        (reply.get("error") or {}).get("code") or reply["type"].rpartition(".")[2]
        for reply in replies
    ]
    return [each for each in short if each not in ("delta", "added", "done")]


def checksums(pcm: bytes) -> str:
    return " ".join(
        f"{zlib.crc32(pcm[begin : begin + 2560]):08x}" for begin in range(0, len(pcm), 2560)
    )


class TestConfiguration:
    def test_the_server_speaks_first_and_returns_the_effective_configuration(self) -> None:
        client = Client(OpenAiServer.STREAMING)
        created = client.seen[0]
        [updated] = client.send(update())
        assert created["session"]["object"] == "realtime.transcription_session"
        assert created["session"]["expires_at"] == 3601
        assert updated["session"]["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": {"model": "m"},
            "noise_reduction": None,
            "turn_detection": None,
        }
        assert created["event_id"] != updated["event_id"]

    @pytest.mark.parametrize(
        ("server", "changes", "expected"),
        [
            ("streaming", {"format": {"type": "audio/pcmu"}}, "updated"),
            ("streaming", {"format": {"type": "audio/pcm"}}, "updated"),
            ("streaming", PCM_16, "invalid_value"),
            ("streaming", {"format": {"type": "audio/opus"}}, "invalid_value"),
            ("streaming", {"turn_detection": {"type": "server_vad"}}, "invalid_value"),
            ("streaming", {"transcription": {"model": "x"}}, "model_not_found"),
            ("streaming", {"transcription": {"model": "m", "languages": []}}, "invalid_value"),
            ("streaming", {"transcription": {"model": "m", "keywords": ["<"]}}, "invalid_value"),
            ("streaming", {"transcription": {"model": "m", "language": "de-AT"}}, "invalid_value"),
            (
                "streaming",
                {"transcription": {"model": "m", "language": "de", "languages": ["de"]}},
                "invalid_value",
            ),
            ("streaming", {"transcription": {"model": "m", "x": 1}}, "unknown_parameter"),
            ("streaming", {"x": 1}, "unknown_parameter"),
            ("items", {"turn_detection": {"type": "server_vad", "threshold": 0.3}}, "updated"),
            ("items", {"turn_detection": {"type": "server_vad", "threshold": 3}}, "invalid_value"),
            ("sglang", PCM_16, "updated"),
            ("sglang", {"format": {"type": "audio/pcmu"}}, "not_supported"),
            ("sglang", {"noise_reduction": {"type": "near_field"}}, "not_supported"),
            ("sglang", {"transcription": {"model": "m", "prompt": "p"}}, "not_supported"),
            ("sglang", {"transcription": {"model": "x"}}, "not_supported"),
        ],
    )
    def test_what_is_accepted(self, server: str, changes: Any, expected: str) -> None:
        [reply] = Client(OpenAiServer(server)).send(update(**changes))
        assert summary([reply]) == [expected]
        if expected != "updated":
            assert reply["error"]["event_id"] == "e1"

    def test_a_model_in_the_address_makes_a_conversation(self) -> None:
        client = Client(OpenAiServer.STREAMING, model="m")
        assert client.seen[0]["session"]["type"] == "realtime"
        assert summary(client.send(update())) == ["invalid_parameter"]


class TestItems:
    def test_an_item_from_its_audio_to_its_text(self) -> None:
        client = Client()
        client.send(update(**PCM_16), append(NOISE[:64_000]))
        assert client.phase is Phase.RUNNING
        early = [each["delta"] for each in client.seen if each["type"].endswith("delta")]
        assert len(early) == 18
        assert summary(client.send(COMMIT)) == ["committed", "completed"]
        deltas = [each for each in client.seen if each["type"].endswith("delta")]
        assert {each["item_id"] for each in deltas} == {"item_s000001"}
        completed = client.seen[-1]
        assert completed["transcript"] == checksums(NOISE[:64_000])
        assert completed["transcript"] == "".join(each["delta"] for each in deltas)
        assert completed["usage"] == {"type": "duration", "seconds": 2.0}
        assert client.session.phase is Phase.IDLE

    def test_a_model_that_answers_items_has_no_early_text(self) -> None:
        client = Client(OpenAiServer.ITEMS)
        assert summary(client.send(update(), append(bytes(NOISE[:48_000])))) == ["updated"]
        assert not any(each["type"].endswith("delta") for each in client.seen)
        assert summary(client.send(COMMIT)) == ["committed", "completed"]
        assert any(each["type"].endswith("delta") for each in client.seen)

    def test_items_wait_for_a_slot_in_order(self) -> None:
        client = Client()
        client.has_slot = False
        client.send(update(**PCM_16))
        for second in range(3):
            client.send(append(NOISE[32_000 * second : 32_000 * (second + 1)]))
            assert summary(client.send(COMMIT)) == ["committed"]
        chain = [each for each in client.seen if each["type"].endswith("committed")]
        assert [each["previous_item_id"] for each in chain] == [
            None,
            "item_s000001",
            "item_s000002",
        ]
        replies = [json.loads(reply) for reply in client.begin()]
        texts = [each["transcript"] for each in replies if "transcript" in each]
        assert texts == [checksums(NOISE[begin : begin + 32_000]) for begin in (0, 32_000, 64_000)]

    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            ([COMMIT], ["input_audio_buffer_commit_empty"]),
            ([append(NOISE[:3198]), COMMIT], ["input_audio_buffer_commit_empty"]),
            ([append(NOISE[:3200]), COMMIT], ["committed", "completed"]),
            ([append(NOISE[:3198]), append(NOISE[:2]), COMMIT], ["committed", "completed"]),
            ([append(NOISE[:9600]), CLEAR, COMMIT], ["cleared", "input_audio_buffer_commit_empty"]),
            ([append(b""), append(NOISE[:1])], []),
            ([message("input_audio_buffer.append", audio="%")], ["invalid_value"]),
            ([message("input_audio_buffer.append")], ["missing_required_parameter"]),
            ([message("session.update")], ["missing_required_parameter"]),
            ([message("response.create")], ["invalid_value"]),
            (["{}"], ["invalid_value"]),
            (["["], ["invalid_value"]),
            (["[" * 100_000], ["invalid_value"]),
        ],
    )
    def test_what_messages_cause(self, texts: list[str], expected: list[str]) -> None:
        client = Client()
        client.send(update(**PCM_16))
        assert summary(client.send(*texts)) == expected

    def test_audio_before_the_model_is_refused(self) -> None:
        assert summary(Client().send(append(NOISE))) == ["invalid_state"]

    def test_the_refused_commit_is_named(self) -> None:
        client = Client()
        client.send(update())
        [reply] = client.send(COMMIT)
        assert reply["error"]["event_id"] == "e2"
        assert "0.00ms" in reply["error"]["message"]

    def test_a_model_that_does_not_finish_fails_its_item(self) -> None:
        client = Client()
        client.has_slot = False
        client.send(update(**PCM_16), append(NOISE), COMMIT)
        assert client.session.fail() == []
        transcription = ChecksumTranscription()
        transcription.finish = lambda: None  # type: ignore[method-assign]
        client.session.begin(transcription)
        assert client.phase is Phase.DRAINING
        [failed] = map(json.loads, map(str, client.session.fail()))
        assert failed["type"].endswith("failed")
        assert failed["item_id"] == "item_s000001"
        assert client.session.phase is Phase.IDLE


class TestLimits:
    def test_sglang_ends_the_session_after_60_s_without_a_commit(self) -> None:
        client = Client()
        client.send(update(**PCM_16), *([append(NOISE)] * 6))
        assert not client.closes
        assert summary(client.send(append(NOISE[:2]))) == ["buffer_overflow"]
        assert client.closes == [Close(1009)]

    def test_an_hour_ends_the_session(self) -> None:
        client = Client()
        client.send(update(**PCM_16))
        for _ in range(360):
            client.send(append(NOISE), COMMIT)
        assert not client.closes
        assert summary(client.send(append(NOISE[:2]))) == ["session_expired"]
        assert client.closes[0].code == 1001

    def test_too_much_pending_audio(self) -> None:
        client = Client()
        client.has_slot = False
        client.send(update(**PCM_16))
        for _ in range(10):
            client.send(append(NOISE), COMMIT)
        with pytest.raises(BacklogError):
            client.session.receive(append(NOISE))

    def test_too_many_pending_items(self) -> None:
        client = Client()
        client.has_slot = False
        client.send(update(**PCM_16))
        for _ in range(64):
            client.send(append(NOISE[:3200]), COMMIT)
        with pytest.raises(BacklogError):
            client.session.receive(append(NOISE[:3200]))

    def test_binary_frames_drop_the_connection(self) -> None:
        with pytest.raises(UnsupportedMessageError):
            Client().session.receive(b"")


class TestVoiceDetection:
    VAD = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}  # noqa: RUF012

    def client(self) -> Client:
        client = Client(OpenAiServer.ITEMS)
        client.send(update(format={"type": "audio/pcmu"}, **self.VAD))
        return client

    def test_it_is_on_unless_it_is_turned_off(self) -> None:
        created = Client(OpenAiServer.ITEMS).seen[0]["session"]["audio"]["input"]
        assert created["turn_detection"]["type"] == "server_vad"

    def test_parameters_for_conversations_have_no_effect(self) -> None:
        more = {"create_response": False, "interrupt_response": None, "idle_timeout_ms": 5000}
        vad = {"type": "server_vad", "threshold": 0.4}
        [reply] = Client(OpenAiServer.ITEMS).send(update(turn_detection=vad | more))
        effective = vad | {"prefix_padding_ms": 300, "silence_duration_ms": 500}
        assert reply["session"]["audio"]["input"]["turn_detection"] == effective

    @given(st.integers(1, 5000))
    def test_items_are_stretches_of_voice(self, size: int) -> None:
        """Times count all audio of the session, with the padding before and the silence after."""
        noise, silence = np.random.default_rng(1).bytes(8000), b"\xff" * 8000
        audio = silence + noise + silence + noise + silence
        client = self.client()
        for begin in range(0, len(audio), size):
            client.send(append(audio[begin : begin + size]))
        seen = client.seen[2:]
        assert summary(seen) == ["speech_started", "speech_stopped", "committed", "completed"] * 2
        starts = [each["audio_start_ms"] for each in seen if "audio_start_ms" in each]
        ends = [each["audio_end_ms"] for each in seen if "audio_end_ms" in each]
        assert np.allclose(starts, [700, 2700], atol=40)
        assert np.allclose(ends, [2200, 4200], atol=40)

    def test_a_commit_ends_an_item_early(self) -> None:
        client = self.client()
        noise = np.random.default_rng(1).bytes(8000)
        replies = client.send(append(noise), COMMIT)
        assert summary(replies) == ["speech_started", "committed", "completed"]

    def test_a_commit_in_silence(self) -> None:
        client = self.client()
        assert summary(client.send(append(b"\xff" * 8000), COMMIT)) == ["committed", "completed"]
        assert client.seen[-1]["transcript"] == ""
