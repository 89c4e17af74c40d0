"""WORKER_RELAY_*: valid and invalid values, in one line that quotes nothing."""

from typing import Any

import pytest
from pydantic import ValidationError

from common.settings import sentences
from tests.workers.relay.sign_in.served import SECRET, settings
from workers.relay.sign_in.settings import Settings
from workers.relay.sign_in.viewer import Role, Text

ROLES = '{"claim": "groups", "values": {"leads": "supervisor", "agents": "agent"}}'
OIDC = {
    "secret": SECRET,
    "oidc_issuer": "https://id.example.com/",
    "oidc_client_id": "relay",
    "oidc_roles": ROLES,
}


def test_defaults_admit_no_one() -> None:
    made = settings()
    assert made.secret == ()
    assert made.oidc_issuer is None
    assert made.admin_tokens is None


def test_provider_is_read() -> None:
    made = settings(**OIDC, oidc_text='{"supervisor": "redacted"}')
    assert made.oidc_issuer == "https://id.example.com/"  # with its slash
    assert made.oidc_roles
    assert list(made.oidc_roles.values) == ["leads", "agents"]
    assert made.oidc_text == {Role.SUPERVISOR: Text.REDACTED}
    assert SECRET not in repr(made)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"secret": "hush"}, "WORKER_RELAY_SECRET: must have at least 32 characters"),
        ({"secret": SECRET + ",hush"}, "WORKER_RELAY_SECRET: must have at least 32 characters"),
        ({"secret": SECRET, "session_s": "1"}, "WORKER_RELAY_SESSION_S: must be 60 or more"),
        ({"public_url": "http://hush.example.com"}, "PUBLIC_URL: must begin with https:// unless"),
        ({"public_url": "https://a.example.com/hush"}, "PUBLIC_URL: must have no path"),
        ({"public_url": "https://u:hush@a.example.com"}, "PUBLIC_URL: must have no user, query"),
        ({"public_url": "hush"}, "PUBLIC_URL: must be a URL"),
        (OIDC | {"oidc_issuer": "http://hush.example.com"}, "OIDC_ISSUER: must begin with https"),
        (OIDC | {"oidc_issuer": "https://a.example.com/?hush"}, "OIDC_ISSUER: must have no user"),
        (OIDC | {"oidc_scopes": "email hush"}, "OIDC_SCOPES: must be scopes separated by spaces"),
        (OIDC | {"oidc_roles": "hush"}, 'OIDC_ROLES: must be {"claim": "<claim>"'),
        (
            OIDC | {"oidc_roles": '{"claim": "g", "values": {"hush": "root"}}'},
            "a role one of agent",
        ),
        (OIDC | {"oidc_roles": '{"claim": "g", "values": {}}'}, "OIDC_ROLES: must be"),
        (OIDC | {"oidc_text": '{"hush": "raw"}'}, 'OIDC_TEXT: must be {"<role>"'),
        (OIDC | {"secret": ""}, "WORKER_RELAY_OIDC_ISSUER needs WORKER_RELAY_SECRET"),
        ({"admin_tokens": "hush"}, "WORKER_RELAY_ADMIN_TOKENS needs WORKER_RELAY_SECRET"),
        ({"oidc_text": "{}"}, "WORKER_RELAY_OIDC_TEXT needs WORKER_RELAY_OIDC_ISSUER"),
        ({"oidc_client_secret": "hush"}, "OIDC_CLIENT_SECRET needs WORKER_RELAY_OIDC_ISSUER"),
    ],
)
def test_invalid_setting_prevents_startup_in_one_line(
    values: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"WORKER_RELAY_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        settings()
    found = "; ".join(sentences(Settings, caught.value))
    assert line in found
    assert "hush" not in found
    assert "\n" not in found
