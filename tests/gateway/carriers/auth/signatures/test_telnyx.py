"""Telnyx's signature: a vector, its timestamp, forgeries. The URL is not signed."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.auth.signatures.telnyx import read_public_key, verify
from tests.gateway.carriers.auth.signatures.outcomes import (
    DOCUMENTED,
    NOW_S,
    Forgeries,
    every_clock,
    headers_like,
    refusal,
)

PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
TIMESTAMP = str(NOW_S)
BODY = b'{"data":{"event_type":"streaming.started"}}'
SIGNATURE = (
    "oLDStyaMp4WBTmSMBjCGv/wJbn2oKc5eABMWe2CPnUwW1j7yzRbnokgfWlo3mWLt2oQvpb097pl+Oasd1izrCw=="
)

GOOD: dict[str, Any] = {
    "public_key": read_public_key(PUBLIC_KEY),
    "signature": SIGNATURE,
    "timestamp": TIMESTAMP,
    "body": BODY,
    "now_s": NOW_S + 0.5,
}


def sign(text: bytes, key: Ed25519PrivateKey = PRIVATE_KEY) -> str:
    return base64.b64encode(key.sign(text)).decode()


def test_vector_is_reproduced_and_accepted() -> None:
    assert read_public_key(PUBLIC_KEY) == PRIVATE_KEY.public_key()
    assert sign(b"1700000000|" + BODY) == SIGNATURE
    assert refusal(verify, GOOD) is None


@pytest.mark.parametrize("text", ["", "x", PUBLIC_KEY[:-4], PUBLIC_KEY + PUBLIC_KEY, "é", "%%%%"])
def test_invalid_public_key_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_public_key(text)


@every_clock
def test_timestamp_tolerance(now_s: float, reason: str | None) -> None:
    assert refusal(verify, GOOD, now_s=now_s) == reason


FORGERIES: Forgeries = {
    "missing": ({"signature": None}, "signature-missing"),
    "empty": ({"signature": ""}, "signature-missing"),
    "time missing": ({"timestamp": None}, "signature-missing"),
    "time empty": ({"timestamp": ""}, "signature-missing"),
    "time altered": ({"timestamp": "1700000001"}, "signature-invalid"),
    "time is no number": ({"timestamp": "now"}, "signature-invalid"),
    "time in other digits": ({"timestamp": "\u0661700000000"}, "signature-invalid"),
    "time negative": ({"timestamp": "-1"}, "signature-invalid"),
    "time without end": ({"timestamp": "9" * 5000}, "signature-invalid"),
    "stale": ({"now_s": NOW_S + 3600}, "signature-stale"),
    "from the future": ({"now_s": NOW_S - 3600}, "signature-stale"),
    "beyond a narrower tolerance": (
        {"now_s": NOW_S + 31, "tolerance_s": 30},
        "signature-stale",
    ),
    "garbage and stale": (
        {"signature": "garbage", "now_s": NOW_S + 3600},
        "signature-invalid",
    ),
    "garbage": ({"signature": "garbage"}, "signature-invalid"),
    "no base64": ({"signature": "!" * 88}, "signature-invalid"),
    "not text": ({"signature": "\udcff" + SIGNATURE[1:]}, "signature-invalid"),
    "cut": ({"signature": SIGNATURE[:84]}, "signature-invalid"),
    "too long": ({"signature": SIGNATURE + "===="}, "signature-invalid"),
    "zeros": ({"signature": base64.b64encode(bytes(64)).decode()}, "signature-invalid"),
    "wrong secret": (
        {"signature": sign(b"1700000000|" + BODY, Ed25519PrivateKey.generate())},
        "signature-invalid",
    ),
    "another algorithm's": (
        {"signature": base64.b64encode(bytes(range(32))).decode()},
        "signature-invalid",
    ),
    "another request's": ({"signature": sign(b"1700000000|{}")}, "signature-invalid"),
    "body altered": ({"body": BODY + b" "}, "signature-invalid"),
    "body gone": ({"body": b""}, "signature-invalid"),
    "end of the time as body": (
        {"timestamp": "1700000", "body": b"000|" + BODY},
        "signature-invalid",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_forged_request_is_rejected(changes: dict[str, Any], reason: str) -> None:
    assert refusal(verify, GOOD, **changes) == reason


@given(signature=headers_like(SIGNATURE), timestamp=headers_like(TIMESTAMP))
def test_arbitrary_headers_have_a_documented_outcome(
    signature: str | None, timestamp: str | None
) -> None:
    assert refusal(verify, GOOD, signature=signature, timestamp=timestamp) in DOCUMENTED


@given(body=st.binary(max_size=64))
def test_body_is_accepted_only_with_its_own_signature(body: bytes) -> None:
    signature = sign(b"1700000000|" + body)
    assert refusal(verify, GOOD, body=body, signature=signature) is None
    assert refusal(verify, GOOD, body=body) == "signature-invalid"
