"""Splitting of interleaved channels, for messages of any length."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.channels import Deinterleaver


@pytest.mark.parametrize(
    ("channels", "sample_bytes", "payload", "parts"),
    [
        (1, 1, b"abc", [b"abc"]),
        (2, 1, b"aAbBcC", [b"abc", b"ABC"]),
        (2, 2, b"aabbAABB", [b"aaAA", b"bbBB"]),
        (3, 1, b"123456", [b"14", b"25", b"36"]),
        (2, 2, b"abc", [b"", b""]),
        (2, 1, b"", [b"", b""]),
    ],
)
def test_split_separates_the_channels(
    channels: int, sample_bytes: int, payload: bytes, parts: list[bytes]
) -> None:
    assert Deinterleaver(channels, sample_bytes).split(payload) == parts


@given(
    st.integers(1, 3), st.sampled_from([1, 2]), st.binary(max_size=60), st.lists(st.integers(0, 60))
)
def test_split_does_not_depend_on_message_boundaries(
    channels: int, sample_bytes: int, audio: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), len(audio)]
    cut = Deinterleaver(channels, sample_bytes)
    pieces = [cut.split(audio[a:b]) for a, b in itertools.pairwise(edges)]
    joined = [b"".join(parts) for parts in zip(*pieces, strict=True)]
    assert joined == Deinterleaver(channels, sample_bytes).split(audio)
