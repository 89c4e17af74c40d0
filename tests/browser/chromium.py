"""Debian's Chromium, driven by Playwright; pages that report every problem."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.npm import installed
from tests.workers.relay.a_relay import link_token
from workers.relay.sign_in.viewer import Role

CHROMIUM: Final = shutil.which("chromium")
SCREENSHOTS: Final = Path(__file__).with_name("screenshots")
TIMEOUT_MS: Final = 20_000
PHONE: Final = ViewportSize(width=360, height=740)
DESKTOP: Final = ViewportSize(width=1280, height=800)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None,
    reason="Chromium is not installed: ./run test installs it on Debian as root; elsewhere, "
    "install your system's package chromium",
)


@contextlib.asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Browser]:
    """Run a browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *arguments]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Tab:
    """A page, and what went wrong in it: errors, console messages, dialogs."""

    page: Page
    problems: list[str] = field(default_factory=list)

    async def see(self, text: str) -> None:
        """Wait until a text is visible."""
        await self.page.get_by_text(text).first.wait_for(timeout=TIMEOUT_MS)

    async def shoot(self, name: str) -> None:
        """Save a screenshot, light and dark."""
        SCREENSHOTS.mkdir(exist_ok=True)
        for scheme in ("dark", "light"):
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png")


@contextlib.asynccontextmanager
async def tab(
    browser: Browser, size: ViewportSize = DESKTOP, permissions: Sequence[str] = ()
) -> AsyncIterator[Tab]:
    """Open a tab without cookies."""
    context: Any = await browser.new_context(viewport=size, permissions=list(permissions))
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    opened = Tab(page)
    page.on("pageerror", lambda error: opened.problems.append(str(error)))
    page.on("console", lambda said: opened.problems.append(said.text))
    page.on("dialog", lambda dialog: opened.problems.append(dialog.message))
    try:
        yield opened
    finally:
        await context.close()


async def sign_in(opened: Tab, url: str, path: str = "/", **grant: Any) -> None:
    """Open a link, then a page."""
    token = link_token(**{"role": Role.SUPERVISOR, **grant})
    await opened.page.goto(f"{url}/open#{token}")
    await opened.page.wait_for_url(lambda at: "/open" not in at)
    await opened.page.goto(url + path)


async def check_accessibility(opened: Tab, page: str) -> None:
    """Fail if axe finds anything serious, light or dark."""
    axe = (installed("axe-core", "4.14.1") / "axe.min.js").read_text()
    for scheme in ("light", "dark"):
        await opened.page.emulate_media(color_scheme=scheme)
        await opened.page.evaluate(axe)  # as an extension would: not subject to the page's policy
        found = await opened.page.evaluate("axe.run()")
        serious = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
        assert serious == [], (page, scheme)
