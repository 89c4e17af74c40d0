"""Key names: a layout that must never change, because data is stored under it."""

import re
import zlib
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.keys import call_keys, encode_id, partition_key, partition_of

_CARRIER_IDS = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("carrier_id", "encoded"),
    [
        ("CA0123456789abcdef0123456789abcdef", "CA0123456789abcdef0123456789abcdef"),
        ("a-b.c_d~e", "a-b.c_d~e"),
        ("v3:AbC+/=", "v3%3AAbC%2B%2F%3D"),
        ("a b{c}\n", "a%20b%7Bc%7D%0A"),
        ("50%", "50%25"),
        ("é", "%C3%A9"),
    ],
)
def test_ids_are_percent_encoded(carrier_id: str, encoded: str) -> None:
    assert encode_id(carrier_id) == encoded


@given(_CARRIER_IDS)
def test_any_id_is_safe_in_a_key(carrier_id: str) -> None:
    encoded = encode_id(carrier_id)
    assert re.fullmatch(r"[A-Za-z0-9._~%-]*", encoded)
    assert len(encoded) <= 128


@given(_CARRIER_IDS, _CARRIER_IDS)
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert (encode_id(one) == encode_id(other)) == (one == other)


def test_long_ids_are_cut_but_stay_different() -> None:
    same_start = "x" * 500
    one, other = encode_id(same_start + "1"), encode_id(same_start + "2")
    assert one != other
    assert len(one) == len(other) == 128
    assert one.startswith("x" * 95 + "~")
    assert encode_id("x" * 128) == "x" * 128


@pytest.mark.parametrize("before", range(95))
@pytest.mark.parametrize("character", ["é", "€", "𝄞"])
def test_no_character_is_cut(before: int, character: str) -> None:
    carrier_id = "x" * before + character * 40
    encoded = encode_id(carrier_id)
    assert carrier_id.startswith(unquote(encoded[:-33], errors="strict"))
    assert encode_id(unquote(encoded)) == encoded  # as in the path of a URL


@given(_CARRIER_IDS.map(encode_id), st.integers(1, 256))
def test_keys_of_a_call_share_its_partition(call_id: str, partitions: int) -> None:
    partition = zlib.crc32(call_id.encode()) % partitions
    tag = f"cs:{{p{partition:02d}}}"
    assert partition_of(call_id, partitions) == partition
    assert call_keys(call_id, partitions) == (
        f"{tag}:writers:{call_id}",
        f"{tag}:call:{call_id}",
        f"{tag}:events",
        f"{tag}:live",
    )


def test_layout_is_unchanged() -> None:
    assert call_keys("CA1", 64).call == "cs:{p53}:call:CA1"
    assert partition_key(7, "events") == "cs:{p07}:events"
