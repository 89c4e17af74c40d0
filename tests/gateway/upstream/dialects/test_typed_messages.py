"""Tests of the decoder of messages that have a type."""

import msgspec
import pytest

from gateway.errors import UpstreamError
from gateway.upstream.dialects.typed_messages import TypedMessages


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A message that must be correct."""

    text: str


class Hint(msgspec.Struct, frozen=True, tag="hint"):
    """A message that may be malformed."""

    at_ms: int


type Message = Text | Hint

MESSAGES = TypedMessages[Message](Message, optional=(Hint,))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'{"type":"text","text":"yes","more":1}', Text("yes")),
        (b'{"type":"hint","at_ms":5}', Hint(5)),
        (b'{"type":"hint","at_ms":"5"}', None),
        (b'{"type":"of a newer server"}', None),
    ],
)
def test_decode_returns_known_messages_only(message: bytes, expected: Message | None) -> None:
    """A message of an unknown type is ignored, as is an optional one that is malformed."""
    assert MESSAGES.decode(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'{"type":"text","text":5}', "malformed text"),
        (b'{"type":"text"}', "malformed text"),
        (b'{"type":5}', "not a typed JSON object"),
        (b'["text"]', "not a typed JSON object"),
        (b"{", "not a typed JSON object"),
        (b"", "not a typed JSON object"),
        (b'{"type":"text","text":"\xff"}', "malformed text"),
        (b"[" * 100_000, "not a typed JSON object"),
    ],
)
def test_decode_refuses_malformed_messages(message: bytes, expected: str) -> None:
    """A known type with invalid fields breaks the protocol, as does a message without a type."""
    with pytest.raises(UpstreamError, match="realtime-protocol-error") as caught:
        MESSAGES.decode(message)
    assert expected in str(caught.value)
