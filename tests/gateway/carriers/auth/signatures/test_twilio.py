"""Twilio's signature: the vendor's vector, the URL's spellings, forgeries."""

from typing import Any

import pytest
from hypothesis import given

from gateway.carriers.auth.signatures.twilio import sign, verify
from tests.gateway.carriers.auth.signatures.outcomes import (
    DOCUMENTED,
    Forgeries,
    forms,
    headers_like,
    refusal,
    wire_texts,
)

TOKEN = "12345"
# The request of Twilio's security page.
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
UPGRADE_URL = "wss://gw.example.com/v1/twilio"
UPGRADE_SIGNATURE = "I6HLRctYbbLJuZaqBSpks+hxwXo="

POST: dict[str, Any] = {"auth_token": TOKEN, "url": URL, "signature": SIGNATURE, "form": FORM}
UPGRADE = {"auth_token": TOKEN, "url": UPGRADE_URL, "signature": UPGRADE_SIGNATURE}


def test_vectors_are_reproduced_and_accepted() -> None:
    assert sign(TOKEN, URL, FORM) == SIGNATURE
    assert sign(TOKEN, UPGRADE_URL) == UPGRADE_SIGNATURE
    assert refusal(verify, POST) is None
    assert refusal(verify, UPGRADE) is None


def test_fields_are_sorted_and_equal_fields_count_once() -> None:
    assert sign(TOKEN, URL, reversed(FORM)) == SIGNATURE
    assert sign(TOKEN, URL, [*FORM, FORM[0]]) == SIGNATURE
    assert sign(TOKEN, URL, [("a", "2"), ("a", "1")]) == sign(TOKEN, URL + "a1a2")


@pytest.mark.parametrize(
    ("signed", "configured"),
    [
        ("https://gw.example.com/voice", "https://gw.example.com/voice"),
        ("https://gw.example.com:443/voice", "https://gw.example.com/voice"),
        ("https://gw.example.com/voice", "https://gw.example.com:443/voice"),
        ("https://gw.example.com/voice", "https://gw.example.com:8443/voice"),
        ("https://gw.example.com:8443/voice", "https://gw.example.com:8443/voice"),
        ("wss://gw.example.com:8443/media", "wss://gw.example.com:8443/media"),
        ("wss://gw.example.com/media", "wss://gw.example.com:8443/media"),
        ("wss://gw.example.com:443/media", "wss://gw.example.com/media"),
    ],
)
def test_url_is_accepted_with_and_without_the_port(signed: str, configured: str) -> None:
    verify(TOKEN, configured, sign(TOKEN, signed))


FORGERIES: Forgeries = {
    "missing": ({"signature": None}, "signature-missing"),
    "empty": ({"signature": ""}, "signature-missing"),
    "garbage": ({"signature": "garbage"}, "signature-invalid"),
    "not ASCII": ({"signature": "é" + SIGNATURE[1:]}, "signature-invalid"),
    "not text": ({"signature": "\udcff" + SIGNATURE[1:]}, "signature-invalid"),
    "cut": ({"signature": SIGNATURE[:-1]}, "signature-invalid"),
    "right and more": ({"signature": SIGNATURE + ","}, "signature-invalid"),
    "wrong secret": ({"auth_token": "54321"}, "signature-invalid"),
    "another request's": ({"signature": UPGRADE_SIGNATURE}, "signature-invalid"),
    "field gone": ({"form": FORM[1:]}, "signature-invalid"),
    "field more": ({"form": [*FORM, ("Extra", "1")]}, "signature-invalid"),
    "field altered": ({"form": [*FORM[:-1], ("To", "+18005551213")]}, "signature-invalid"),
    "path": ({"url": URL.replace("myapp", "yourapp")}, "signature-invalid"),
    "slash": ({"url": "https://mycompany.com/myapp.php/?foo=1&bar=2"}, "signature-invalid"),
    "query": ({"url": URL + "&baz=3"}, "signature-invalid"),
    "query reordered": ({"url": URL.replace("foo=1&bar=2", "bar=2&foo=1")}, "signature-invalid"),
    "scheme": ({"url": URL.replace("https", "http")}, "signature-invalid"),
    "host a proxy made": ({"url": URL.replace("mycompany.com", "10.0.0.7")}, "signature-invalid"),
    "another port's": (
        {"signature": sign(TOKEN, URL.replace(".com", ".com:8443"), FORM)},
        "signature-invalid",
    ),
    "https for an upgrade": (
        {**UPGRADE, "form": (), "signature": "knV7aBKY0V9mFKgz/XEq2BCsCKw="},
        "signature-invalid",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_forged_request_is_rejected(changes: dict[str, Any], reason: str) -> None:
    assert refusal(verify, POST, **changes) == reason


@given(signature=headers_like(SIGNATURE))
def test_only_the_exact_signature_is_accepted(signature: str | None) -> None:
    reason = refusal(verify, POST, signature=signature)
    assert reason in DOCUMENTED
    assert (reason is None) == (signature == SIGNATURE)


@given(query=wire_texts, form=forms)
def test_arbitrary_bytes_can_be_signed(query: str, form: list[tuple[str, str]]) -> None:
    url = f"{UPGRADE_URL}?{query}"
    signature = sign(TOKEN, url, form)
    assert refusal(verify, POST, url=url, form=form, signature=signature) is None
