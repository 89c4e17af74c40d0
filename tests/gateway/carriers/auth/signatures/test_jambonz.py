"""The signature of jambonz: a vector, its timestamp, forgeries. The URL is not signed."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.auth.signatures.jambonz import sign, verify
from tests.gateway.carriers.auth.signatures.outcomes import (
    DOCUMENTED,
    NOW_S,
    Forgeries,
    every_clock,
    headers_like,
    refusal,
)

SECRET = "wh_secret"
BODY = b'{"call_sid":"c1"}'
V1 = "a8827dd92bc48334702b908c02d4ed8bbefb92fb4e52f58c202b57b821178438"
HEADER = f"t=1700000000,v1={V1}"

GOOD: dict[str, Any] = {
    "secret": SECRET,
    "signature": HEADER,
    "body": BODY,
    "now_s": NOW_S + 0.5,
}


def signed(secret: str, timestamp: str, body: bytes = BODY) -> dict[str, str]:
    return {"signature": f"t={timestamp},v1={sign(secret, timestamp, body)}"}


def test_vector_is_reproduced_and_accepted() -> None:
    assert sign(SECRET, "1700000000", BODY) == V1
    assert refusal(verify, GOOD) is None


@pytest.mark.parametrize(
    "header",
    [
        f"v1={V1},t=1700000000",
        f"t=1700000000, v1={V1} ",
        f"t=1700000000,v1=x,v1={V1}",
        f"t=1700000000,v1={V1},v1=x",
        f"t=1700000000,v1=a,v1=b,v1=c,v1={V1}",
        f"t=1700000000,v0=x,v2,v1={V1},",
    ],
)
def test_header_spellings_are_accepted(header: str) -> None:
    assert refusal(verify, GOOD, signature=header) is None


@every_clock
def test_timestamp_tolerance(now_s: float, reason: str | None) -> None:
    assert refusal(verify, GOOD, now_s=now_s) == reason


FORGERIES: Forgeries = {
    "missing": ({"signature": None}, "signature-missing"),
    "empty": ({"signature": ""}, "signature-missing"),
    "garbage": ({"signature": "garbage"}, "signature-invalid"),
    "commas": ({"signature": "," * 500}, "signature-invalid"),
    "not text": ({"signature": "\udcff" + HEADER}, "signature-invalid"),
    "too long": ({"signature": HEADER + 500 * ","}, "signature-invalid"),
    "time alone": ({"signature": "t=1700000000"}, "signature-invalid"),
    "signature alone": ({"signature": f"v1={V1}"}, "signature-invalid"),
    "two times": ({"signature": f"t=1700000000,{HEADER}"}, "signature-invalid"),
    "time altered": ({"signature": f"t=1700000001,v1={V1}"}, "signature-invalid"),
    "time is no number": (signed(SECRET, "now"), "signature-invalid"),
    "time in other digits": ({"signature": f"t=\u0661700000000,v1={V1}"}, "signature-invalid"),
    "time negative": (signed(SECRET, "-1"), "signature-invalid"),
    "time without end": (signed(SECRET, "9" * 400), "signature-invalid"),
    "stale": ({"now_s": NOW_S + 3600}, "signature-stale"),
    "from the future": ({"now_s": NOW_S - 3600}, "signature-stale"),
    "beyond a narrower tolerance": (
        {"now_s": NOW_S + 31, "tolerance_s": 30},
        "signature-stale",
    ),
    "garbage and stale": (
        {"signature": "t=1700000000,v1=x", "now_s": NOW_S + 3600},
        "signature-invalid",
    ),
    "among too many": (
        {"signature": f"t=1700000000,v1=a,v1=b,v1=c,v1=d,v1={V1}"},
        "signature-invalid",
    ),
    "another scheme": ({"signature": f"t=1700000000,v0={V1}"}, "signature-invalid"),
    "SHA-1": (
        {
            "signature": "t=1700000000,v1="
            + hmac.digest(SECRET.encode(), b"1700000000." + BODY, hashlib.sha1).hex()
        },
        "signature-invalid",
    ),
    "wrong secret": (signed("other", "1700000000"), "signature-invalid"),
    "another request's": (signed(SECRET, "1700000000", b"{}"), "signature-invalid"),
    "body altered": ({"body": BODY + b" "}, "signature-invalid"),
    "body gone": ({"body": b""}, "signature-invalid"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_forged_request_is_rejected(changes: dict[str, Any], reason: str) -> None:
    assert refusal(verify, GOOD, **changes) == reason


@given(header=headers_like(HEADER))
def test_only_headers_with_the_right_signature_are_accepted(header: str | None) -> None:
    reason = refusal(verify, GOOD, signature=header)
    assert reason in DOCUMENTED
    if reason is None:
        assert header is not None
        assert V1 in header


@given(body=st.binary(max_size=64))
def test_body_is_accepted_only_with_its_own_signature(body: bytes) -> None:
    assert refusal(verify, GOOD | signed(SECRET, "1700000000", body), body=body) is None
    if body != BODY:
        assert refusal(verify, GOOD, body=body) == "signature-invalid"
