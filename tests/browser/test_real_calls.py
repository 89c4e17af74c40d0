"""Real speech in Chromium: a call through the local stack, and the microphone page."""

import asyncio
import contextlib
import re
from typing import Final

import aiohttp
import pytest
from playwright.async_api import Page

from cli import events, recordings
from cli.callers import twilio
from cli.callers.call import RATE_HZ, Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.recordings import read_mulaw
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from gateway.transcript.keys import encode_id
from tests.browser.chromium import chromium, needs_chromium, tab
from tests.speech import TWO_CITIES, plain_words
from workers.client import CallTranscript, Hole, TranscriptDelta, create_client, follow

pytestmark = [needs_chromium, pytest.mark.speech, pytest.mark.timeout(180)]

_SPOKEN_S: Final = 10
_MESSAGES_PER_S: Final = 50  # of 20 ms


def a_call() -> Call:
    """Return a call in which the carrier loses 2 s of audio."""
    audio = read_mulaw(recordings.two_cities())[: _SPOKEN_S * RATE_HZ]
    call = Call({"inbound": audio, "outbound": b""})
    messages = list(twilio.dialogue(call, {}).media())
    lost = slice(4 * _MESSAGES_PER_S, 6 * _MESSAGES_PER_S)
    call.prepared = [*messages[: lost.start], *messages[lost.stop :]]
    return call


async def transcript_of(stack: local.Stack, call_id: str) -> tuple[CallTranscript, int]:
    """Return a call's transcript from Redis, and how many deltas it had."""
    transcript, deltas = CallTranscript(call_id), 0
    async with contextlib.aclosing(create_client(stack.redis_url)) as client:
        async for event in follow(client, call_id, partitions=events.PARTITIONS):
            if not isinstance(event, Hole):
                transcript.apply(event)
                deltas += isinstance(event, TranscriptDelta)
    return transcript, deltas


async def shown_lines(page: Page) -> list[str]:
    """Return the texts of the lines of a transcript."""
    texts = await page.locator(".line p").evaluate_all("all => all.map(p => p.firstChild.data)")
    return [str(text).strip() for text in texts]


async def test_real_call_and_microphone_are_transcribed_on_the_pages() -> None:
    """Words appear, finals replace them, a gap is marked; the page has what Redis has."""
    settings = local.StackSettings(ports=local.Ports.free(), with_pages=True)
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recordings.two_cities()}%noloop",
    )
    async with (
        local.running(settings) as stack,
        chromium(*fake) as browser,
        tab(browser, permissions=["microphone"]) as opened,
    ):
        page = opened.page
        await page.goto(stack.page_link())
        await opened.see("No calls")
        await opened.shoot("empty")
        await check_call(stack, page)
        await opened.shoot("real-call")
        await page.goto(f"{stack.relay_url}/mic")
        await page.get_by_role("button", name="Start speaking").click()
        await page.locator(".line:not(.partial)").first.wait_for(timeout=60_000)
        await opened.shoot("real-microphone")
        await page.get_by_role("button", name="Stop").click()
        await page.locator(".complete").wait_for(timeout=30_000)
        assert "none missing" in await page.locator(".complete").inner_text()
        heard = plain_words(" ".join(await shown_lines(page)))
        assert heard[:6] == plain_words(TWO_CITIES)[:6]
        assert not [each for each in opened.problems if "Failed to load" not in each]


async def check_call(stack: local.Stack, page: Page) -> None:
    """Play a call, and kill the workers in the middle; compare the call's page with its events."""
    call = a_call()
    call_id = encode_id(call.call_id)
    async with aiohttp.ClientSession() as http:
        gateway = Gateway(stack.media_url, stack.public_url)
        playing = asyncio.create_task(place(http, gateway, twilio.Twilio(CREDENTIALS), call))
        row = page.get_by_role("link").and_(page.locator(f"[href*='{call_id}']"))
        await row.first.click(timeout=30_000)
        await page.locator(".line.partial").first.wait_for(timeout=30_000)
        await stack.crash("workers")
        await playing
    await page.locator(".complete").wait_for(timeout=60_000)
    transcript, deltas = await transcript_of(stack, call_id)
    assert deltas > len(transcript.segments)
    texts = [segment.text for segment in transcript.segments]
    assert [text.split() for text in await shown_lines(page)] == [text.split() for text in texts]
    assert transcript.gap_ms == 4000  # on two tracks
    marks = await page.locator(".mark").all_inner_texts()
    assert [mark for mark in marks if re.search(r"2\.0 s of audio without words", mark)]
    complete = await page.locator(".complete").inner_text()
    assert f"{transcript.events} events, none missing" in complete
