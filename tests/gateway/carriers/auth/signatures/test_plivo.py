"""Plivo's signature: vectors of the vendor's SDK, the signed text, forgeries."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given

from gateway.carriers.auth.signatures.plivo import sign, verify
from tests.gateway.carriers.auth.signatures.outcomes import (
    DOCUMENTED,
    Forgeries,
    forms,
    headers_like,
    refusal,
    wire_texts,
)

TOKEN = "tok"
NONCE = "12345"
URL = "https://gw.example.com/plivo/answer?a=1"
FORM = [("CallUUID", "u"), ("From", "1")]
SIGNATURE = "xgyI1Kn16zC4HgndpEVorNIQ259kX9VT8HVmKK1dGbU="
UPGRADE_URL = "wss://gw.example.com/v1/plivo"
UPGRADE_SIGNATURE = "ef/2N3EkNvtMBwhhvf2IrWpdLmZry7rMVzaseafdMAA="

POST: dict[str, Any] = {
    "auth_token": TOKEN,
    "url": URL,
    "signature": SIGNATURE,
    "nonce": NONCE,
    "form": FORM,
}
UPGRADE = POST | {"url": UPGRADE_URL, "signature": UPGRADE_SIGNATURE, "form": ()}


def hmac_of(text: str) -> str:
    digest = hmac.digest(TOKEN.encode(), text.encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def test_vectors_are_reproduced_and_accepted() -> None:
    assert sign(TOKEN, URL, NONCE, FORM) == SIGNATURE
    assert sign(TOKEN, UPGRADE_URL, NONCE) == UPGRADE_SIGNATURE
    assert verify(**POST) == NONCE
    assert verify(**UPGRADE) == NONCE


@pytest.mark.parametrize(
    ("url", "form", "signed"),
    [
        ("https://h/p", [], "https://h/p"),
        ("https://h/p?", [], "https://h/p"),
        ("https://h/p?b=2&a=1", [], "https://h/p?a=1&b=2"),
        ("https://h/p?a=2&a=1&c", [], "https://h/p?a=1&a=2&c="),
        ("https://h/p?a=x%20y%2Bz+w", [], "https://h/p?a=x y+z w"),
        ("https://h/p", [("To", "2"), ("From", "1")], "https://h/p?From1To2"),
        ("https://h/p?b=2&a=1", [("k", "")], "https://h/p?a=1&b=2.k"),
        ("https://h/p", [("k", "2"), ("k", "1"), ("k", "1")], "https://h/p?k1k1k2"),
        ("https://h:8443/p", [("k", "é")], "https://h:8443/p?ké"),
    ],
)
def test_signed_text_is_canonical_url_form_and_nonce(
    url: str, form: list[tuple[str, str]], signed: str
) -> None:
    assert sign(TOKEN, url, NONCE, form) == hmac_of(f"{signed}.{NONCE}")


def test_upgrade_may_be_signed_with_wss_or_https() -> None:
    https = sign(TOKEN, UPGRADE_URL.replace("wss:", "https:"), NONCE)
    assert refusal(verify, UPGRADE, signature=https) is None
    http = sign(TOKEN, "http://gw.example.com/v1/plivo", NONCE)
    assert refusal(verify, UPGRADE, signature=http) == "signature-invalid"
    assert refusal(verify, UPGRADE, signature=http, url="ws://gw.example.com/v1/plivo") is None


@pytest.mark.parametrize(
    "signature", [f"x,{SIGNATURE}", f"{SIGNATURE},x", f"x, {SIGNATURE} ,", f"a,b,c,{SIGNATURE}"]
)
def test_one_of_several_signatures_suffices(signature: str) -> None:
    assert refusal(verify, POST, signature=signature) is None


FORGERIES: Forgeries = {
    "missing": ({"signature": None}, "signature-missing"),
    "empty": ({"signature": ""}, "signature-missing"),
    "nonce missing": ({"nonce": None}, "signature-missing"),
    "nonce empty": ({"nonce": ""}, "signature-missing"),
    "nonce altered": ({"nonce": "12346"}, "signature-invalid"),
    "nonce not ASCII": ({"nonce": "١٢٣٤٥"}, "signature-invalid"),
    "nonce without end": ({"nonce": "1" * 129}, "signature-invalid"),
    "garbage": ({"signature": "garbage"}, "signature-invalid"),
    "commas": ({"signature": "," * 50}, "signature-invalid"),
    "not text": ({"signature": "\udcff" + SIGNATURE[1:]}, "signature-invalid"),
    "among too many": ({"signature": f"a,b,c,d,{SIGNATURE}"}, "signature-invalid"),
    "too long": ({"signature": SIGNATURE + 300 * " "}, "signature-invalid"),
    "wrong secret": ({"auth_token": "kot"}, "signature-invalid"),
    "another request's": ({"signature": UPGRADE_SIGNATURE}, "signature-invalid"),
    "body altered": ({"form": [("CallUUID", "u"), ("From", "2")]}, "signature-invalid"),
    "body gone": ({"form": []}, "signature-invalid"),
    "path": ({"url": "https://gw.example.com/plivo/other?a=1"}, "signature-invalid"),
    "slash": ({"url": "https://gw.example.com/plivo/answer/?a=1"}, "signature-invalid"),
    "query": ({"url": URL + "&b=2"}, "signature-invalid"),
    "query gone": ({"url": URL.partition("?")[0]}, "signature-invalid"),
    "scheme": ({"url": URL.replace("https", "http")}, "signature-invalid"),
    "wss for a webhook": (
        {"signature": sign(TOKEN, URL.replace("https", "wss"), NONCE, FORM)},
        "signature-invalid",
    ),
    "host a proxy made": ({"url": URL.replace("gw.example.com", "10.0.0.7")}, "signature-invalid"),
    "port": ({"url": URL.replace(".com", ".com:8443")}, "signature-invalid"),
    "SHA-1": (
        {"signature": base64.b64encode(hmac.digest(b"tok", b"x", "sha1")).decode()},
        "signature-invalid",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_forged_request_is_rejected(changes: dict[str, Any], reason: str) -> None:
    assert refusal(verify, POST, **changes) == reason


def test_end_of_form_cannot_be_moved_into_the_nonce() -> None:
    """Symptom to prevent: a captured request is replayed with another nonce."""
    form = [("Version", "1.0")]
    signature = sign(TOKEN, URL, NONCE, form)
    moved = {"form": [("Version", "1")], "nonce": f"0.{NONCE}", "signature": signature}
    assert sign(TOKEN, URL, f"0.{NONCE}", [("Version", "1")]) == signature
    assert refusal(verify, POST, **moved) == "signature-invalid"


@given(signature=headers_like(SIGNATURE), nonce=headers_like(NONCE))
def test_only_headers_with_the_right_signature_and_nonce_are_accepted(
    signature: str | None, nonce: str | None
) -> None:
    reason = refusal(verify, POST, signature=signature, nonce=nonce)
    assert reason in DOCUMENTED
    if reason is None:
        assert nonce == NONCE
        assert signature is not None
        assert SIGNATURE in signature


@given(query=wire_texts, form=forms)
def test_arbitrary_bytes_can_be_signed(query: str, form: list[tuple[str, str]]) -> None:
    url = f"{UPGRADE_URL}?{query}"
    signature = sign(TOKEN, url, NONCE, form)
    assert refusal(verify, POST, url=url, form=form, signature=signature) is None
