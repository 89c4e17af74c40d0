"""HTTP message signatures: the vendor's vector, and forgeries."""

import base64
import hmac
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.carriers.auth.http_signature import Signed, sign, verify
from gateway.errors import CarrierError

TARGET = "/api/v1/voicebiometrics/ws"
AUTHORITY = "audiohook.example.com"
API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = base64.b64decode("TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=")
NONCE = "VGhpc0lzQVVuaXF1ZU5vbmNl"
CREATED_S = 1641013200
EXPIRES_S = 3282026430
INPUT = (
    '("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id"'
    f' "audiohook-correlation-id" "x-api-key");keyid="{API_KEY}";nonce="{NONCE}"'
    f';alg="hmac-sha256";created={CREATED_S};expires={EXPIRES_S}'
)
SIGNATURE = ":NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:"
NAMES = {
    "Audiohook-Organization-Id": "d7934305-0972-4844-938e-9060eef73d05",
    "Audiohook-Session-Id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "Audiohook-Correlation-Id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "X-API-KEY": API_KEY,
}


def vector(**changes: str | None) -> CIMultiDict[str]:
    """Return the headers that the vendor publishes, with changes; None removes a header."""
    headers = CIMultiDict(NAMES)
    headers["Signature-Input"] = f"sig1={INPUT}"
    headers["Signature"] = f"sig1={SIGNATURE}"
    for name, value in changes.items():
        headers.pop(name.replace("_", "-"))
        if value is not None:
            headers[name.replace("_", "-")] = value
    return headers


def signed(secret: bytes = SECRET, **changes: Any) -> CIMultiDict[str]:
    """Sign the same request with other parameters."""
    headers = CIMultiDict(NAMES)
    parameters: dict[str, Any] = {
        "nonce": NONCE,
        "created_s": CREATED_S,
        "expires_s": EXPIRES_S,
    } | changes
    headers.update(sign(headers, TARGET, AUTHORITY, secret, **parameters))
    return headers


def signed_by_owner(text: str) -> CIMultiDict[str]:
    """Sign an arbitrary Signature-Input with the right secret."""
    headers = CIMultiDict(NAMES)
    values = CIMultiDict(NAMES, **{"@request-target": TARGET, "@authority": AUTHORITY})
    names = re.findall('"([^"]*)"', text[: text.index(")")])
    lines = [f'"{name}": {values.get(name)}' for name in names]
    base = "\n".join([*lines, f'"@signature-params": {text}'])
    mac = base64.b64encode(hmac.digest(SECRET, base.encode(), "sha256")).decode()
    headers["Signature-Input"] = f"sig1={text}"
    headers["Signature"] = f"sig1=:{mac}:"
    return headers


def check(headers: CIMultiDict[str], **changes: Any) -> Signed:
    arguments: dict[str, Any] = {
        "target": TARGET,
        "authority": AUTHORITY,
        "secrets": {"another": b"x", API_KEY: SECRET},
        "now_s": CREATED_S + 1.5,
    } | changes
    return verify(headers, **arguments)


class TestValid:
    def test_vendor_vector_is_valid(self) -> None:
        assert check(vector()) == Signed(
            organization_id=NAMES["Audiohook-Organization-Id"],
            session_id=NAMES["Audiohook-Session-Id"],
            nonce=NONCE,
            until_s=CREATED_S + 30,
        )

    def test_sign_reproduces_the_vendor_vector(self) -> None:
        assert signed() == vector()

    @pytest.mark.parametrize("authority", ["AudioHook.Example.COM", "audiohook.example.com:443"])
    def test_authority_is_normalized(self, authority: str) -> None:
        assert check(vector(), authority=authority).nonce == NONCE

    @pytest.mark.parametrize("after_s", [-10, 0, 29.9])
    def test_signature_is_valid_within_age_and_skew(self, after_s: float) -> None:
        assert check(vector(), now_s=CREATED_S + after_s).until_s > CREATED_S + after_s

    def test_age_and_skew_are_configurable(self) -> None:
        assert check(vector(), now_s=CREATED_S + 99, max_age_s=100).until_s == CREATED_S + 100
        assert check(vector(), now_s=CREATED_S - 99, skew_s=100).nonce == NONCE

    def test_other_signatures_are_ignored(self) -> None:
        beside = ', proxy=("@method");keyid="edge", zero=("x")'
        headers = vector(
            Signature_Input=f'a=("x");created=1, sig1={INPUT}{beside}',
            Signature=f"a=:AAAA:,sig1={SIGNATURE}",
        )
        assert check(headers).nonce == NONCE

    @pytest.mark.parametrize(
        ("words", "instead"),
        [
            ("", ""),
            (";nonce", "; nonce"),
            ('" "', '"  "'),
            (';alg="hmac-sha256"', ""),
            (f";expires={EXPIRES_S}", ""),
            (";alg", ';tag="a \\"quoted\\" (one)";alg'),
            ('"x-api-key")', '"x-api-key" "x-api-key-2")'),
        ],
    )
    def test_signature_input_is_signed_exactly_as_received(self, words: str, instead: str) -> None:
        headers = signed_by_owner(INPUT.replace(words, instead))
        headers["X-API-KEY-2"] = "None"
        assert check(headers).nonce == NONCE

    def test_white_space_around_header_values_is_ignored(self) -> None:
        assert check(vector(X_API_KEY=f" {API_KEY}\t")).session_id

    def test_repr_does_not_contain_the_nonce(self) -> None:
        assert NONCE not in repr(check(vector()))


