"""Search in all calls on the pages, in Chromium, with an index that a test fills."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.browser.chromium import (
    PHONE,
    Tab,
    check_accessibility,
    needs_chromium,
    sign_in,
    tab,
)
from tests.browser.world import World, new_world
from tests.workers.relay.a_relay import Calls
from tests.workers.search.indexes import TIMEOUT_S, said, seen
from workers.relay.sign_in.viewer import Role, Scope, Text
from workers.search.index import AlertNoted, Change, DispositionNoted
from workers.search.indexes import file_of
from workers.search.settings import Settings
from workers.search.sqlite import SqliteIndex

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

MARKUP: Final = "<img src=x onerror=alert(1)> a refund"
LINES: Final = 80  # of CA1; the words that are searched are in the middle
SPOKEN: Final = "I want a refund for card 4111"


async def fill(folder: Path, kind: str, spoken: str) -> None:
    """Write the index of one kind of text: two calls that Redis has, and many that it has not."""
    changes: list[Change] = [
        seen("CA1", tenant="acme", route="support"),
        said(spoken, LINES // 2, call="CA1", start_ms=LINES // 2 * 5000),
        AlertNoted("CA1", "1", "no-refund", "critical", is_raised=True),
        DispositionNoted("CA1", "sale"),
        seen("CA2", tenant="other"),
        said("another refund", 2, call="CA2", role="agent"),
        seen("OLD", tenant="acme"),
        *(said(f"archived refund {n} {MARKUP}", n, call="OLD") for n in range(1, 26)),
    ]
    index = await SqliteIndex.open(file_of(folder, kind), TIMEOUT_S, 1.0)
    await index.add(changes)
    await index.close()


@pytest.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    await fill(tmp_path, "raw", SPOKEN)
    await fill(tmp_path, "redacted", SPOKEN.replace("4111", "[card_number]"))
    settings = Settings(_env_file=None, path=tmp_path, text="both", timeout_s=TIMEOUT_S)
    async with new_world(redis_url, search=settings) as made:
        yield made


async def find(opened: Tab, query: str) -> None:
    """Type a query and submit it."""
    field = opened.page.get_by_label("Search in all calls")
    await field.fill(query)
    await field.press("Enter")


async def speak(calls: Calls, spoken: str) -> None:
    """Write CA1 as a live call."""
    await calls.start("CA1", tenant="acme", route="support")
    for number in range(1, LINES + 1):
        text = spoken if number == LINES // 2 else f"line {number}"
        times = {"start_ms": number * 5000, "end_ms": number * 5000 + 900}
        await calls.close("CA1", text, number, **times)


async def test_result_leads_to_its_words_in_a_call_that_is_live(world: World) -> None:
    await speak(world.calls, SPOKEN)
    async with tab(world.browser) as opened:
        await sign_in(opened, world.relay.url)
        await opened.page.get_by_label("Search in live calls").fill("refund")
        await opened.page.get_by_role("link", name="Search in finished calls, too").click()
        await opened.see("archived refund 1")
        assert await opened.page.locator(".results section").count() == 2
        await find(opened, "refund tenant:acme -archived")
        call = opened.page.get_by_role("region", name="Call CA1")
        await call.wait_for()
        assert await call.locator("mark").all_inner_texts() == ["refund"]
        about = await call.locator(".about").inner_text()
        assert "sale" in about
        assert "no-refund" in about
        await opened.shoot("search")
        await check_accessibility(opened, "search")
        await call.locator("li a").click()
        line = opened.page.locator(".lines > li:target", has_text=SPOKEN)
        await line.wait_for()
        await opened.page.wait_for_function(
            "line => 0 < line.getBoundingClientRect().top"
            " && line.getBoundingClientRect().top < innerHeight",
            arg=await line.element_handle(),
        )
        await world.calls.close("CA1", "One more thing", 99, start_ms=999_000)
        await opened.page.get_by_role("button", name="New words").wait_for()
        await opened.page.go_back()
        await call.wait_for()
        assert await opened.page.get_by_label("Search in all calls").input_value() == (
            "refund tenant:acme -archived"
        )
        assert opened.problems == []


async def test_results_continue_and_expired_calls_say_so(world: World) -> None:
    async with tab(world.browser, PHONE) as opened:
        await sign_in(opened, world.relay.url, "/search")
        await opened.page.get_by_role("link", name='"bank account"').wait_for()
        await find(opened, "archived")
        hits = opened.page.locator(".results li")
        await hits.nth(19).wait_for()
        assert await hits.count() == 20
        await opened.page.get_by_role("button", name="More").click()
        await opened.see("No more results.")
        assert await hits.count() == 25
        assert await opened.page.locator("img[src=x]").count() == 0
        width = await opened.page.evaluate("document.documentElement.scrollWidth")
        assert width == PHONE["width"]
        await opened.shoot("search-phone")
        await hits.first.locator("a").click()
        await opened.see("The words of this call have expired here.")
        assert [each for each in opened.problems if "404" not in each] == []


async def test_faults_are_explained(world: World) -> None:
    async with tab(world.browser) as opened:
        await sign_in(opened, world.relay.url, "/search#refund%20wrong:x")
        await opened.page.get_by_role("alert").get_by_text("wrong:x").wait_for()
        await find(opened, "nobody")
        await opened.see("Nothing was found.")
        assert await opened.page.get_by_role("alert").count() == 0
        statuses = [each for each in opened.problems if "400" not in each]
        assert statuses == []


async def test_scopes_and_kinds_of_text_decide_what_is_found(world: World) -> None:
    acme: dict[str, Any] = {"role": Role.AGENT, "text": Text.REDACTED}
    async with tab(world.browser) as opened:
        await sign_in(
            opened,
            world.relay.url,
            "/search#refund%20card",
            scope=Scope(None, None, "acme"),
            **acme,
        )
        await opened.page.locator(".chip", has_text="[card_number]").wait_for()
        assert "4111" not in await opened.page.content()
        await find(opened, "another")
        await opened.see("Nothing was found.")
        assert opened.problems == []
