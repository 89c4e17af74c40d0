"""SignalWire's signatures: the vendor's vectors, repeated fields, JSON, forgeries."""

import hashlib
from typing import Any

import pytest
from hypothesis import given

from gateway.carriers.auth.signatures import twilio
from gateway.carriers.auth.signatures.signalwire import sign, sign_body, verify
from tests.gateway.carriers.auth.signatures.outcomes import DOCUMENTED, forms, headers_like, refusal

# Source of the three vectors: signalwire/signalwire-typescript, tests/WebhookValidator.test.ts.
KEY = "PSKtest1234567890abcdef"
URL = "https://example.ngrok.io/webhook"
JSON = b'{"event":"call.state","params":{"call_id":"abc-123","state":"answered"}}'
JSON_SIGNATURE = "c3c08c1fefaf9ee198a100d5906765a6f394bf0f"

FORM_KEY = "12345"
FORM_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
FORM_SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

HASHED = b'{"event":"call.state"}'
HASHED_URL = f"{URL}?bodySHA256=69f3cbfc18e386ef8236cb7008cd5a54b7fed637a8cb3373b5a1591d7f0fd5f4"
HASHED_SIGNATURE = "dfO9ek8mxyFtn2nMz24plPmPfIY="


def shown(signature: str, name: str = "X-SignalWire-Signature") -> dict[str, str]:
    return {name: signature}


def asked(**changed: Any) -> dict[str, Any]:
    """Return the request of the vendor's vector, with changes."""
    right = {"key": FORM_KEY, "url": FORM_URL, "headers": shown(FORM_SIGNATURE), "body": b""}
    return right | {"form": FORM} | changed


AS_JSON = {"key": KEY, "url": URL, "headers": shown(JSON_SIGNATURE), "body": JSON, "form": None}
AS_HASHED = {
    "key": KEY,
    "url": HASHED_URL,
    "headers": shown(HASHED_SIGNATURE),
    "body": HASHED,
    "form": None,
}


@pytest.mark.parametrize("request_", [asked(), AS_JSON, AS_HASHED], ids=["form", "json", "hash"])
def test_vectors_are_accepted_under_both_header_names(request_: dict[str, Any]) -> None:
    assert refusal(verify, request_) is None
    twilios_name = {"X-Twilio-Signature": next(iter(request_["headers"].values()))}
    assert refusal(verify, request_ | {"headers": twilios_name}) is None


def test_repeated_fields_are_signed_in_order_and_kept() -> None:
    """Symptom: a form with a repeated field was verified by Twilio's rule, and rejected."""
    repeated = [("To", "b"), ("A", "1"), ("To", "a"), ("To", "b")]
    expected = sign(KEY, f"{URL}A1TobToaTob")
    assert sign(KEY, URL, repeated) == expected
    assert refusal(verify, asked(key=KEY, url=URL, headers=shown(expected), form=repeated)) is None
    by_twilios_rule = twilio.sign(KEY, URL, repeated)
    assert by_twilios_rule != expected
    for form, signature in (
        (repeated, by_twilios_rule),
        (repeated[::-1][1:], expected),
        (sorted(repeated), expected),
    ):
        forged = asked(key=KEY, url=URL, headers=shown(signature), form=form)
        assert refusal(verify, forged) == "signature-invalid"


@pytest.mark.parametrize(
    ("signed", "configured"),
    [
        ("https://example.com:443/hook", "https://example.com/hook"),
        ("https://example.com/hook", "https://example.com:443/hook"),
    ],
)
def test_url_is_accepted_with_and_without_the_port(signed: str, configured: str) -> None:
    request = asked(key=KEY, url=configured, headers=shown(sign(KEY, signed, FORM)))
    assert refusal(verify, request) is None


def test_any_of_several_keys_is_accepted() -> None:
    for keys in ([FORM_KEY, "other"], ["other", FORM_KEY]):
        assert refusal(verify, asked(key=keys)) is None
    assert refusal(verify, asked(key=["other", "another"])) == "signature-invalid"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked(headers={}), "signature-missing"),
        (asked(headers=shown("")), "signature-missing"),
        (asked(headers=shown("x" * 41)), "signature-invalid"),
        (asked(headers=shown("\udcff")), "signature-invalid"),
        (asked(form=FORM[1:]), "signature-invalid"),
        (asked(form=None), "signature-invalid"),
        (asked(url=FORM_URL + "3"), "signature-invalid"),
        (asked(key="54321"), "signature-invalid"),
        (AS_JSON | {"body": JSON + b" "}, "signature-invalid"),
        (AS_JSON | {"url": URL + "/"}, "signature-invalid"),
        (AS_HASHED | {"body": b'{"event":"DIFFERENT"}'}, "signature-invalid"),
        (AS_HASHED | {"url": HASHED_URL + "&bodySHA256=0"}, "signature-invalid"),
    ],
)
def test_forged_request_is_rejected(request_: dict[str, Any], reason: str) -> None:
    assert refusal(verify, request_) == reason


def test_signature_over_the_url_does_not_cover_json() -> None:
    """The vendor's validator accepts this: with one signed URL, any body can be posted."""
    request = {"key": KEY, "url": URL, "headers": shown(sign(KEY, URL)), "body": b"{}"}
    assert refusal(verify, request | {"form": None}) == "signature-invalid"


def test_form_must_match_the_hash_in_its_url() -> None:
    body = b"CallSid=CA1"
    form = [("CallSid", "CA1")]
    for digest, reason in (
        (hashlib.sha256(body).hexdigest(), None),
        ("0" * 64, "signature-invalid"),
    ):
        url = f"{URL}?bodySHA256={digest}"
        headers = shown(sign(KEY, url, form))
        request = {"key": KEY, "url": url, "headers": headers, "body": body, "form": form}
        assert refusal(verify, request) == reason


@given(headers_like(FORM_SIGNATURE), forms)
def test_arbitrary_header_and_form_have_a_documented_outcome(header: str | None, form: Any) -> None:
    headers = {} if header is None else shown(header)
    found = refusal(verify, asked(headers=headers, form=form))
    assert found in DOCUMENTED
    if found is None:
        assert header in (sign(FORM_KEY, FORM_URL, form), sign_body(FORM_KEY, FORM_URL, b""))
