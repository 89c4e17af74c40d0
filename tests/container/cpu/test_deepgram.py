"""The CPU engine as a Deepgram server: what it refuses, and what its results say."""

import asyncio
import hashlib
import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from container.cpu import deepgram
from container.cpu.checksum import ChecksumTranscription
from container.cpu.deepgram import ListenSession
from container.cpu.deepgram_query import ListenOptions, RefusedError, parse_query
from container.cpu.server_session import BacklogError, Close, Phase, Reply
from tests.container.cpu.dialogue import checksum_engine

QUERY = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"}
EVERYTHING = ListenOptions(interim_results=True, endpointing_ms=500, utterance_end_ms=1000)
CLOSE = '{"type":"CloseStream"}'
TOKEN_BYTES = 2560


def noise(milliseconds: int, seed: int = 1) -> bytes:
    samples = 16 * milliseconds
    return np.random.default_rng(seed).integers(-9000, 9000, samples, "<i2").tobytes()


def silence(milliseconds: int) -> bytes:
    return bytes(32 * milliseconds)


def sums(pcm: bytes) -> list[str]:
    chunks = [pcm[at : at + TOKEN_BYTES] for at in range(0, len(pcm), TOKEN_BYTES)]
    return [f"{zlib.crc32(chunk):08x}" for chunk in chunks if any(chunk)]


def serve(*messages: str | bytes, options: ListenOptions = EVERYTHING) -> list[Reply]:
    """Return all replies to messages; a slot is granted at once."""
    session, replies = ListenSession(options, "id", "2026-01-01"), list[Reply]()
    for message in messages:
        replies += session.receive(message)
        if session.phase is Phase.WAITING:
            replies += session.begin(ChecksumTranscription())
    return replies


def decoded(replies: Sequence[Reply], kind: str) -> list[dict[str, Any]]:
    messages = [json.loads(reply) for reply in replies if isinstance(reply, str)]
    return [message for message in messages if message["type"] == kind]


def transcripts(replies: Sequence[Reply], *, final: bool = True) -> list[str]:
    found = [each for each in decoded(replies, "Results") if each["is_final"] is final]
    return [each["channel"]["alternatives"][0]["transcript"] for each in found]


class TestQuery:
    def test_options(self) -> None:
        given = {**QUERY, "interim_results": "true", "endpointing": "300", "language": "de"}
        options = ListenOptions(interim_results=True, endpointing_ms=300)
        assert parse_query(given.items()) == options
        assert parse_query(QUERY.items()) == ListenOptions()
        assert parse_query({**QUERY, "endpointing": "false"}.items()).endpointing_ms is None
        many = [*QUERY.items(), ("keyterm", "a"), ("keyterm", "b")]
        assert parse_query(many) == ListenOptions()

    @pytest.mark.parametrize(
        "changed",
        [
            {"model": "whisper"},
            {"model": "mistralai/Voxtral"},
            {"encoding": "mulaw"},
            {"sample_rate": "8000"},
            {"encoding": "mulaw", "sample_rate": "8000", "channels": "2"},
            {"encoding": "opus"},
            {"channels": "2"},
            {"endpointing": "soon"},
            {"endpointing": "-1"},
            {"interim_results": "yes"},
            {"utterance_end_ms": "1000"},
            {"utterance_end_ms": "999", "interim_results": "true"},
            {"keyword": "a"},
            {"diarize": "true"},
            {"multichannel": "true"},
        ],
    )
    def test_what_is_refused(self, changed: dict[str, str]) -> None:
        with pytest.raises(RefusedError):
            parse_query({**QUERY, **changed}.items())

    def test_an_option_given_twice_is_refused(self) -> None:
        with pytest.raises(RefusedError):
            parse_query([*QUERY.items(), ("model", "nova-3")])


