"""ID tokens and discovery documents: what is accepted, and every way in which one is refused."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from common.openid import read_keys
from workers.relay.sign_in.openid_connect import (
    KEY_KINDS,
    Client,
    Keys,
    UnknownKeyError,
    read_metadata,
    token_request,
    verify,
)
from workers.relay.sign_in.refusal import SignInError

NOW_S = 1_700_000_000
ISSUER = "https://id.example.com/"
CLIENT = Client("relay", "hush", "https://relay.example.com/sign-in/oidc/callback", "openid")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "7",
    "aud": "relay",
    "nonce": "n1",
    "iat": NOW_S,
    "exp": NOW_S + 300,
}
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}authorize",
    "token_endpoint": f"{ISSUER}token",
    "jwks_uri": f"{ISSUER}keys",
    "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
}


def metadata_of(**changes: Any) -> Any:
    document = {name: each for name, each in {**DOCUMENT, **changes}.items() if each is not None}
    return read_metadata(json.dumps(document).encode(), ISSUER)


def published(**keys: Any) -> Keys:
    algorithms = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    found = []
    for kid, key in keys.items():
        algorithm = next(each for kind, each in algorithms.items() if isinstance(key, kind))
        jwk: Any = algorithm.to_jwk(key.public_key(), as_dict=True)  # type: ignore[attr-defined]
        found.append({**jwk, "kid": kid})
    return read_keys(json.dumps({"keys": found}).encode(), *KEY_KINDS)


KEYS = published(r=RSA, e=EC, d=ED)


def token(key: Any = RSA, algorithm: str = "RS256", kid: Any = "r", **changes: Any) -> str:
    claims = {name: each for name, each in {**CLAIMS, **changes}.items() if each is not None}
    return jwt.encode(claims, key, algorithm, {"kid": kid} if kid else {})


def check(text: str, now_s: float = NOW_S, **changes: Any) -> dict[str, Any]:
    return verify(text, KEYS, metadata_of(**changes), CLIENT, "n1", now_s)


@pytest.mark.parametrize(
    "text",
    [
        token(),
        token(EC, "ES256", "e"),
        token(ED, "EdDSA", "d"),
        token(aud=["relay", "other"], azp="relay"),
        token(iat=NOW_S + 60),
        token(exp=NOW_S - 59),
        token(nbf=NOW_S + 60),
    ],
)
def test_valid_token_is_accepted(text: str) -> None:
    assert check(text)["sub"] == "7"


@pytest.mark.parametrize(
    "text",
    [
        token(EC, "ES256", "r"),
        token(EC, "ES256", "d"),
        token(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        token("k" * 32, "HS256"),
        token(RSA, "RS512"),
        token(None, "none"),
        token(iss="https://evil.example.com/"),
        token(iss=ISSUER.rstrip("/")),
        token(aud="other"),
        token(aud=["other"]),
        token(aud=["relay", "other"], azp="other"),
        token(nonce="n2"),
        token(nonce=None),
        token(nonce=["n1"]),
        token(nonce="\ud800"),
        token(exp=NOW_S - 60),
        token(exp=None),
        token(exp="never"),
        token(iat=NOW_S + 61),
        token(iat=None),
        token(nbf=NOW_S + 61),
        token(nbf="x"),
        token(sub=None),
        "",
        "a.b.c",
        "ä",
        "a" * 70_000,
    ],
)
def test_wrong_token_is_refused(text: str) -> None:
    with pytest.raises(SignInError) as caught:
        check(text)
    assert caught.value.reason == "token-invalid"


@pytest.mark.parametrize("kid", ["new", None])
def test_token_of_an_unknown_key_may_be_of_a_new_key(kid: str | None) -> None:
    with pytest.raises(UnknownKeyError):
        check(token(kid=kid))


def test_token_names_no_key_if_there_is_only_one() -> None:
    nameless, metadata = token(kid=None), metadata_of()
    assert verify(nameless, published(r=RSA), metadata, CLIENT, "n1", NOW_S)["sub"] == "7"
    replaced = published(r=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    with pytest.raises(UnknownKeyError):
        verify(nameless, replaced, metadata, CLIENT, "n1", NOW_S)


def test_algorithm_must_be_in_the_document() -> None:
    with pytest.raises(SignInError):
        check(token(EC, "ES256", "e"), id_token_signing_alg_values_supported=["RS256"])


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://id.example.com"},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": None},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    ],
)
def test_wrong_document_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        metadata_of(**changes)


@pytest.mark.parametrize(
    ("secret", "methods", "is_basic", "in_form"),
    [
        ("hush", None, True, set()),
        ("hush", ["client_secret_post"], False, {"client_id", "client_secret"}),
        (None, None, False, {"client_id"}),
    ],
)
def test_client_authenticates_as_the_document_says(
    secret: str | None, methods: list[str] | None, is_basic: bool, in_form: set[str]
) -> None:
    client = Client("relay", secret, "https://r", "openid")
    metadata = metadata_of(token_endpoint_auth_methods_supported=methods)
    headers, form = token_request(metadata, client, "c", "v")
    assert ("Authorization" in headers) == is_basic
    assert form.keys() - {"grant_type", "code", "redirect_uri", "code_verifier"} == in_form
    assert "hush" not in repr(client)
