"""The proof must notice whatever may befall audio on its way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.bench.proof import CHUNK_MS, Loss, compare, expected_checksums, noise

EXPECTED = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("heard", "lost", "others"),
    [
        ("abcde", 0, 0),
        ("", 5, 0),
        ("acde", 1, 0),
        ("abcd", 1, 0),
        ("abbcde", 0, 1),
        ("abcabcde", 0, 3),
        ("abXde", 1, 1),  # altered
        ("abdce", 1, 1),  # out of order
        ("abcdeabcde", 0, 5),
    ],
)
def test_what_it_notices(heard: str, lost: int, others: int) -> None:
    assert compare(EXPECTED, heard) == Loss(lost * CHUNK_MS, others * CHUNK_MS)


@given(st.sets(st.integers(0, 49)))
def test_every_chunk_that_is_missing_is_counted(missing: set[int]) -> None:
    expected = [f"{n:08x}" for n in range(50)]
    heard = [checksum for n, checksum in enumerate(expected) if n not in missing]
    assert compare(expected, heard) == Loss(CHUNK_MS * len(missing), 0)


def test_one_sample_changes_one_checksum() -> None:
    audio = bytearray(noise(1, 800))
    whole = expected_checksums("inbound", bytes(audio))
    audio[640 * 4 + 320] ^= 0x80  # the middle of the fifth chunk; the filter is 24 taps long
    altered = expected_checksums("inbound", bytes(audio))
    assert [n for n, (a, b) in enumerate(zip(whole, altered, strict=True)) if a != b] == [4]


def test_every_checksum_is_one_of_a_kind() -> None:
    tracks = [expected_checksums("inbound", noise(seed, 8000)) for seed in range(6)]
    assert len({checksum for track in tracks for checksum in track}) == sum(map(len, tracks))


def test_losses_add_up() -> None:
    assert Loss(80, 0) + Loss(80, 160) == Loss(160, 160)
