"""The spool's records: their bytes, and what is readable if they are torn or damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.publishing.spool.records import pack_record, parse_records, record_bytes

type Batch = tuple[bytes, bytes, int]

_BATCHES = st.lists(
    st.tuples(st.binary(max_size=40), st.binary(max_size=90), st.integers(0, 2**32 - 1)),
    min_size=1,
    max_size=5,
)
_ALL = 100


def pack(batches: list[Batch]) -> bytes:
    return b"".join(pack_record(*batch) for batch in batches)


def parse(data: bytes) -> list[Batch]:
    """Return the readable records; check the length that `parse_records` returned with them."""
    try:
        found, found_bytes = parse_records(data, _ALL)
    except ValueError:
        return []
    assert data[:found_bytes] == pack(found)
    return found


@pytest.mark.parametrize(
    ("batch", "record"),
    [
        ((b"", b"", 0), "6fc6d57b 00000000 00000000 00000000"),
        ((b"ab", b"cde", 258), "d40ae001 02000000 03000000 02010000 6162 636465"),
    ],
)
def test_record_has_these_bytes(batch: Batch, record: str) -> None:
    """Records that another version left on disk must stay readable."""
    assert pack_record(*batch) == bytes.fromhex(record)


@pytest.mark.parametrize(
    ("known_bytes", "expected_bytes"), [(0, 16), (15, 16), (16, 21), (20, 21), (21, 21), (30, 21)]
)
def test_header_contains_the_length_of_its_record(known_bytes: int, expected_bytes: int) -> None:
    data = pack_record(b"ab", b"cde", 1) * 2
    assert record_bytes(data[:known_bytes]) == expected_bytes


@given(_BATCHES, st.integers(1, 6))
def test_packed_records_are_parsed_up_to_the_limit(batches: list[Batch], limit: int) -> None:
    expected = batches[:limit]
    assert parse_records(pack(batches), limit) == (expected, len(pack(expected)))


@given(_BATCHES)
def test_complete_records_before_a_torn_one_are_readable(batches: list[Batch]) -> None:
    data = pack(batches)
    ends = [len(pack(batches[:count])) for count in range(1, len(batches) + 1)]
    for cut in range(len(data)):
        assert parse(data[:cut]) == batches[: sum(end <= cut for end in ends)]


@given(_BATCHES, st.data())
def test_records_before_a_flipped_bit_are_readable(
    batches: list[Batch], data: st.DataObject
) -> None:
    damaged = bytearray(pack(batches))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    before = 0
    while len(pack(batches[: before + 1])) <= bit // 8:
        before += 1
    assert parse(bytes(damaged)) == batches[:before]


@pytest.mark.parametrize("data", [b"", b"\0" * 15, b"\0" * 16, b"\xff" * 64])
def test_data_without_a_complete_record_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        parse_records(data, _ALL)
