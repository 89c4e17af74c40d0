"""Decoding of payload bytes to samples."""

import audioop
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, decode


@pytest.mark.parametrize(
    ("encoding", "payload", "samples"),
    [
        # The ends of both of mu-law's segments, G.711 table 2a, in 16-bit units
        (Encoding.PCMU, b"\xff\x7f\x80\x00\xfe\x7e", (0, 0, 32124, -32124, 8, -8)),
        (Encoding.PCMA, b"\xd5\x55\xaa\x2a", (8, -8, 32256, -32256)),
        (Encoding.L16LE, b"\x01\x02\xff\xff", (0x0201, -1)),
        (Encoding.L16BE, b"\x01\x02\xff\xff", (0x0102, -1)),
    ],
)
def test_codes_decode_to_samples(
    encoding: Encoding, payload: bytes, samples: tuple[int, ...]
) -> None:
    assert struct.unpack(f"<{len(samples)}h", decode(encoding, payload)) == samples


@pytest.mark.parametrize("encoding", Encoding)
def test_silence_is_silent(encoding: Encoding) -> None:
    pcm = decode(encoding, encoding.silence * 160 * encoding.sample_bytes)
    assert len(pcm) == 320
    assert audioop.max(pcm, 2) <= 8


@pytest.mark.parametrize("encoding", Encoding)
def test_empty_payload_decodes_to_nothing(encoding: Encoding) -> None:
    assert decode(encoding, b"") == b""


@given(st.binary())
def test_mu_law_survives_a_round_trip_except_for_its_second_zero(payload: bytes) -> None:
    assert audioop.lin2ulaw(decode(Encoding.PCMU, payload), 2) == payload.replace(b"\x7f", b"\xff")


@given(st.binary())
def test_a_law_survives_a_round_trip(payload: bytes) -> None:
    assert audioop.lin2alaw(decode(Encoding.PCMA, payload), 2) == payload


@given(st.binary().map(lambda data: data + data))
def test_both_byte_orders_of_l16_decode_to_the_same_samples(payload: bytes) -> None:
    swapped = audioop.byteswap(payload, 2)
    assert decode(Encoding.L16BE, swapped) == decode(Encoding.L16LE, payload)
