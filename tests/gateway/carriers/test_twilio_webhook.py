"""Twilio's tokens: what they are good for, and forgeries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.twilio_webhook import mint_token, verify_token
from gateway.errors import CarrierError

TOKEN = "12345"


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
