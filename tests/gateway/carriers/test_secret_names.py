"""Custom parameters that are published, and those that are withheld as secrets."""

import pytest

from gateway.carriers.events import CallStarted
from gateway.carriers.secret_names import is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        *("tok", " tok ", "token", "auth_tok", "authTok", "AuthToken", "x-auth-token", "tok2"),
        *("access_key", "accessKey", "accesskey", "AWSAccessKeyId", "apiKey", "API-KEY", "key"),
        *("sig", "X-Amz-Signature", "signature", "hmac_sha256", "sas", "credential", "creds"),
        *("pin", "PIN", "userPin", "card-pin", "pincode", "pin_code", "customerpin"),
        *("session", "sessionId", "SESSION_ID", "sessionid", "PHPSESSID", "user.session"),
        *("pwd", "passwd", "password", "Passwort", "pass", "passcode", "db_pw", "passphrase"),
        *("otp", "otp1", "totp", "one_time_passcode", "verificationCode", "mfa"),
        *("cvv", "cvv2", "CVC", "ssn", "ssnLast4", "cardPAN", "client_secret", "clientsecret"),
        *("Authorization", "authorisation", "bearer", "jwt", "my_jwt", "cookie", "csrf-token"),
        "tok\nx",
    ],
)
def test_secret_names_are_recognized(name: str) -> None:
    """Symptom: `auth_tok`, `access_key`, `sig`, `pin` and `session` were published."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("monkey", "design", "spinning", "pinned", "tokyo", "author", "authority", "keyboard"),
        *("secretary", "assign", "signal", "classname", "compass", "passenger", "bypass", "panel"),
        *("possession", "obsession", "company", "span", "standard", "tanker", "optional", "turkey"),
        *("customerName", "agent_id", "callSid", "queue", "tenant", "language", "zip_code"),
        *("campaign", "shipping_code", "FirstName", "skill", "q", "", "42", "größe"),
    ],
)
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_params_of_publishes_only_the_listed_names() -> None:
    start = CallStarted("c1", "s1", (), {"queue": "7", "session": "s", "name": "Ada"})
    assert start.public_params == {"queue": "7", "name": "Ada"}
    assert start.params_of(("session", "queue", "absent")) == {"queue": "7", "session": "s"}
    assert start.params_of(()) == {}