class TestResults:
    def test_the_words_are_the_audios(self) -> None:
        pcm = noise(5300)
        replies = serve(pcm, CLOSE)
        assert " ".join(transcripts(replies)).split() == sums(pcm)

    def test_final_results_cover_the_audio_without_a_hole(self) -> None:
        results = decoded(serve(noise(2000), silence(9000), noise(700), CLOSE), "Results")
        finals = [(r["start"], r["start"] + r["duration"]) for r in results if r["is_final"]]
        assert finals[0][0] == 0
        assert finals[-1][1] == pytest.approx(11.7)
        for (_, end), (start, _) in itertools.pairwise(finals):
            assert end == pytest.approx(start)

    def test_words_have_their_times(self) -> None:
        [result] = decoded(serve(silence(400), noise(160), CLOSE), "Results")
        words = result["channel"]["alternatives"][0]["words"]
        assert [(word["start"], word["end"]) for word in words] == [(0.4, 0.48), (0.48, 0.56)]

    def test_an_interim_result_each_second_ends_with_a_guess(self) -> None:
        pcm = noise(2700)
        guesses = transcripts(serve(pcm), final=False)
        assert [len(guess.split()) for guess in guesses] == [13, 26]
        assert guesses[0].split()[:-1] == sums(pcm)[:12]
        assert sums(pcm)[12].endswith(guesses[0].split()[-1])

    def test_no_interim_results_unless_asked(self) -> None:
        assert transcripts(serve(noise(2700), options=ListenOptions()), final=False) == []

    def test_a_pause_ends_the_utterance(self) -> None:
        [result] = decoded(serve(noise(160), silence(1300)), "Results")
        assert (result["is_final"], result["speech_final"]) == (True, True)

    def test_utterance_end_follows_a_gap_once(self) -> None:
        [event] = decoded(serve(noise(160), silence(5000)), "UtteranceEnd")
        assert event["last_word_end"] == 0.16

    def test_silence_is_answered_or_not(self) -> None:
        assert transcripts(serve(silence(9000))) == ["", ""]
        quiet = ListenOptions(interim_results=True, answers_silence=False)
        assert serve(silence(9000), options=quiet) == []

    def test_speech_started_comes_once_per_utterance(self) -> None:
        options = replace(EVERYTHING, vad_events=True)
        replies = serve(silence(480) + noise(3000) + silence(2000) + noise(800), options=options)
        assert [each["timestamp"] for each in decoded(replies, "SpeechStarted")] == [0.48, 5.44]

    def test_results_name_the_model(self) -> None:
        [result, *_] = decoded(serve(noise(2000)), "Results")
        assert result["metadata"]["model_info"]["name"] == "nova-3"

    def test_keyterms_can_be_configured(self) -> None:
        configure = '{"type":"Configure","keyterms":["Contoso"]}'
        [success] = decoded(serve(configure), "ConfigureSuccess")
        assert success == {"type": "ConfigureSuccess", "request_id": "id", "keyterms": ["Contoso"]}
        old = replace(EVERYTHING, model="nova-2")
        [failure] = decoded(serve(configure, options=old), "ConfigureFailure")
        assert failure["code"] == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"

    def test_finalize_ends_the_open_result(self) -> None:
        pcm = noise(800)
        [result] = decoded(serve(pcm, '{"type":"Finalize"}'), "Results")
        assert (result["is_final"], result["from_finalize"]) == (True, True)
        assert result["channel"]["alternatives"][0]["transcript"].split() == sums(pcm)


