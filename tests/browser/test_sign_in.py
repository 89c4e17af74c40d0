"""Sign-in in Chromium: at an OpenID provider that the test runs, with links, and out again."""

import contextlib
import json
from typing import Final

import pytest

from gateway.redis_client.client import create_client
from tests.browser.chromium import chromium, needs_chromium, sign_in, tab
from tests.workers.relay.a_relay import Calls, running
from tests.workers.relay.sign_in.scripted_provider import mock_provider

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

_ROLES: Final = json.dumps({"claim": "groups", "values": {"leads": "supervisor"}})
_LEE: Final = {"sub": "lee", "name": "Lee", "groups": ["leads"], "org": "b"}
_EVE: Final = {"sub": "eve", "name": "Eve", "groups": ["guests"], "org": "b"}


async def test_user_of_an_organization_signs_in_and_out(redis_url: str) -> None:
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        mock_provider(_LEE, _EVE) as issuer,
        chromium() as browser,
        tab(browser) as opened,
    ):
        oidc = {
            "oidc_issuer": issuer,
            "oidc_client_id": "relay",
            "oidc_client_secret": "hush",
            "oidc_roles": _ROLES,
            "oidc_tenant_claim": "org",
        }
        calls = Calls(client)
        for call, tenant in (("CA1", "b"), ("CA2", "c")):
            await calls.start(call, tenant=tenant)
            await calls.say(call, f"words of {tenant}", segment=1, tenant=tenant)
        page = opened.page
        async with running(redis_url, sign_in=oidc) as relay:
            await page.goto(f"{relay.url}/calls/CA1")
            await page.wait_for_url("**/sign-in?next=%2Fcalls%2FCA1")
            await opened.shoot("sign-in-organization")
            for sub in ("eve", "lee"):
                await page.get_by_role("link", name="Sign in with your organization").click()
                await page.locator("input[name=sub]").first.fill(sub)
                await page.locator("button[type=submit], input[type=submit]").first.click()
                if sub == "eve":
                    await opened.see("Not signed in")
                    await opened.shoot("not-signed-in")
                    await page.goto(f"{relay.url}/sign-in?next=/calls/CA1")
            await page.wait_for_url("**/calls/CA1")
            await opened.see("words of b")
            await page.goto(relay.url)
            await opened.see("words of b")
            await opened.see("Lee")
            assert await page.get_by_text("words of c").count() == 0
            await page.get_by_role("button", name="Sign out").click()
            await page.wait_for_url("**/sign-in*")
            await page.goto(relay.url)
            await page.wait_for_url("**/sign-in?next=*")


async def test_link_that_expires_ends_the_page(redis_url: str) -> None:
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url) as relay,
        chromium() as browser,
        tab(browser) as opened,
    ):
        calls = Calls(client)
        await calls.start("CA1")
        await calls.say("CA1", "still here")
        await sign_in(opened, relay.url, "/calls/CA1", lifetime_s=4)
        await opened.see("still here")
        await opened.see("Your session has ended")
        await opened.see("still here")
