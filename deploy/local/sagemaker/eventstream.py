"""The frames of `application/vnd.amazon.eventstream`, both ways. Pure.

    frame   u32 total length | u32 headers length | u32 crc32 of those 8 bytes
            | headers | payload | u32 crc32 of all before
    header  u8 name length | name | u8 type | value

The parser is fed bytes however they were cut and is asked for one event at a time, so the events
before a malformed frame come out whatever the cut was.

Source: Amazon Transcribe Developer Guide, "Event stream encoding"; Smithy's event-stream spec.
"""

import struct
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
_PRELUDE = struct.Struct(">III")
_LENGTHS = struct.Struct(">II")
_U32 = struct.Struct(">I")
_FRAME_BYTES = 16  # the prelude's 12 and the last checksum's 4
# A signed event's payload is a whole event, hence twice the overhead.
MAX_TOTAL_BYTES = MAX_PAYLOAD_BYTES + 2 * (MAX_HEADERS_BYTES + _FRAME_BYTES)


class EventStreamError(Exception):
    """Bytes that are no event stream; the message names the broken rule, never what they hold."""


class Timestamp(int):
    """A header value of type 8: milliseconds since the epoch."""


type HeaderValue = bool | int | bytes | str | Timestamp | UUID
type Headers = Mapping[str, HeaderValue]


@dataclass(frozen=True, slots=True)
class Event:
    """One frame's content."""

    headers: Headers
    payload: bytes = field(repr=False)


def encode_headers(headers: Mapping[str, bytes | str | Timestamp]) -> bytes:
    """Encode a header block: the types that are sent here are strings, bytes and timestamps."""
    parts = []
    for name, value in headers.items():
        encoded_name = name.encode()
        parts.append(bytes((len(encoded_name),)) + encoded_name)
        match value:
            case Timestamp():
                parts.append(b"\x08" + value.to_bytes(8, "big", signed=True))
            case bytes():
                parts.append(b"\x06" + len(value).to_bytes(2, "big") + value)
            case str():
                text = value.encode()
                parts.append(b"\x07" + len(text).to_bytes(2, "big") + text)
    return b"".join(parts)


def encode(header_block: bytes, payload: bytes) -> bytes:
    """Encode one frame from an encoded header block and its payload."""
    total = len(header_block) + len(payload) + _FRAME_BYTES
    lengths = _LENGTHS.pack(total, len(header_block))
    prelude_crc = crc32(lengths)
    checksum = crc32(payload, crc32(header_block, crc32(_U32.pack(prelude_crc), prelude_crc)))
    return b"".join((lengths, _U32.pack(prelude_crc), header_block, payload, _U32.pack(checksum)))


def decode(frame: bytes) -> Event:
    """Decode exactly one frame.

    Raises:
        EventStreamError: it is malformed, cut short, or more than one.
    """
    if len(frame) < _PRELUDE.size or _total_bytes(frame, 0) != len(frame):
        raise EventStreamError("not exactly one frame")
    return _decode_whole(frame)


class EventStreamParser:
    """Cuts a byte stream into events.

    Holds at most one frame and what was fed after it; a frame's announced size is refused before
    its bytes are waited for.
    """

    def __init__(self, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._buffer = bytearray()
        self._start = 0  # of the next frame: cutting per frame would copy all that follows it
        self._max_total_bytes = max_total_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        del self._buffer[: self._start]
        self._start = 0
        self._buffer += data

    def next_event(self) -> Event | None:
        """Give the next whole event; None until more bytes are fed.

        Raises:
            EventStreamError: the bytes are malformed; every later call says so again.
        """
        available = len(self._buffer) - self._start
        if available < _PRELUDE.size:
            return None
        total = _total_bytes(self._buffer, self._start)
        if total > self._max_total_bytes:
            raise EventStreamError("the frame's length is out of bounds")
        if available < total:
            return None
        with memoryview(self._buffer) as view:
            frame = bytes(view[self._start : self._start + total])
        event = _decode_whole(frame)
        self._start += total
        return event

    def finish(self) -> None:
        """Say that the stream is over.

        Raises:
            EventStreamError: it ended inside a frame.
        """
        if len(self._buffer) > self._start:
            raise EventStreamError("the stream ended inside a frame")


def _total_bytes(buffer: bytes | bytearray, start: int) -> int:
    """A frame's length by its prelude, which must be sound in itself."""
    total, headers_size, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + _LENGTHS.size]) != checksum:
        raise EventStreamError("the prelude's checksum does not match")
    if total < _FRAME_BYTES:
        raise EventStreamError("the frame's length is out of bounds")
    if headers_size > min(MAX_HEADERS_BYTES, total - _FRAME_BYTES):
        raise EventStreamError("the headers' length is out of bounds")
    return int(total)


def _decode_whole(frame: bytes) -> Event:
    """Decode a frame whose prelude is sound and whose length is right."""
    if crc32(memoryview(frame)[:-4]) != _U32.unpack_from(frame, len(frame) - 4)[0]:
        raise EventStreamError("the frame's checksum does not match")
    headers_end = _PRELUDE.size + int.from_bytes(frame[4:8], "big")
    return Event(parse_headers(frame[_PRELUDE.size : headers_end]), frame[headers_end:-4])


def parse_headers(block: bytes) -> Headers:
    """Decode a header block.

    Raises:
        EventStreamError: it is cut short, repeats a name, or has a type that does not exist.
    """
    # A stream's events repeat one small block; large ones are not worth keeping.
    return _parse_headers_once(block) if len(block) <= 256 else _parse_headers(block)


def _parse_headers(block: bytes) -> Headers:
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(block):
            name_end = position + 1 + block[position]
            name = block[position + 1 : name_end].decode()
            if name in headers:
                raise EventStreamError("a header is repeated")
            headers[name], position = _parse_value(block[name_end], block, name_end + 1)
    except (IndexError, struct.error):
        raise EventStreamError("a header is cut short") from None
    except UnicodeDecodeError:
        raise EventStreamError("a header is not UTF-8") from None
    if position != len(block):
        raise EventStreamError("a header is cut short")
    return MappingProxyType(headers)


_parse_headers_once = lru_cache(maxsize=64)(_parse_headers)


def _parse_value(kind: int, block: bytes, start: int) -> tuple[HeaderValue, int]:
    """One header's value and where it ends; the end may lie past the block's."""
    match kind:
        case 0 | 1:
            return kind == 0, start
        case 2 | 3 | 4 | 5:
            end = start + (1, 2, 4, 8)[kind - 2]
            return int.from_bytes(block[start:end], "big", signed=True), end
        case 6 | 7:
            value_start = start + 2
            end = value_start + int.from_bytes(block[start:value_start], "big")
            value = block[value_start:end]
            return value if kind == 6 else value.decode(), end
        case 8:
            return Timestamp.from_bytes(block[start : start + 8], "big", signed=True), start + 8
        case 9:
            if len(block) < start + 16:
                raise EventStreamError("a header is cut short")
            return UUID(bytes=block[start : start + 16]), start + 16
        case _:
            raise EventStreamError("a header's type does not exist")
