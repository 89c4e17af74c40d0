"""The pages in Chromium, with a server that plays one call."""

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright

from workers import relay

_STATIC = Path(relay.__file__).parent / "static"
_CHROMIUM = shutil.which("chromium")
_MARKUP = "<img src=x onerror=alert(1)>"
_CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
_TIMEOUT_MS = 10_000

pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="Chromium is not installed")

_SUMMARY = {
    "call_id": "CA1",
    "carrier": _MARKUP,
    "route": "support",
    "state": "completed",
    "reason": "",
    "started": "2026-11-21T10:00:00.000Z",
    "ended": "2026-11-21T10:00:05.000Z",
    "duration_ms": 5000,
    "roles": ["customer"],
    "alerts": 1,
    "gaps": 1,
    "missing": 0,
    "last": {"role": "customer", "text": _MARKUP, "final": True},
}
_TRACK = {
    "track": "inbound",
    "role": "customer",
    "first_delta_ms": 700,
    "first_final_ms": 1400,
    "segments": [[0, 1000]],
    "gaps": [[1000, 2000, _MARKUP]],
    "reconnects": [500],
    "rollovers": [900],
    "latency": [[500, 400], [1000, 450]],
}
_STREAM = {
    "stream_id": "MZ1",
    "carrier": _MARKUP,
    "started": "2026-11-21T10:00:00.000Z",
    "first_audio_ms": 20,
    "duration_ms": 5000,
    "status": "completed",
    "reason": "",
    "tracks": [_TRACK],
    "pauses": [[2000, 3000]],
}
_API: dict[str, object] = {
    "/api/session": {"name": "ann", "role": "sre", "text": "redacted", "may": ["mic", "timeline"]},
    "/api/calls/CA1": {"call": _SUMMARY},
    "/api/calls/CA1/timeline": {"call": _SUMMARY, "streams": [_STREAM], "live": None},
}


def _event(n: int, kind: str, **fields: object) -> dict[str, object]:
    shared = {"type": kind, "call_id": "CA1", "stream_id": "MZ1", "epoch": 1, "n": n}
    return shared | {"at": "2026-11-21T10:00:00.000Z"} | fields


_WORDS = {"track": "inbound", "role": "customer", "segment": 1, "rev": 0, "start_ms": 0}
_EVENTS = [
    _event(1, "stream.started", carrier=_MARKUP, tracks=[], params={}),
    _event(2, "transcript.final", **_WORDS, text=f"{_MARKUP} [card]", end_ms=1000, reason="pause"),
    _event(3, "stream.ended", status="completed", reason="", duration_ms=5000, gap_ms=0),
]


async def _answer(request: web.Request) -> web.StreamResponse:
    path = request.path
    if path == "/api/calls/live":
        return _stream(f"event: calls\ndata: {json.dumps({'calls': [_SUMMARY]})}\n\n")
    if path == "/api/calls/CA1/events":
        events = [f"id: {event['n']}\ndata: {json.dumps(event)}\n\n" for event in _EVENTS]
        return _stream("".join(events) + 'event: end\ndata: {"events":3,"missing":0}\n\n')
    if path in _API:
        return web.json_response(_API[path])
    page = {"/": "index", "/mic": "mic", "/calls/CA1": "call"}.get(path, "timeline")
    return web.FileResponse(_STATIC / f"{page}.html", headers={"Content-Security-Policy": _CSP})


def _stream(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/event-stream")


type Open = Callable[[str], Awaitable[tuple[Page, list[str]]]]


@pytest.fixture
async def open_page() -> AsyncIterator[Open]:
    app = web.Application()
    app.router.add_static("/static", _STATIC)
    app.router.add_get("/{path:.*}", _answer)
    async with TestServer(app) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])

        async def open_page(path: str) -> tuple[Page, list[str]]:
            page = await browser.new_page(viewport={"width": 360, "height": 740})
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.append(said.text))
            page.on("dialog", lambda dialog: problems.append(dialog.message))
            page.set_default_timeout(_TIMEOUT_MS)
            await page.goto(str(server.make_url(path)))
            return page, problems

        yield open_page
        await browser.close()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", f"Customer: {_MARKUP}"),
        ("/calls/CA1", f"{_MARKUP} [card]"),
        ("/calls/CA1", "Complete: 3 events, none missing."),
        ("/calls/CA1/timeline", "Gaps (1)"),
        ("/mic", "Start speaking"),
    ],
)
async def test_page_shows_text_as_text_on_a_phone(open_page: Open, path: str, text: str) -> None:
    page, problems = await open_page(path)
    await page.get_by_text(text).first.wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    assert await page.locator("main").count() == 1
    assert problems == []
