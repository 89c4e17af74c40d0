"""The pages as they are served: headers, compression, weight."""

import gzip
import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp import ClientSession

from tests.workers.relay.a_relay import ARelay, running
from workers.relay.pages import policy

PAGES: Final = ("/", "/calls/CA1", "/calls/CA1/timeline", "/mic", "/open")
MAX_BYTES: Final = 150 * 1024  # of one page with all its files


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[ARelay]:
    async with running(redis_url) as a_relay:
        yield a_relay


async def test_pages_can_run_only_their_own_scripts(relay: ARelay) -> None:
    async with ClientSession(relay.url) as http:
        for path in PAGES:
            async with http.get(path) as response:
                text = await response.text()
                assert response.headers["Content-Security-Policy"] == policy("")
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "unsafe" not in response.headers["Content-Security-Policy"]
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", text)
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_page_with_all_its_files_is_small(relay: ARelay) -> None:
    async with ClientSession(relay.url, auto_decompress=False) as http:
        for page in PAGES:
            found, sizes = [page], dict[str, int]()
            while found:
                path = found.pop()
                async with http.get(path, headers={"Accept-Encoding": "gzip"}) as response:
                    assert response.status == 200, path
                    body = await response.read()
                sizes[path] = len(body)
                found += [each for each in _references(path, _text(body)) if each not in sizes]
            assert sum(sizes.values()) < MAX_BYTES, sizes


def _text(body: bytes) -> str:
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


def _references(path: str, text: str) -> list[str]:
    """Return the files that a page or a module loads."""
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
    if path.endswith(".js"):
        folder = path.rpartition("/")[0]
        for name in re.findall(r'from "(\.[^"]+)"', text):
            parent = folder if name.startswith("./") else folder.rpartition("/")[0]
            named.append(f"{parent}/{name.split('/', 1)[1]}")
    return named


async def test_file_that_the_browser_has_is_not_sent_again(relay: ARelay) -> None:
    async with ClientSession(relay.url) as http:
        async with http.get("/static/callscribe.js") as response:
            headers = {"If-None-Match": response.headers["ETag"]}
            assert response.content_type == "text/javascript"
        async with http.get("/static/callscribe.js", headers=headers) as response:
            assert response.status == 304
        async with http.get("/static/../api.py") as response:
            assert response.status == 404
