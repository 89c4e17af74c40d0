"""Voxtral's dialect: what its own count is compared with."""

import json
from typing import Any

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Done, Options
from gateway.upstream.dialects.voxtral import Voxtral, VoxtralSession


def session() -> VoxtralSession:
    opened = Voxtral().session(Options("m"))
    list(opened.receive(b'{"type":"session.created","id":"s","created":0}'))
    opened.append(bytes(32_000))
    return opened


def delta(text: str) -> bytes:
    return json.dumps({"type": "transcription.delta", "delta": text}).encode()


def done(usage: Any) -> bytes:
    return json.dumps({"type": "transcription.done", "text": "", "usage": usage}).encode()


@pytest.mark.parametrize(
    ("usage", "is_doubted"),
    [
        ({"completion_tokens": 3}, False),
        ({"completion_tokens": 4}, True),
        # a server that does not report it, or nonsense
        (None, False),
        ({}, False),
        ({"completion_tokens": None}, False),
        ({"completion_tokens": "4"}, False),
        ([4], False),
        ("4", False),
    ],
)
def test_deltas_are_compared_with_the_tokens_of_the_server(usage: Any, is_doubted: bool) -> None:
    opened = session()
    for text in ("", " a", ""):
        list(opened.receive(delta(text)))
    # The server has answered 80 ms more than its deltas show.
    more = [Answer("", 320, 320, 320)] if is_doubted else []
    assert list(opened.receive(done(usage))) == [*more, Done(is_doubted=is_doubted)]


def test_tokens_beyond_the_audio_answer_no_more_than_it() -> None:
    opened = session()
    list(opened.receive(delta(" a")))
    events = list(opened.receive(done({"completion_tokens": 1000})))
    assert events == [Answer("", 1000, 1000, 1000), Done(is_doubted=True)]


def test_combined_deltas_count_one_by_one() -> None:
    opened = session()
    list(opened.receive(b'{"type":"transcription.deltas","deltas":[2," a"]}'))
    assert list(opened.receive(done({"completion_tokens": 3}))) == [Done()]


def test_the_header_of_another_model_is_an_error() -> None:
    opened = session()
    for text in ("language", " English"):
        list(opened.receive(delta(text)))
    with pytest.raises(UpstreamError) as caught:
        list(opened.receive(delta("<asr_text>")))
    assert caught.value.reason == "model-mismatch"


def test_the_header_of_another_model_in_pieces_is_an_error() -> None:
    opened = session()
    for text in "language English<asr_text":
        list(opened.receive(delta(text)))
    with pytest.raises(UpstreamError, match="model-mismatch"):
        list(opened.receive(delta(">")))


@pytest.mark.parametrize("session_fields", ['{"type":"transcription"}', '{"request_id":"r"}'])
def test_another_api_is_an_error(session_fields: str) -> None:
    message = f'{{"type":"session.created","session":{session_fields}}}'.encode()
    with pytest.raises(UpstreamError, match="model-mismatch"):
        list(Voxtral().session(Options("m")).receive(message))
