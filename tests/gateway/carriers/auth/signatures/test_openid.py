"""JWTs that are verified with keys published by their issuer."""

import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.carriers.auth.signatures.openid import OpenIdKeys
from gateway.errors import CarrierError

NOW_S: Final = 1_700_000_000
ISSUER: Final = "https://issuer.example.com"
URL: Final = f"{ISSUER}/.well-known/openid-configuration"
RESOURCE: Final = "0a1b-resource"
KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "aud": RESOURCE,
    "nbf": NOW_S,
    "exp": NOW_S + 300,
}


def configuration(url: str = ISSUER) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": f"{url}/keys"}).encode()


def key_set(**keys: rsa.RSAPrivateKey) -> bytes:
    published = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid}
        for kid, key in keys.items()
    ]
    return json.dumps({"keys": published}).encode()


def shown(key: Any = KEY, kid: str | None = "k1", algorithm: str = "RS256", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    headers = {} if kid is None else {"kid": kid}
    return f"Bearer {jwt.encode(claims, key, algorithm, headers)}"


def keys() -> OpenIdKeys:
    made = OpenIdKeys(URL, RESOURCE)
    assert made.read_configuration(configuration()) == f"{ISSUER}/keys"
    made.read_keys(key_set(k1=KEY))
    return made


@pytest.mark.parametrize("later_s", [-299, 0, 599])
def test_token_is_valid_until_it_expires_plus_tolerance(later_s: int) -> None:
    once, until_s = keys().verify(shown(), NOW_S + later_s)
    assert len(once) == 64
    assert until_s == NOW_S + 600


def test_different_tokens_have_different_digests() -> None:
    ring = keys()
    first, second = (ring.verify(shown(jti=jti), NOW_S)[0] for jti in "ab")
    assert first != second


@pytest.mark.parametrize("spelling", ["Bearer {}==", "Bearer {} ", "Bearer   {}", "bEARER {}"])
def test_other_spellings_of_a_token_have_the_same_digest(spelling: str) -> None:
    """Symptom to prevent: each spelling of a token is accepted once."""
    ring, authorization = keys(), shown()
    other = spelling.format(authorization.removeprefix("Bearer "))
    assert ring.verify(other, NOW_S) == ring.verify(authorization, NOW_S)


def test_several_audiences_and_missing_nbf_are_accepted() -> None:
    keys().verify(shown(aud=["another", RESOURCE], nbf=None), NOW_S)


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "signature-missing"),
        ("", "signature-missing"),
        (shown().replace("Bearer", "Basic"), "signature-invalid"),
        ("Bearer", "signature-invalid"),
        ("Bearer x.y.z", "signature-invalid"),
        ("Bearer " + "x" * 9000, "signature-invalid"),
        (shown()[:-4] + "AAAA", "signature-invalid"),
        (shown(OTHER_KEY), "signature-invalid"),
        (shown(kid="k2"), "signature-invalid"),
        (shown(kid=None), "signature-invalid"),
        (shown(algorithm="RS512"), "signature-invalid"),
        (shown("", algorithm="none"), "signature-invalid"),
        (shown("a" * 32, algorithm="HS256"), "signature-invalid"),
        (shown(iss="https://another.example.com"), "signature-invalid"),
        (shown(iss=None), "signature-invalid"),
        (shown(aud="another"), "signature-invalid"),
        (shown(aud=None), "signature-invalid"),
        (shown(exp=None), "signature-invalid"),
        (shown(exp="soon"), "signature-invalid"),
        (shown(exp=NOW_S - 301), "signature-stale"),
        (shown(nbf=NOW_S + 301), "signature-stale"),
    ],
)
def test_forged_token_is_rejected(authorization: str | None, reason: str) -> None:
    with pytest.raises(CarrierError) as refused:
        keys().verify(authorization, NOW_S)
    assert refused.value.reason == reason


def test_token_is_rejected_before_keys_were_read() -> None:
    with pytest.raises(CarrierError, match="keys-unavailable"):
        OpenIdKeys(URL, RESOURCE).verify(shown(), NOW_S)


def test_unknown_key_calls_on_unknown() -> None:
    ring, unknown = keys(), []
    ring.on_unknown = lambda: unknown.append(1)
    ring.verify(shown(), NOW_S)
    assert not unknown
    with pytest.raises(CarrierError, match="signature-invalid"):
        ring.verify(shown(OTHER_KEY, kid="k2"), NOW_S)
    assert unknown
    ring.read_keys(key_set(k2=OTHER_KEY))
    ring.verify(shown(OTHER_KEY, kid="k2"), NOW_S)
    with pytest.raises(CarrierError, match="signature-invalid"):
        ring.verify(shown(), NOW_S)  # signed with a withdrawn key


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b"\xff", configuration("http://issuer.example.com")]
)
def test_invalid_configuration_is_rejected(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever the libraries say
        OpenIdKeys(URL, RESOURCE).read_configuration(document)


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"[]", b"{}", b"\xff", b'{"keys": [{}]}', b'{"keys": [7]}'),
        json.dumps({"keys": [{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}]}).encode(),
    ],
)
def test_invalid_key_set_keeps_the_previous_keys(document: bytes) -> None:
    ring = keys()
    with pytest.raises(ValueError):  # noqa: PT011  # whatever the libraries say
        ring.read_keys(document)
    ring.verify(shown(), NOW_S)
