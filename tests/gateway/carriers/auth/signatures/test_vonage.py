"""Vonage's signature: a vector, its claims, forgeries. The URL is not signed."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.auth.signatures.vonage import verify
from tests.gateway.carriers.auth.signatures.outcomes import (
    DOCUMENTED,
    NOW_S,
    Forgeries,
    every_clock,
    headers_like,
    refusal,
)

SECRET = "sigsecret"
BODY = b'{"uuid":"u1"}'
HASH = "bc4ae0121d71e03e3dde2cc9a6c2a022b2cd8cf95c7229104b3d7add5f521352"
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJWb25hZ2UiLCJpYXQiOjE3MDAwMDAwMDAsImp0aSI6Imox"
    "IiwiYXBpX2tleSI6ImFiYyIsImFwcGxpY2F0aW9uX2lkIjoiYXBwMSIsInBheWxvYWRfaGFzaCI6ImJjNGFlMDEyMWQ3MW"
    "UwM2UzZGRlMmNjOWE2YzJhMDIyYjJjZDhjZjk1YzcyMjkxMDRiM2Q3YWRkNWY1MjEzNTIifQ."
    "j8mJ6i09kXYVTPBtIdE3jWUGSip2Sgmt21lJHuhFB3g"
)
HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {
    "iss": "Vonage",
    "iat": NOW_S,
    "jti": "j1",
    "api_key": "abc",
    "application_id": "app1",
    "payload_hash": HASH,
}

GOOD: dict[str, Any] = {
    "secret": SECRET,
    "authorization": f"Bearer {TOKEN}",
    "body": BODY,
    "now_s": NOW_S + 0.5,
}


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def bearer(
    claims: Any = CLAIMS,
    header: Any = HEADER,
    *,
    secret: str = SECRET,
    digest: str = "sha256",
) -> dict[str, str]:
    """Make a token according to RFC 7519, independently of the library under test."""
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    text = ".".join(map(base64url, parts))
    mac = base64url(hmac.digest(secret.encode(), text.encode(), digest))
    return {"authorization": f"Bearer {text}.{mac}"}


def claims(**changes: Any) -> dict[str, str]:
    return bearer(CLAIMS | changes)


def without(name: str) -> dict[str, str]:
    return bearer({key: value for key, value in CLAIMS.items() if key != name})


def test_vector_is_reproduced_and_accepted() -> None:
    assert hashlib.sha256(BODY).hexdigest() == HASH
    assert bearer() == {"authorization": f"Bearer {TOKEN}"}
    assert verify(**GOOD) == "j1"


@pytest.mark.parametrize("secret", ["s", "s" * 31, "s" * 32, "s" * 64, "s" * 65, "é"])
def test_secret_may_have_any_length(secret: str) -> None:
    assert refusal(verify, GOOD, secret=secret, **bearer(secret=secret)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"authorization": f"bearer  {TOKEN}"},
        claims(iat=NOW_S + 0.25),
        claims(exp=1, nbf=1 << 40),  # only `iat` is checked
        bearer(header={"alg": "HS256"}),
    ],
)
def test_header_and_claim_variants_are_accepted(changes: dict[str, str]) -> None:
    assert refusal(verify, GOOD, **changes) is None


@every_clock
def test_timestamp_tolerance(now_s: float, reason: str | None) -> None:
    assert refusal(verify, GOOD, now_s=now_s) == reason


FORGERIES: Forgeries = {
    "missing": ({"authorization": None}, "signature-missing"),
    "empty": ({"authorization": ""}, "signature-missing"),
    "no token": ({"authorization": "Bearer "}, "signature-invalid"),
    "another scheme": ({"authorization": f"Basic {TOKEN}"}, "signature-invalid"),
    "no scheme": ({"authorization": TOKEN}, "signature-invalid"),
    "garbage": ({"authorization": "Bearer garbage"}, "signature-invalid"),
    "dots": ({"authorization": "Bearer .."}, "signature-invalid"),
    "not text": ({"authorization": f"Bearer \udcff{TOKEN}"}, "signature-invalid"),
    "too long": (claims(more="x" * 2048), "signature-invalid"),
    "nested without end": (bearer(json.loads("[" * 900 + "]" * 900)), "signature-invalid"),
    "cut": ({"authorization": f"Bearer {TOKEN[:-1]}"}, "signature-invalid"),
    "unsigned": (
        {"authorization": f"Bearer {TOKEN.rpartition('.')[0]}."},
        "signature-invalid",
    ),
    "none": (bearer(header={"alg": "none"}), "signature-invalid"),
    "none, unsigned": (
        {"authorization": bearer(header={"alg": "none"})["authorization"].rpartition(".")[0] + "."},
        "signature-invalid",
    ),
    "HS384": (bearer(header={"alg": "HS384"}, digest="sha384"), "signature-invalid"),
    "HS512": (bearer(header={"alg": "HS512"}, digest="sha512"), "signature-invalid"),
    "RS256": (bearer(header={"alg": "RS256"}), "signature-invalid"),
    "no algorithm": (bearer(header={}), "signature-invalid"),
    "body elsewhere": (
        bearer(header=HEADER | {"b64": False, "crit": ["b64"]}),
        "signature-invalid",
    ),
    "wrong secret": (bearer(secret="other"), "signature-invalid"),
    "no secret": (bearer(secret=""), "signature-invalid"),
    "claims altered": (
        {"authorization": f"Bearer {TOKEN.replace('ImoxI', 'ImoyI')}"},
        "signature-invalid",
    ),
    "stale": ({"now_s": NOW_S + 3600}, "signature-stale"),
    "from the future": ({"now_s": NOW_S - 3600}, "signature-stale"),
    "beyond a narrower tolerance": (
        {"now_s": NOW_S + 31, "tolerance_s": 30},
        "signature-stale",
    ),
    "wrong secret and stale": (
        {"secret": "other", "now_s": NOW_S + 3600},
        "signature-invalid",
    ),
    "no time": (without("iat"), "signature-invalid"),
    "time as text": (claims(iat="1700000000"), "signature-invalid"),
    "time without end": (claims(iat=10**400), "signature-stale"),
    "time infinite": (claims(iat=float("inf")), "signature-stale"),
    "time not a number": (claims(iat=float("nan")), "signature-stale"),
    "no id": (without("jti"), "signature-invalid"),
    "empty id": (claims(jti=""), "signature-invalid"),
    "id not text": (claims(jti=1), "signature-invalid"),
    "id not ASCII": (claims(jti="\ud800"), "signature-invalid"),
    "no issuer": (without("iss"), "signature-invalid"),
    "another issuer": (claims(iss="Vonagé"), "signature-invalid"),
    "issuers": (claims(iss=["Vonage"]), "signature-invalid"),
    "for somebody else": (claims(aud="other"), "signature-invalid"),
    "no hash": (without("payload_hash"), "signature-invalid"),
    "hash not text": (claims(payload_hash=None), "signature-invalid"),
    "hash not ASCII": (claims(payload_hash="é"), "signature-invalid"),
    "another request's": (
        claims(payload_hash=hashlib.sha256(b"{}").hexdigest()),
        "signature-invalid",
    ),
    "body altered": ({"body": BODY + b" "}, "signature-invalid"),
    "body gone": ({"body": b""}, "signature-invalid"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_forged_request_is_rejected(changes: dict[str, Any], reason: str) -> None:
    assert refusal(verify, GOOD, **changes) == reason


@given(header=headers_like(GOOD["authorization"]), body=st.binary(max_size=16) | st.just(BODY))
def test_only_the_signed_body_is_accepted(header: str | None, body: bytes) -> None:
    reason = refusal(verify, GOOD, authorization=header, body=body)
    assert reason in DOCUMENTED
    if reason is None:
        assert body == BODY


json_values: st.SearchStrategy[Any] = (
    st.sampled_from([None, True, 0, -1, 10**400, 0.5, float("nan"), float("inf"), {}, {"a": []}])
    | st.text(max_size=8)
    | st.lists(st.text(max_size=3) | st.none(), max_size=2)
)
registered = ["iss", "iat", "jti", "payload_hash", "exp", "nbf", "aud", "sub"]


@given(
    changes=st.dictionaries(st.sampled_from(registered), json_values, max_size=3),
    header=st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk"]), json_values, max_size=3
    ),
)
def test_arbitrary_signed_claims_have_a_documented_outcome(
    changes: dict[str, Any], header: dict[str, Any]
) -> None:
    assert refusal(verify, GOOD, **bearer(CLAIMS | changes, HEADER | header)) in DOCUMENTED
