"""The spool's records: the bytes of one, and what is left of a torn or damaged row."""

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


def row(batches: list[Batch]) -> bytes:
    return b"".join(pack_record(*batch) for batch in batches)


def parse(data: bytes) -> list[Batch]:
    """Give what can be read, and check that its length is told."""
    try:
        found, found_bytes = parse_records(data, _ALL)
    except ValueError:
        return []
    assert data[:found_bytes] == row(found)
    return found


@pytest.mark.parametrize(
    ("batch", "record"),
    [
        ((b"", b"", 0), "6fc6d57b 00000000 00000000 00000000"),
        ((b"ab", b"cde", 258), "d40ae001 02000000 03000000 02010000 6162 636465"),
    ],
)
def test_a_record_is_these_bytes(batch: Batch, record: str) -> None:
    """What another version left on disk must stay readable."""
    assert pack_record(*batch) == bytes.fromhex(record)


@pytest.mark.parametrize(
    ("known_bytes", "told_bytes"), [(0, 16), (15, 16), (16, 21), (20, 21), (21, 21), (30, 21)]
)
def test_a_header_tells_the_length_of_its_record(known_bytes: int, told_bytes: int) -> None:
    data = pack_record(b"ab", b"cde", 1) * 2
    assert record_bytes(data[:known_bytes]) == told_bytes


@given(_BATCHES, st.integers(1, 6))
def test_what_was_packed_is_given_back_up_to_the_limit(batches: list[Batch], limit: int) -> None:
    expected = batches[:limit]
    assert parse_records(row(batches), limit) == (expected, len(row(expected)))


@given(_BATCHES)
def test_of_a_row_torn_at_any_byte_the_whole_records_are_left(batches: list[Batch]) -> None:
    data = row(batches)
    ends = [len(row(batches[:count])) for count in range(1, len(batches) + 1)]
    for cut in range(len(data)):
        assert parse(data[:cut]) == batches[: sum(end <= cut for end in ends)]


@given(_BATCHES, st.data())
def test_a_flipped_bit_ends_the_row_at_its_record(
    batches: list[Batch], data: st.DataObject
) -> None:
    damaged = bytearray(row(batches))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    before = 0
    while len(row(batches[: before + 1])) <= bit // 8:
        before += 1
    assert parse(bytes(damaged)) == batches[:before]


@pytest.mark.parametrize("data", [b"", b"\0" * 15, b"\0" * 16, b"\xff" * 64])
def test_without_a_whole_record_there_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        parse_records(data, _ALL)