class TestInvalid:
    @pytest.mark.parametrize("name", ["Signature", "Signature_Input", "X_API_KEY"])
    @pytest.mark.parametrize("value", [None, "", " "])
    def test_missing_header_is_signature_missing(self, name: str, value: str | None) -> None:
        with pytest.raises(CarrierError, match="signature-missing"):
            check(vector(**{name: value}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"secrets": {API_KEY: SECRET[:-1]}},
            {"secrets": {"another": SECRET}},
            {"secrets": {}},
            {"target": TARGET + "?a=1"},
            {"target": TARGET + "/"},
            {"authority": "proxy.example.com"},
            {"authority": AUTHORITY + ":8443"},
            {"now_s": CREATED_S + 30},
            {"now_s": CREATED_S - 10.1},
            {"now_s": EXPIRES_S, "max_age_s": 1e12},
        ],
        ids=str,
    )
    def test_signature_of_another_request_is_rejected(self, changes: dict[str, Any]) -> None:
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(vector(), **changes)

    @pytest.mark.parametrize(
        "headers",
        [
            vector(Audiohook_Organization_Id="d7934305-0972-4844-938e-9060eef73d06"),
            vector(Audiohook_Session_Id=None),
            vector(Audiohook_Session_Id=""),
            vector(Audiohook_Correlation_Id=None),
            vector(X_API_KEY="another"),
            vector(Audiohook_Session_Id="\udcff"),  # a byte that is not valid text
            signed(b"another secret"),
            signed(created_s=CREATED_S - 29),
        ],
        ids=str,
    )
    def test_altered_headers_are_rejected(self, headers: CIMultiDict[str]) -> None:
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(headers)

    def test_empty_secret_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(signed(b""), secrets={API_KEY: b""})

    @pytest.mark.parametrize(
        "field",
        [
            INPUT,
            f"sig1={INPUT},",
            f"sig1={INPUT}, ",
            f"sig1={INPUT} ,, b=()",
            f"sig1={INPUT}, sig1={INPUT}",
            f"sig2={INPUT}",
            f"SIG1={INPUT}",
            f"sig1= {INPUT}",
            f"sig1={INPUT};created={CREATED_S}",
            f"sig1={INPUT};tag=x",
            f"sig1={INPUT.replace('("@request-target" ', '(')}",
            f"sig1={INPUT.replace(' "x-api-key")', ')')}",
            f"sig1={INPUT.replace(' "x-api-key")', ' "x-api-key" "x-api-key")')}",
            f"sig1={INPUT.replace('"x-api-key"', '"x-api-key";sf')}",
            f"sig1={INPUT.replace('"x-api-key"', '"X-API-KEY"')}",
            f"sig1={INPUT.replace('"x-api-key"', 'x-api-key')}",
            f"sig1={INPUT.replace('hmac-sha256', 'none')}",
            f"sig1={INPUT.replace('keyid=', 'nokeyid=')}",
            f"sig1={INPUT.replace(API_KEY, 'another')}",
            f"sig1={INPUT.replace(f'created={CREATED_S}', 'created="now"')}",
            f"sig1={INPUT.replace(';nonce', '; nonce')}",  # same meaning, but another text
            f"sig1={INPUT[:-1]}",
            f"sig1={INPUT[:40]}",
            "sig1",
            "=",
            "((((",
            '"' * 4000,
            "sig1=" + '("x"' * 1000,
            "sig1=(" + " " * 8000,
        ],
    )
    def test_altered_or_malformed_signature_input_is_rejected(self, field: str) -> None:
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(vector(Signature_Input=field))

    @pytest.mark.parametrize(
        "field",
        [
            SIGNATURE,
            f"sig2={SIGNATURE}",
            f"sig1={SIGNATURE}, sig1={SIGNATURE}",
            "sig1=::",
            f"sig1={SIGNATURE[:-1]}",
            f"sig1={SIGNATURE[1:-1]}",
            f"sig1={SIGNATURE.replace('=', '')}",
            f"sig1={SIGNATURE.replace('NZ', 'NY')}",
            f"sig1={SIGNATURE.replace('NZ', 'é')}",
            "sig1=:" + "A" * 8000,
        ],
    )
    def test_altered_or_malformed_signature_is_rejected(self, field: str) -> None:
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(vector(Signature=field))

    @pytest.mark.parametrize(
        ("words", "instead"),
        [
            ('"@request-target" ', ""),
            ('"@authority" ', ""),
            ('"audiohook-correlation-id" ', ""),
            ('"x-api-key")', '"x-api-key" "x-api-key")'),
            ('"x-api-key")', '"x-api-key" "@method")'),
            (f';keyid="{API_KEY}"', ""),
            (f';nonce="{NONCE}"', ""),
            (f';nonce="{NONCE}"', f";nonce={CREATED_S}"),
            (NONCE, NONCE[:21]),
            (NONCE, "n" * 257),
            (f";created={CREATED_S}", ""),
            (f";created={CREATED_S}", f";created={CREATED_S};created={CREATED_S}"),
            (f"created={CREATED_S}", f'created="{CREATED_S}"'),
            (f"expires={EXPIRES_S}", f'expires="{EXPIRES_S}"'),
            (f"expires={EXPIRES_S}", f"expires={CREATED_S}"),
            ("hmac-sha256", "none"),
        ],
    )
    def test_validly_signed_input_with_wrong_parameters_is_rejected(
        self, words: str, instead: str
    ) -> None:
        assert words in INPUT
        with pytest.raises(CarrierError, match="signature-invalid"):
            check(signed_by_owner(INPUT.replace(words, instead)))

    @given(st.text(), st.text())
    def test_arbitrary_text_is_rejected(self, inputs: str, signatures: str) -> None:
        with pytest.raises(CarrierError):
            check(vector(Signature_Input=inputs, Signature=signatures))
