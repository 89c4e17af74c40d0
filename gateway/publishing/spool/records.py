"""The format of a batch in a segment of the spool. Pure.

A record is a header of four little-endian 32-bit numbers (CRC-32 of the rest of the record, length
of the stream header, length of the batch, number of events), then the stream header and the batch
as `append.lua` receives them. Records are contiguous.
"""

import zlib
from struct import Struct
from typing import Final

_HEADER: Final = Struct("<IIII")


def pack_record(stream_header: bytes, payload: bytes, events: int) -> bytes:
    """Return the record of a batch; `events` is its number of events."""
    rest = _HEADER.pack(0, len(stream_header), len(payload), events)[4:] + stream_header + payload
    return zlib.crc32(rest).to_bytes(4, "little") + rest


def record_bytes(head: bytes) -> int:
    """Return the length of the record that begins with `head`; of a header if `head` is shorter."""
    if len(head) < _HEADER.size:
        return _HEADER.size
    _, header_bytes, payload_bytes, _ = _HEADER.unpack_from(head)
    return _HEADER.size + int(header_bytes) + int(payload_bytes)


def parse_records(data: bytes, limit: int) -> tuple[list[tuple[bytes, bytes, int]], int]:
    """Return the complete records at the head of `data`, up to `limit`, and their bytes.

    Returns:
        For each record the arguments of `pack_record`; then the offset where the last one ends.

    Raises:
        ValueError: the first record is torn or damaged.
    """
    records: list[tuple[bytes, bytes, int]] = []
    at = 0
    while at < len(data) and len(records) < limit:
        end = at + record_bytes(data[at : at + _HEADER.size])
        if end > len(data):
            break
        checksum, header_bytes, _, events = _HEADER.unpack_from(data, at)
        if zlib.crc32(data[at + 4 : end]) != checksum:
            break
        middle = at + _HEADER.size + header_bytes
        records.append((data[at + _HEADER.size : middle], data[middle:end], events))
        at = end
    if not records:
        raise ValueError("a record is damaged")
    return records, at