class TestControl:
    def test_close_stream_ends_with_the_summary(self) -> None:
        pcm = noise(1000)
        replies = serve(pcm, CLOSE)
        [summary] = decoded(replies, "Metadata")
        assert (summary["duration"], summary["channels"]) == (1.0, 1)
        assert summary["sha256"] == hashlib.sha256(pcm).hexdigest()
        assert replies[-1] == Close(1000)

    @pytest.mark.parametrize("end", [CLOSE, b""])
    def test_close_stream_without_audio(self, end: str | bytes) -> None:
        replies = serve(end)
        assert decoded(replies, "Metadata")[0]["duration"] == 0
        assert replies[1:] == [Close(1000)]

    def test_keep_alive_has_no_reply(self) -> None:
        assert serve('{"type":"KeepAlive"}') == []

    def test_nothing_is_accepted_after_close_stream(self) -> None:
        replies = serve(noise(160), CLOSE)
        assert serve(noise(160), CLOSE, noise(160), '{"type":"KeepAlive"}', CLOSE) == replies

    @pytest.mark.parametrize(
        "message",
        [
            *("", "{}", "[]", "null", '{"type":1}', '{"type":"Flush"}', "[" * 9999),
            '{"type":"Configure","keyterms":"a"}',
        ],
    )
    def test_an_unknown_text_ends_the_connection(self, message: str) -> None:
        replies = serve(message)
        assert decoded(replies, "Error")[0]["variant"] == "SchemaError"
        assert replies[1:] == [Close(1008, "SchemaError")]

    def test_too_much_pending_audio_is_refused(self) -> None:
        session = ListenSession(EVERYTHING)
        for _ in range(1800):
            assert session.receive(silence(1000)) == ()
        with pytest.raises(BacklogError):
            session.receive(silence(1))


@given(st.lists(st.integers(1, 9000), max_size=12), st.integers(1, 20_000))
def test_how_the_audio_is_split_changes_nothing(cuts: list[int], size: int) -> None:
    pcm = noise(1600) + silence(700) + noise(480, seed=2)
    at, frames = 0, list[bytes]()
    while at < len(pcm):
        length = cuts[len(frames)] if len(frames) < len(cuts) else size
        frames.append(pcm[at : at + length])
        at += length
    replies = serve(*frames, CLOSE)
    assert decoded(replies, "Metadata") == decoded(serve(pcm, CLOSE), "Metadata")
    assert transcripts(replies) == transcripts(serve(pcm, CLOSE))


# Over a socket


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({}, QUERY, 401, "INVALID_AUTH"),
        ({"Authorization": "Bearer right"}, QUERY, 401, "INVALID_AUTH"),
        ({"Authorization": "Token wrong"}, QUERY, 401, "INVALID_AUTH"),
        ({"Authorization": "Token right"}, {"model": "nova-3"}, 400, "Bad Request"),
    ],
)
async def test_a_refused_upgrade(
    headers: dict[str, str], query: dict[str, str], status: int, code: str
) -> None:
    async with checksum_engine(api_key="right") as url, aiohttp.ClientSession() as client:
        listen = url.replace("/v1/realtime", "/v1/listen")
        async with client.get(listen, params=query, headers=headers) as response:
            assert response.status == status
            assert (await response.json())["err_code"] == code


async def test_a_connection_without_messages_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepgram.ListenSession, "idle_s", 0.5)
    async with (
        checksum_engine() as url,
        aiohttp.ClientSession() as client,
        client.ws_connect(url.replace("/v1/realtime", "/v1/listen"), params=QUERY) as socket,
    ):
        for _ in range(4):
            await asyncio.sleep(0.25)
            await socket.send_str('{"type":"KeepAlive"}')
        assert not socket.closed
        message = await asyncio.wait_for(socket.receive(), 10)
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1011, "NET-0001")


async def test_a_whole_connection() -> None:
    pcm = noise(2500)
    async with (
        checksum_engine() as url,
        aiohttp.ClientSession() as client,
        client.ws_connect(url.replace("/v1/realtime", "/v1/listen"), params=QUERY) as socket,
    ):
        for at in range(0, len(pcm), 641):
            await socket.send_bytes(pcm[at : at + 641])
        await socket.send_str(CLOSE)
        replies = [message.data async for message in socket]
        assert socket.close_code == 1000
    assert " ".join(transcripts(replies)).split() == sums(pcm)
