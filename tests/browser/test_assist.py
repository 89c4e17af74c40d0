"""Alerts and wrap-ups on the live pages, in Chromium, with events that a test writes."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from playwright.async_api import ViewportSize

from tests.browser.chromium import (
    PHONE,
    Tab,
    needs_chromium,
    sign_in,
    tab,
)
from tests.browser.world import World, new_world
from tests.waiting import eventually
from tests.workers.relay.a_relay import Assistants, Calls
from workers.relay import streaming
from workers.relay.sign_in.viewer import Role, Text

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

MARKUP: Final = "<img src=x onerror=alert(1)><script>alert(2)</script>"
WIDE: Final = ViewportSize(width=1360, height=860)
TALK: Final = (
    ("agent", "Thank you for calling Northwind, this call is recorded. How can I help?"),
    (
        "customer",
        "Hi. The washing machine that came on Monday leaks, and I want a refund.",
    ),
    ("agent", "I am sorry to hear that. Can you give me the order number, please?"),
    ("customer", "Sure, it is [number]. And honestly, if this takes another week, I will cancel."),
    ("agent", "I guarantee that you will have the money by tomorrow."),
    ("customer", "Good. You can reach me at [email], or on my mobile."),
    ("agent", "A technician collects the machine on Thursday between eight and ten."),
    ("customer", "Thursday is fine. Thanks a lot, bye."),
)


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    async with new_world(redis_url) as made:
        yield made


async def converse(calls: Calls, call: str, *, repeat: int = 1) -> None:
    """Write a conversation; each of its segments has a track's own number."""
    tracks = [("inbound", "customer"), ("outbound", "agent")]
    listed = [
        {"track": track, "role": role, "encoding": "pcmu", "rate": 8000} for track, role in tracks
    ]
    await calls.start(call, tracks=json.dumps(listed), route="support")
    for number, (role, text) in enumerate(TALK * repeat):
        where = {"track": "outbound" if role == "agent" else "inbound", "role": role}
        times = {"start_ms": number * 6000, "end_ms": number * 6000 + 5200}
        await calls.close(call, text, number // 2 + 1, **where, **times)


def cite(number: int) -> dict[str, Any]:
    """Return the citation of a line of the conversation."""
    track = "inbound" if number % 2 else "outbound"
    times = {"start_ms": number * 6000, "end_ms": number * 6000 + 5200}
    return {"stream_id": "MZ1", "track": track, "segment": number // 2 + 1, **times}


def about(number: int) -> dict[str, Any]:
    """Return the fields of an alert about a line of the conversation."""
    cited = cite(number)
    del cited["stream_id"]
    return {**cited, "role": "customer" if number % 2 else "agent"}


def sentences(*cited: tuple[str, list[int]]) -> str:
    """Return sentences that cite lines, as in Redis."""
    return json.dumps(
        [
            {"text": text, "citations": [cite(number) for number in numbers]}
            for text, numbers in cited
        ]
    )


async def wrap_up(assistants: Assistants, call: str, wrapup: str = "ended", **own: Any) -> None:
    """Write a wrap-up of the conversation."""
    summary = sentences(
        ("The customer reports that the washing machine delivered on Monday leaks.", [1]),
        ("She asks for a refund of order [number], and would cancel if it took a week.", [1, 3]),
        ("The agent promised the refund by tomorrow.", [4]),
    )
    follow_ups = sentences(
        ("Refund the order by tomorrow.", [4]),
        ("Send a technician on Thursday between 8 and 10.", [6, 7]),
    )
    wrapped = {"summary": summary, "follow_ups": follow_ups, "disposition": "refund", **own}
    await assistants.wrapup(call, wrapup, model="llama-3.1-8b-instruct", **wrapped)


async def is_seen(opened: Tab, line: str) -> bool:
    """Return whether a line of the transcript is in the window, and is the link's target."""
    found = opened.page.locator(".lines > li:target", has_text=line)
    await found.wait_for()
    return bool(
        await found.evaluate(
            "line => { const { top } = line.getBoundingClientRect();"
            " return 40 < top && top < innerHeight - 60; }"
        )
    )


async def test_alert_appears_at_once_beside_its_words_until_it_is_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_CHECK_S", 0.05)
    title = {"title": "Customer may cancel", "severity": "critical", **about(3)}
    await converse(world.calls, "CA1", repeat=4)
    async with tab(world.browser, WIDE) as opened, tab(world.browser, WIDE) as listed:
        await sign_in(listed, world.relay.url)
        await listed.see("Thursday is fine")
        await sign_in(opened, world.relay.url, "/calls/CA1")
        await opened.see("Thursday is fine")
        await world.assistants.alert("CA1", "a1", **title)
        link = opened.page.get_by_role("link", name="Customer may cancel")
        await link.wait_for()
        await listed.see("1 alert, the worst: Critical")
        flag = opened.page.locator(".lines > li", has_text="I will cancel").first.locator(".flag")
        assert await flag.inner_text() == "Critical: Customer may cancel"
        spoken = opened.page.locator("[aria-label='Critical alerts'][aria-live=polite]")
        await spoken.get_by_text("Critical alert: Customer may cancel").wait_for(state="attached")
        await link.focus()
        await opened.page.keyboard.press("Enter")  # while the transcript follows its end
        assert await is_seen(opened, "I will cancel")
        await world.calls.close("CA1", "One more thing", 99, start_ms=300_000)
        await opened.page.get_by_role("button", name="New words").wait_for()
        assert await is_seen(opened, "I will cancel")
        await world.assistants.alert("CA1", "a1", state="withdrawn", **title)
        await opened.see("Withdrawn: the words were corrected")
        assert await flag.count() == 0
        await listed.page.get_by_text("1 alert").wait_for(state="detached")

        await hide(opened, is_hidden=True)  # a hidden tab holds one connection, not two
        await eventually(lambda: world.relay.metric("viewers", feed="assist") == 0)
        await world.assistants.alert("CA1", "a2", title="While hidden")
        await hide(opened, is_hidden=False)
        await opened.page.locator(".alert", has_text="While hidden").wait_for()
        assert await opened.page.locator(".alert").count() == 2
        assert opened.problems == listed.problems == []


async def hide(opened: Tab, *, is_hidden: bool) -> None:
    """Notify the page that its tab is hidden, or visible again."""
    await opened.page.evaluate(
        """(isHidden) => {
          Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


async def test_wrapup_of_an_ended_call_leads_to_the_words_and_depends_on_the_role(
    world: World,
) -> None:
    redacted = Calls(world.calls.client, "redacted")
    for calls in (world.calls, redacted):
        await converse(calls, "CA1", repeat=4)
        await calls.end("CA1")
    await wrap_up(world.assistants, "CA1")
    raw = sentences(("The number is 4111.", [3]))
    async with tab(world.browser, WIDE) as opened, tab(world.browser, WIDE) as agent:
        for each, role, text in (
            (opened, Role.SUPERVISOR, Text.RAW),
            (agent, Role.AGENT, Text.REDACTED),
        ):
            await sign_in(each, world.relay.url, "/calls/CA1", role=role, text=text)
            await each.see("Made from redacted text by llama-3.1-8b-instruct.")
        summary = opened.page.get_by_role("region", name="Summary")
        assert "The agent promised the refund by tomorrow." in await summary.inner_text()
        assert "refund" in await summary.locator(".disposition").inner_text()
        await summary.get_by_role("link", name="Customer, 0:42: go to the words").click()
        assert await is_seen(opened, "Thursday is fine")
        assert await agent.page.locator(".chip", has_text="[number]").count() >= 1
        await world.assistants.wrapup("CA1", "raw", made_from="raw", summary=raw)
        await opened.see("Made from raw text by m1.")
        assert await summary.locator("details").inner_text() == "1 earlier summary"
        await world.assistants.alert("CA1", "last")
        for each in (opened, agent):
            await each.page.locator(".alert", has_text="Refund").wait_for()
        assert "4111" not in await agent.page.content()
        assert await agent.page.get_by_role("link", name="Timeline").count() == 0
        assert opened.problems == agent.problems == []


async def test_markup_stays_text_and_thousands_of_alerts_do_not_freeze_the_page(
    world: World,
) -> None:
    await converse(world.calls, "CA1", repeat=8)
    await world.assistants.alerts("CA1", 2400, title=MARKUP, **about(63))
    long = "x" * 4000
    await world.assistants.alert("CA1", "long", title=long, severity=long, **about(1))
    hostile = sentences((MARKUP, [1]), (long, [1] * 50), (f"{MARKUP} {'long ' * 2000}", [9999]))
    own = {
        "model": MARKUP,
        "disposition": f"{MARKUP} {long}",
        "summary": hostile,
        "follow_ups": hostile,
    }
    await world.assistants.wrapup("CA1", "w1", **own)
    async with tab(world.browser, WIDE) as opened:
        await sign_in(opened, world.relay.url, "/calls/CA1")
        await opened.see("2,000+ open")
        await opened.see(f"Made from redacted text by {MARKUP}")
        rows = opened.page.locator(".alerts .alert")
        assert await rows.count() == 8
        width = await opened.page.evaluate("document.documentElement.scrollWidth")
        assert width == WIDE["width"]
        await opened.page.get_by_role("button", name="Show 50 of 1,992 more").click()
        await opened.page.get_by_text("Show 50 of 1,942 more").wait_for()
        assert await rows.count() == 58
        assert await opened.page.locator("img[src=x]").count() == 0
        await opened.page.goto(world.relay.url)
        await opened.see("1,000+ alerts")
        assert opened.problems == []


async def test_narrow_screen_shows_alerts_first_and_leads_back_from_the_words(
    world: World,
) -> None:
    for call in ("CA1", "CA2"):
        await converse(world.calls, call)
    await world.assistants.alert("CA1", "a1", severity="info")
    await world.calls.end("CA1")
    await wrap_up(world.assistants, "CA1")
    async with tab(world.browser, PHONE) as opened:
        await sign_in(opened, world.relay.url)
        rows = opened.page.locator("tbody tr")
        await rows.nth(1).locator(".alerts", has_text="1 alert").wait_for()  # live calls come first
        await opened.page.get_by_label("Order").select_option("Alerts first")
        await rows.first.locator(".alerts", has_text="1 alert").wait_for()
        await rows.first.locator("a").click()
        await opened.page.locator("a.cite").nth(2).click()
        assert await is_seen(opened, "I will cancel")
        await opened.page.get_by_role("link", name="1 alert").click()
        await opened.page.locator("#alerts:target").wait_for()
        for _ in range(2):
            await opened.page.go_back()
        await opened.page.get_by_role("region", name="Summary").wait_for()
        assert await opened.page.locator(":target").count() == 0
        assert opened.problems == []
