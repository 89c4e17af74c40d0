"""Client messages are parsed, and invalid ones get vLLM's errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu import protocol
from container.cpu.protocol import Append, Commit, RequestError, Update

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
TYPES = ["session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "x"]
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | JSON},
    optional={"model": JSON, "audio": JSON, "final": JSON, "extra": JSON},
)

CODES = {"invalid_json", "processing_error", "unknown_event", "invalid_event", "invalid_audio"}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"type":"session.update","model":"m"}', Update("m")),
        ('{"type":"session.update","model":"m","language":"en"}', Update("m")),
        ('{"type":"input_audio_buffer.append","audio":"AAEC/w=="}', Append(b"\x00\x01\x02\xff")),
        ('{"type":"input_audio_buffer.commit"}', Commit(final=False)),
        ('{"type":"input_audio_buffer.commit","final":true}', Commit(final=True)),
    ],
)
def test_parses_valid_messages(text: str, request_: protocol.Request) -> None:
    assert protocol.parse(text) == request_


@given(st.text() | st.binary())
def test_any_text_is_parsed_or_rejected(text: str | bytes) -> None:
    _parsed_or_rejected(text)


@given(MESSAGES | JSON)
def test_any_json_is_parsed_or_rejected(value: Any) -> None:
    _parsed_or_rejected(json.dumps(value))


def test_deep_nesting_is_rejected() -> None:
    _parsed_or_rejected("[" * 100_000)


@given(st.text())
def test_delta_carries_any_text(text: str) -> None:
    message = json.loads(protocol.delta(text))
    assert message == {"type": "transcription.delta", "delta": text}


def test_audio_is_not_in_the_repr() -> None:
    assert repr(Append(b"\x01\x02")) == "Append(2 bytes)"


def _parsed_or_rejected(text: str | bytes) -> None:
    try:
        outcome: object = protocol.parse(text)
    except RequestError as error:
        outcome = error.code
    assert isinstance(outcome, Update | Append | Commit) or outcome in CODES
