"""POST /links on the private port."""

import logging
from typing import Any

import pytest

from tests.workers.relay.sign_in.served import ADMIN_TOKENS, OWN, SECRET, browser, serving

BEARER = {"Authorization": "Bearer hush-0123456789abcdef", **OWN}
PATH = "/private/links"
VALID: dict[str, Any] = {"tenant": "b", "name": "ann", "role": "auditor", "lifetime_s": 90}


async def test_link_of_a_program_signs_in(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.audit")
    async with (
        serving(redis_url, secret=SECRET, admin_tokens=ADMIN_TOKENS) as relay,
        browser(relay) as client,
    ):
        async with client.post(PATH, json=VALID, headers=BEARER) as response:
            body = await response.json()
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        url, _, token = body["url"].partition("#")
        assert url == f"{relay.url}/open"
        async with client.post("/api/session", json={"token": token}, headers=OWN) as response:
            session = await response.json()
    assert session["expires"] == body["expires"]
    assert session["scope"] == {"tenant": "b"}
    assert (session["role"], session["text"]) == ("auditor", "redacted")
    line = caplog.records[0].getMessage()
    assert line.startswith("link-minted who=crm outcome=ok link_who=ann link_subject=link:")
    assert line.endswith("link_role=auditor link_text=redacted ip=127.0.0.1 tenant=b")
    assert token not in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({**VALID, "all": True}, "exactly one"),
        ({"name": "ann"}, "exactly one"),
        ({**VALID, "name": "<b>"}, "the name must be"),
        ({**VALID, "lifetime_s": 0}, "the lifetime must be"),
        ({**VALID, "role": "root"}, "role"),
        ({**VALID, "admin": True}, "unknown field"),
        ({"tenant": "b"}, "name"),
        ([], "object"),
    ],
)
async def test_wrong_request_is_refused(redis_url: str, body: object, error: str) -> None:
    async with (
        serving(redis_url, secret=SECRET, admin_tokens=ADMIN_TOKENS) as relay,
        browser(relay) as client,
        client.post(PATH, json=body, headers=BEARER) as response,
    ):
        assert response.status == 400
        assert error in (await response.json())["error"]


@pytest.mark.parametrize("value", ["", "Bearer wrong-0123456789abcdef", "Basic aHVzaDo="])
async def test_unknown_token_is_refused(redis_url: str, value: str) -> None:
    headers = {**OWN, "Authorization": value}
    async with (
        serving(redis_url, secret=SECRET, admin_tokens=ADMIN_TOKENS) as relay,
        browser(relay) as client,
        client.post(PATH, json=VALID, headers=headers) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_without_tokens_the_path_is_closed(redis_url: str) -> None:
    async with (
        serving(redis_url, secret=SECRET) as relay,
        browser(relay) as client,
        client.post(PATH, json=VALID, headers=BEARER) as response,
    ):
        assert response.status == 404
