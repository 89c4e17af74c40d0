"""Frames compared byte by byte with the SDK's, and decoding of everything a peer may send."""

import datetime
import itertools
import struct
from typing import Any

import pytest
from aws_sdk_sagemaker_runtime_http2.models import (
    RequestPayloadPart,
    RequestStreamEventPayloadPart,
)
from aws_sdk_signers import AsyncEventSigner, SigV4SigningProperties
from hypothesis import given
from hypothesis import strategies as st
from smithy_aws_core.identity.static import StaticCredentialsResolver
from smithy_aws_event_stream.aio import AWSEventPublisher, SigningConfig
from smithy_aws_event_stream.events import EventHeaderEncoder, EventMessage
from smithy_json import JSONCodec

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.frames import (
    MAX_MESSAGE_BYTES,
    FrameSigner,
    ResponseDecoder,
    encode_frame,
)

SECRET, REGION, FIRST = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1", "ab" * 32
MIDNIGHT_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Written:
    """Records the frames that the SDK writes."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.frames.append(data)

    async def close(self) -> None:
        pass


def sdk_publisher(written: Written) -> AWSEventPublisher[Any]:
    return AWSEventPublisher(
        payload_codec=JSONCodec(),
        async_writer=written,
        signing_config=SigningConfig(
            signer=AsyncEventSigner(
                initial_signature=FIRST.encode(), event_encoder_cls=EventHeaderEncoder
            ),
            signing_properties=SigV4SigningProperties(region=REGION, service="sagemaker"),
            identity_resolver=StaticCredentialsResolver(),
            identity_properties={"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET},
        ),
    )


def date_ms(frame: bytes) -> int:
    """Return the time in a signed frame's first header."""
    assert frame[12:19] == b"\x05:date\x08"
    return int(struct.unpack_from(">q", frame, 19)[0])


async def test_frames_are_identical_to_the_sdks() -> None:
    written, signer = Written(), FrameSigner(SECRET, REGION, FIRST)
    publisher = sdk_publisher(written)
    messages = [
        (b'{"type":"input_audio_buffer.append","audio":"AAAA"}', False),
        (b"\xff\x00\x80", True),
        (b"{}", False),
        (b"\x00" * 5000, False),
        (b"\x00" * 5000, True),
    ]
    for message, is_binary in messages:
        part = RequestPayloadPart(bytes_=message, data_type=None if is_binary else "UTF8")
        await publisher.send(RequestStreamEventPayloadPart(value=part))
    await publisher.close()
    *parts, end = written.frames
    assert [
        signer.message(message, date_ms(frame), is_binary=is_binary)
        for (message, is_binary), frame in zip(messages, parts, strict=True)
    ] == parts
    assert signer.end(date_ms(end)) == end


def test_signing_key_changes_at_midnight() -> None:
    """A stream over midnight continues with the new day's key and the previous signature."""
    through = FrameSigner(SECRET, REGION, FIRST)
    before = through.message(b"x", MIDNIGHT_MS - 1)
    signature = before[before.index(b":chunk-signature") + 19 :][:32]
    fresh = FrameSigner(SECRET, REGION, signature.hex())
    assert through.message(b"y", MIDNIGHT_MS) == fresh.message(b"y", MIDNIGHT_MS)


def test_every_signature_covers_the_one_before() -> None:
    one, other = FrameSigner(SECRET, REGION, FIRST), FrameSigner(SECRET, REGION, FIRST)
    one.message(b"a", MIDNIGHT_MS)
    other.message(b"b", MIDNIGHT_MS)
    assert one.message(b"c", MIDNIGHT_MS) != other.message(b"c", MIDNIGHT_MS)


# The response


def reply(payload: bytes, state: Any = None, **headers: Any) -> bytes:
    given = {":message-type": "event", ":event-type": "PayloadPart"}
    if state:
        given["CompletionState"] = state
    return EventMessage(headers=given | headers, payload=payload).encode()


