"""Twilio's signatures against the vendor's vectors and a table of forgeries; tokens; the TwiML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.twilio_webhook import mint_token, sign, verify, verify_token
from gateway.errors import CarrierError

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


class TestSignature:
    def test_vectors(self) -> None:
        assert sign(TOKEN, URL, FORM) == SIGNATURE
        assert sign(TOKEN, UPGRADE_URL) == UPGRADE_SIGNATURE

    def test_order_of_fields_does_not_matter_and_each_distinct_value_counts_once(self) -> None:
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
        ],
    )
    def test_with_and_without_port(self, signed: str, configured: str) -> None:
        verify(TOKEN, configured, sign(TOKEN, signed))

    @pytest.mark.parametrize(
        ("url", "signature", "form", "reason"),
        [
            (URL, None, FORM, "signature-missing"),
            (URL, "", FORM, "signature-missing"),
            (URL, sign("54321", URL, FORM), FORM, "signature-invalid"),
            (URL, SIGNATURE, FORM[1:], "signature-invalid"),
            (URL, SIGNATURE, [*FORM, ("Extra", "1")], "signature-invalid"),
            (URL + "&baz=3", SIGNATURE, FORM, "signature-invalid"),
            (URL.replace("https", "http"), SIGNATURE, FORM, "signature-invalid"),
            (URL.replace("mycompany", "proxy"), SIGNATURE, FORM, "signature-invalid"),
            (URL, SIGNATURE[:-1], FORM, "signature-invalid"),
            (URL, "é" + SIGNATURE, FORM, "signature-invalid"),
            (URL, "\udcff" + SIGNATURE, FORM, "signature-invalid"),  # a byte that is no text
            # the https spelling of an upgrade's URL
            (UPGRADE_URL, "knV7aBKY0V9mFKgz/XEq2BCsCKw=", [], "signature-invalid"),
        ],
    )
    def test_forgeries(
        self, url: str, signature: str | None, form: list[tuple[str, str]], reason: str
    ) -> None:
        with pytest.raises(CarrierError) as caught:
            verify(TOKEN, url, signature, form)
        assert caught.value.reason == reason


class TestToken:
    def test_good_for_its_call_until_it_expires(self) -> None:
        token = mint_token(TOKEN, "CA1", expires_s=1000)
        verify_token(TOKEN, "CA1", token, now_s=1000)
        assert len(token) < 500  # Twilio's limit for a parameter

    @pytest.mark.parametrize(
        ("token", "now_s"),
        [
            (mint_token(TOKEN, "CA1", 1000), 1001),
            (mint_token(TOKEN, "CA2", 1000), 0),
            (mint_token("54321", "CA1", 1000), 0),
            (mint_token(TOKEN, "CA1", 1000).replace("1000.", "9999."), 0),
            ("", 0),
            (".", 0),
            ("1000.", 0),
            ("-1.x", 0),
            ("٣.x", 0),
            ("9" * 5000 + ".x", 0),
        ],
    )
    def test_refused(self, token: str, now_s: float) -> None:
        with pytest.raises(CarrierError, match="token-invalid"):
            verify_token(TOKEN, "CA1", token, now_s)

    @given(token=st.text())
    def test_any_text_is_refused(self, token: str) -> None:
        with pytest.raises(CarrierError, match="token-invalid"):
            verify_token(TOKEN, "CA1", token, 0)
