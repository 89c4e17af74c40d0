"""The codec is compatible with Smithy's and handles arbitrary bytes."""

import contextlib
import struct
from binascii import crc32
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smithy_aws_event_stream.events import Byte, EventMessage, Long, Short
from smithy_aws_event_stream.events import Event as SmithyEvent
from smithy_core.aio.types import AsyncBytesReader

from deploy.local.sagemaker.eventstream import (
    Event,
    EventStreamError,
    EventStreamParser,
    Timestamp,
    encode,
    encode_headers,
    parse_headers,
)

NAMES = st.text(min_size=1, max_size=20)
TIMESTAMPS = st.integers(-(2**40), 2**45).map(Timestamp)
HEADERS = st.dictionaries(NAMES, st.text(max_size=40) | st.binary(max_size=40) | TIMESTAMPS)
EVENTS = st.lists(st.tuples(HEADERS, st.binary(max_size=300)), max_size=5)


def frame(block: bytes, payload: bytes, **wrong: int) -> bytes:
    """Encode a frame as the format specifies it; `wrong` replaces fields."""
    total = wrong.get("total", len(block) + len(payload) + 16)
    prelude = struct.pack(">II", total, wrong.get("headers", len(block)))
    prelude += struct.pack(">I", wrong.get("prelude_crc", crc32(prelude)))
    whole = prelude + block + payload
    return whole + struct.pack(">I", wrong.get("crc", crc32(whole)))


def read(chunks: list[bytes]) -> tuple[list[Event], str | None]:
    """Parse a stream that arrives in chunks; return its events and its error."""
    parser, events = EventStreamParser(), []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while event := parser.next_event():
                events.append(event)
        parser.finish()
    except EventStreamError as error:
        return events, str(error)
    return events, None


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *sorted(each % (len(data) + 1) for each in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(EVENTS, st.lists(st.integers(0, 10_000), max_size=20))
def test_round_trip_of_chunked_streams(
    events: list[tuple[dict[str, str | bytes | Timestamp], bytes]], positions: list[int]
) -> None:
    data = b"".join(encode(encode_headers(headers), payload) for headers, payload in events)
    got, error = read(cut(data, positions))
    assert error is None
    assert [(event.headers, event.payload) for event in got] == events


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_the_result_does_not_depend_on_the_chunks(data: bytes, positions: list[int]) -> None:
    assert read(cut(data, positions)) == read([data])


@given(EVENTS.filter(bool), st.integers(0), st.integers(1, 255), st.lists(st.integers(0, 2000)))
def test_one_flipped_byte_is_detected(
    events: list[tuple[dict[str, str | bytes | Timestamp], bytes]],
    position: int,
    flip: int,
    positions: list[int],
) -> None:
    data = bytearray(b"".join(encode(encode_headers(h), payload) for h, payload in events))
    data[position % len(data)] ^= flip
    got, error = read(cut(bytes(data), positions))
    assert error is not None
    assert len(got) < len(events)
    assert (got, error) == read([bytes(data)])


@given(st.binary(max_size=200))
def test_any_header_block_gives_headers_or_an_event_stream_error(block: bytes) -> None:
    with contextlib.suppress(EventStreamError):
        parse_headers(block)


@given(HEADERS, st.binary(max_size=300))
async def test_smithy_decodes_encoded_events(
    headers: dict[str, str | bytes | Timestamp], payload: bytes
) -> None:
    data = encode(encode_headers(headers), payload)
    event = await SmithyEvent.decode_async(AsyncBytesReader(data))
    assert event
    assert event.message.payload == payload
    for name, value in event.message.headers.items():
        if isinstance(value, datetime):
            value = Timestamp(round(value.timestamp() * 1000))
        assert value == headers[name]


def test_decodes_every_type_that_smithy_encodes() -> None:
    uuid = UUID("00112233-4455-6677-8899-aabbccddeeff")
    headers: dict[str, bool | int | bytes | str | datetime | UUID] = {
        "true": True,
        "false": False,
        "byte": Byte(-1),
        "short": Short(-2),
        "int": -3,
        "long": Long(-4),
        "bytes": b"\x00\x01",
        "string": "grün",
        "date": datetime(2026, 3, 1, tzinfo=UTC),
        "uuid": uuid,
    }
    (event,), error = read([EventMessage(headers=headers, payload=b"payload").encode()])
    assert error is None
    assert event.payload == b"payload"
    assert dict(event.headers) == headers | {"date": Timestamp(1_772_323_200_000)}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (frame(b"", b"x", prelude_crc=1), "prelude's checksum"),
        (frame(b"", b"x", crc=1), "frame's checksum"),
        (frame(b"", b"", total=15), "length is out of bounds"),
        (frame(b"", b"", total=2**32 - 1), "length is out of bounds"),
        (frame(b"", b"x", headers=2), "headers' length"),
        (frame(bytes(200_000), b"", headers=200_000), "headers' length"),
        (frame(b"", b"x")[:-1], "ended inside a frame"),
        (frame(b"", b"x")[:5], "ended inside a frame"),
        (frame(b"\x01a\x0a", b""), "type does not exist"),
        (frame(b"\x01a\x00\x01a\x00", b""), "repeated"),
        (frame(b"\x01a\x07\x00\x05abc", b""), "cut short"),
        (frame(b"\x01a\x07\x00\x01\xff", b""), "UTF-8"),
        (frame(b"\x05a", b""), "cut short"),
        (frame(b"\x01a\x09" + bytes(15), b""), "cut short"),
        (frame(b"\x01a\x04\x00", b""), "cut short"),
    ],
)
def test_rejects_malformed_frames(data: bytes, error: str) -> None:
    good = frame(b"", b"good")
    events, found = read([good + data])
    assert [event.payload for event in events] == [b"good"]
    assert error in (found or "")


def test_a_frame_that_is_too_large_is_rejected_by_its_prelude() -> None:
    parser = EventStreamParser(max_total_bytes=100)
    parser.feed(frame(b"", bytes(85))[:12])
    with pytest.raises(EventStreamError, match="out of bounds"):
        parser.next_event()


def test_errors_do_not_quote_the_bytes() -> None:
    _, error = read([frame(b"\x01a\x07\x00\x01\xff", b"my words")])
    assert "words" not in (error or "")