def failure(kind: str, payload: bytes) -> bytes:
    given = {":message-type": "exception", ":exception-type": kind}
    return EventMessage(headers=given, payload=payload).encode()


def decoded(*chunks: bytes) -> list[bytes]:
    decoder = ResponseDecoder()
    return [message for chunk in chunks for message in decoder.feed(chunk)]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(position % (len(data) + 1) for position in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(0, 10_000)))
def test_messages_do_not_depend_on_how_the_body_is_split(
    messages: list[bytes], cuts: list[int]
) -> None:
    body = b"".join(reply(message) for message in messages)
    assert decoded(*cut(body, cuts)) == messages


def test_body_is_decoded_byte_by_byte() -> None:
    body = reply(b"one") + reply(b"") + reply(b"three")
    assert decoded(*(body[i : i + 1] for i in range(len(body)))) == [b"one", b"", b"three"]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_partial_parts_are_joined_to_one_message(parts: list[bytes]) -> None:
    *most, last = parts
    body = b"".join(reply(part, "PARTIAL") for part in most) + reply(last, "COMPLETE")
    assert decoded(body + reply(b"next")) == [b"".join(parts), b"next"]


@pytest.mark.parametrize(
    "header",
    [True, False, 7, b"bytes", "text", datetime.datetime.now(datetime.UTC)],
    ids=lambda value: type(value).__name__,
)
def test_headers_of_any_type_are_skipped(header: object) -> None:
    assert decoded(reply(b"x", None, P="AAAA", **{"x-new": header})) == [b"x"]


def test_unknown_event_type_is_ignored() -> None:
    new = EventMessage(
        headers={":message-type": "event", ":event-type": "Metrics"}, payload=b"{}"
    ).encode()
    assert decoded(new + reply(b"x")) == [b"x"]


def refusal(data: bytes) -> str | None:
    """Return the reason of the error that a body causes; None without an error."""
    try:
        decoded(data)
    except UpstreamError as error:
        return error.reason
    return None


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_messages_or_a_documented_error(data: bytes) -> None:
    assert refusal(data) in (None, "platform-protocol-error")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_changed_byte_is_detected(position: int, change: int) -> None:
    body = bytearray(reply(b"some delta of a transcript"))
    body[position % len(body)] ^= change
    assert refusal(bytes(body)) == "platform-protocol-error"


@given(st.binary(max_size=60))
def test_random_headers_are_a_documented_error(headers: bytes) -> None:
    assert refusal(encode_frame(headers, b"x")) in (
        "platform-protocol-error",
        "internal-stream-failure",
    )


def test_too_large_frame_is_rejected_before_it_is_buffered() -> None:
    prelude = encode_frame(b"", b"y" * (MAX_MESSAGE_BYTES + 2**20))[:12]
    with pytest.raises(UpstreamError):
        decoded(prelude)


def test_too_large_message_of_partial_parts_is_rejected() -> None:
    decoder = ResponseDecoder()
    part = reply(b"y" * (MAX_MESSAGE_BYTES // 2 + 1), "PARTIAL")
    assert list(decoder.feed(part)) == []
    with pytest.raises(UpstreamError):
        list(decoder.feed(part))


def test_between_messages_is_false_inside_a_message() -> None:
    decoder = ResponseDecoder()
    assert decoder.between_messages
    list(decoder.feed(reply(b"one")[:-1]))
    assert not decoder.between_messages
    list(decoder.feed(reply(b"one")[-1:]))
    assert decoder.between_messages
    list(decoder.feed(reply(b"half", "PARTIAL")))
    assert not decoder.between_messages


def test_messages_before_an_exception_are_delivered() -> None:
    decoder = ResponseDecoder()
    feed = decoder.feed(reply(b"one") + failure("ModelStreamError", b'{"ErrorCode":"1012"}'))
    assert next(feed) == b"one"
    with pytest.raises(UpstreamError) as ended:
        next(feed)
    assert ended.value.reason == "model-stream-error"
