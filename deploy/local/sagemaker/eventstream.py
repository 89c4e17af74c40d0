"""Encode and parse the frames of `application/vnd.amazon.eventstream`. Pure.

    frame   u32 total length | u32 headers length | u32 crc32 of those 8 bytes
            | headers | payload | u32 crc32 of everything before
    header  u8 name length | name | u8 type | value

The parser accepts bytes in pieces of any size and returns one event at a time. The events before a
malformed frame are therefore returned regardless of how the bytes were split.

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
# A signed event's payload is itself an event, so the overhead counts twice.
MAX_TOTAL_BYTES = MAX_PAYLOAD_BYTES + 2 * (MAX_HEADERS_BYTES + _FRAME_BYTES)


class EventStreamError(Exception):
    """Malformed bytes. The message names the violated rule and never quotes the bytes."""


class Timestamp(int):
    """A header value of type 8: milliseconds since the epoch."""


type HeaderValue = bool | int | bytes | str | Timestamp | UUID
type Headers = Mapping[str, HeaderValue]


@dataclass(frozen=True, slots=True)
class Event:
    """The content of one frame."""

    headers: Headers
    payload: bytes = field(repr=False)


def encode_headers(headers: Mapping[str, bytes | str | Timestamp]) -> bytes:
    """Encode a header block of strings, bytes and timestamps."""
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
        EventStreamError: the bytes are malformed, cut short, or more than one frame.
    """
    if len(frame) < _PRELUDE.size or _total_bytes(frame, 0) != len(frame):
        raise EventStreamError("not exactly one frame")
    return _decode_whole(frame)


class EventStreamParser:
    """Splits a byte stream into events.

    It buffers at most one frame and the bytes fed after it. A frame that is too large is rejected
    as soon as its length is known.
    """

    def __init__(self, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._buffer = bytearray()
        self._start = 0  # of the next frame; deleting each frame would copy all bytes after it
        self._max_total_bytes = max_total_bytes

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the stream."""
        del self._buffer[: self._start]
        self._start = 0
        self._buffer += data

    def next_event(self) -> Event | None:
        """Return the next complete event, or None if more bytes are needed.

        Raises:
            EventStreamError: the bytes are malformed; every later call raises it again.
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
        """Check that the stream ended at the end of a frame.

        Raises:
            EventStreamError: the stream ended inside a frame.
        """
        if len(self._buffer) > self._start:
            raise EventStreamError("the stream ended inside a frame")


def _total_bytes(buffer: bytes | bytearray, start: int) -> int:
    """Validate a frame's prelude and return the frame's length."""
    total, headers_size, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + _LENGTHS.size]) != checksum:
        raise EventStreamError("the prelude's checksum does not match")
    if total < _FRAME_BYTES:
        raise EventStreamError("the frame's length is out of bounds")
    if headers_size > min(MAX_HEADERS_BYTES, total - _FRAME_BYTES):
        raise EventStreamError("the headers' length is out of bounds")
    return int(total)


def _decode_whole(frame: bytes) -> Event:
    """Decode a frame whose prelude and length are valid."""
    if crc32(memoryview(frame)[:-4]) != _U32.unpack_from(frame, len(frame) - 4)[0]:
        raise EventStreamError("the frame's checksum does not match")
    headers_end = _PRELUDE.size + int.from_bytes(frame[4:8], "big")
    return Event(parse_headers(frame[_PRELUDE.size : headers_end]), frame[headers_end:-4])


def parse_headers(block: bytes) -> Headers:
    """Decode a header block.

    Raises:
        EventStreamError: the block is cut short, repeats a name, or has an unknown type.
    """
    # The events of a stream repeat the same small block. Large blocks are not cached.
    return _parse_headers_cached(block) if len(block) <= 256 else _parse_headers(block)


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


_parse_headers_cached = lru_cache(maxsize=64)(_parse_headers)


def _parse_value(kind: int, block: bytes, start: int) -> tuple[HeaderValue, int]:
    """Parse one header's value; return it and its end, which may be past the block's end."""
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
