"""Several secrets of one carrier: all are accepted, the first one makes tokens."""

import base64
import os
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.settings import SettingsError, load
from gateway.carriers.auth import http_signature
from gateway.carriers.auth.signatures import jambonz, plivo, signalwire, telnyx, twilio, vonage
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier
from gateway.carriers.events import CallStarted
from gateway.carriers.registry import CARRIERS
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.carriers.vendors.twilio import Twilio
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, basic, link, upgrade, upgrade_of

OLD, NEW = "last-year-s-secret-of-the-operator", "this-year-s-secret-of-the-operator"
QUERY = "mix=stereo"  # required by FreeSWITCH, ignored by the others
AUTHENTICATED: list[Any] = [
    carrier for carrier in CARRIERS if AuthenticatedCarrier in carrier.__mro__
]
each = pytest.mark.parametrize("kind", AUTHENTICATED, ids=lambda kind: kind.name)
EXPERIMENTAL = {"cxone": {"experimental": True}}


def made(kind: Any, secret: str) -> Any:
    given = {"_env_file": None, "secret": secret, **EXPERIMENTAL.get(kind.name, {})}
    return kind(kind.Settings(**given))


@each
@pytest.mark.parametrize("both", [f"{NEW},{OLD}", f" {NEW} , {OLD} ", f'["{NEW}", "{OLD}"]'])
def test_every_listed_secret_is_accepted(kind: Any, both: str) -> None:
    """Symptom: while a secret was rotated, calls were rejected."""
    carrier = made(kind, both)
    for secret in (OLD, NEW):
        for shown in (f"Bearer {secret}", basic(secret)):
            carrier.upgrade(upgrade(kind.name, query=QUERY, Authorization=shown))
    listed = upgrade(kind.name, query=QUERY, Authorization=f"Bearer {NEW},{OLD}")
    with pytest.raises(CarrierError, match="token-invalid"):
        carrier.upgrade(listed)


@each
def test_first_secret_makes_tokens_and_all_secrets_verify_them(kind: Any) -> None:
    """Gateways with the old and the new list have to accept each other's tokens."""
    old, both, new = (made(kind, secret) for secret in (OLD, f"{NEW},{OLD}", NEW))
    for maker, accepts, refuses in ((old, (old, both), (new,)), (both, (both, new), (old,))):
        url = maker.authenticator.url_with_token(link(kind.name), "c1", NOW_S) + f"?{QUERY}"
        for carrier in accepts:
            carrier.upgrade(upgrade_of(url)).authorize(CallStarted("c1", "s1", ()))
        for carrier in refuses:
            with pytest.raises(CarrierError, match="token-invalid"):
                carrier.upgrade(upgrade_of(url))


@pytest.mark.parametrize("shown", [OLD, NEW])
def test_every_scheme_accepts_any_of_several(shown: str) -> None:
    """Symptom: only the main account's token was accepted, but sub-accounts have their own."""
    both, url, body, stamp = [NEW, OLD], "https://gw.example.com/voice", b"{}", str(int(NOW_S))
    assert twilio.verify(both, url, twilio.sign(shown, url))
    headers = {"X-SignalWire-Signature": signalwire.sign(shown, url)}
    assert signalwire.verify(both, url, headers, b"", [])
    assert plivo.verify(both, url, plivo.sign(shown, url, "1234"), "1234")
    assert jambonz.verify(both, f"t={stamp},v1={jambonz.sign(shown, stamp, body)}", body, NOW_S)
    claims = {"iss": "Vonage", "iat": NOW_S, "jti": "j", "payload_hash": sha256(body).hexdigest()}
    assert vonage.verify(both, f"Bearer {jwt.encode(claims, shown)}", body, NOW_S)
    keys = {name: Ed25519PrivateKey.from_private_bytes(name.encode()[:16] * 2) for name in both}
    signature = base64.b64encode(keys[shown].sign(stamp.encode() + b"|" + body)).decode()
    public = [key.public_key() for key in keys.values()]
    assert telnyx.verify(public, signature, stamp, body, NOW_S)


def test_genesys_api_key_may_have_several_secrets() -> None:
    """Symptom: a client secret of an API key could not be rotated."""
    secrets = [base64.b64encode(secret.encode()).decode() for secret in (NEW, OLD)]
    api_keys = f'{{"key-1": "{secrets[0]}, {secrets[1]}"}}'
    carrier = Genesys(Genesys.Settings(_env_file=None, api_keys=api_keys))
    names: dict[str, Any] = {
        "audiohook-organization-id": "o1",
        "audiohook-session-id": "s1",
        "audiohook-correlation-id": "c1",
        "x-api-key": "key-1",
    }
    for secret, is_known in ((OLD, True), (NEW, True), ("some-other-secret-of-a-key", False)):
        signed: dict[str, Any] = http_signature.sign(
            names,
            "/media/genesys",
            "gw.example.com",
            secret.encode(),
            nonce="n" * 22,
            created_s=int(NOW_S),
            expires_s=int(NOW_S) + 10,
        )
        asked = upgrade("genesys", **names, **signed)
        if is_known:
            carrier.upgrade(asked)
        else:
            with pytest.raises(CarrierError, match="signature-invalid"):
                carrier.upgrade(asked)


@pytest.mark.parametrize("kind", [Twilio, Plivo], ids=lambda kind: kind.name)
def test_upgrades_signed_by_any_of_several_auth_tokens_are_accepted(kind: Any) -> None:
    carrier = kind(kind.Settings(_env_file=None, auth_token=f"{OLD},{NEW}"))
    url = upgrade(kind.name).url
    for token in (OLD, NEW):
        headers: dict[str, Any]
        if kind is Twilio:
            headers = {"X-Twilio-Signature": twilio.sign(token, url)}
        else:
            signature = plivo.sign(token, url, "1")
            headers = {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": "1"}
        carrier.upgrade(upgrade(kind.name, **headers))


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        *((kind, "secret", f"{OLD},short") for kind in AUTHENTICATED),
        *((kind, "secret", f"{OLD},") for kind in AUTHENTICATED),
        *((kind, "secret", f'["{OLD}"') for kind in AUTHENTICATED),
        *((kind, "secret", "[1]") for kind in AUTHENTICATED),
        (Twilio, "auth_token", f"{OLD},,{NEW}"),
        (Telnyx, "public_key", f"{OLD},{NEW}"),
        (Twilio, "auth_token", ",".join(f"{OLD}{n}" for n in range(65))),
    ],
)
def test_settings_error_does_not_quote_the_secret(
    kind: Any, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"GATEWAY_{kind.name.upper()}_{name.upper()}"
    monkeypatch.setitem(os.environ, variable, text)
    with pytest.raises(SettingsError) as caught:
        load(kind.Settings)
    assert str(caught.value).startswith(f"{variable}: ")
    assert OLD not in str(caught.value)
    assert "short" not in str(caught.value)


def test_settings_repr_contains_no_secret() -> None:
    for kind in CARRIERS:
        fields = {name for name in kind.Settings.model_fields if "secret" in name}
        settings = kind.Settings(_env_file=None, **dict.fromkeys(fields, f"{OLD},{NEW}"))
        assert OLD not in repr(settings)
