"""The content of calls must not appear in logs, metrics or tracebacks.

A whole gateway runs at DEBUG with a model that outputs a secret phrase and a carrier that sends
secret digits and numbers. Further cases fail in ways that quote their input.
"""

import base64
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import structlog
from redis.asyncio import Redis

from gateway import app, logs
from gateway.settings import Settings
from tests.e2e.replying_engine import engine
from tests.open_carriers import open_twilio
from tests.waiting import eventually

PHRASE = "the nightingale sings at midnight"
DIGITS = "#4*9#2*9"
NUMBER = "+15550109876"
PARAMETER = "customer-record-77"
AUDIO = base64.b64encode(b"nightingale" * 200).decode()
SECRETS = (PHRASE, "nightingale", "midnight", DIGITS, NUMBER, PARAMETER, AUDIO[:40])


@pytest.fixture
def captured() -> Iterator[io.StringIO]:
    """Capture everything that the process logs at DEBUG."""
    output = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    logs.configure("DEBUG", output)
    yield output
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


async def call(port: int, *extra: str) -> None:
    """Play a call with secrets; `extra` messages are sent before its stop."""
    start = {
        "callSid": "CA1",
        "streamSid": "MZ1",
        "tracks": ["inbound"],
        "customParameters": {"from": NUMBER, "record": PARAMETER},
    }
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{port}/media/twilio?caller={NUMBER}") as socket,
    ):
        await socket.send_json({"event": "start", "start": start})
        for _ in range(3):
            await socket.send_json({"event": "media", "media": {"payload": AUDIO}})
        await socket.send_json({"event": "dtmf", "dtmf": {"digit": DIGITS}})
        for message in extra:
            await socket.send_str(message)
        await socket.send_json({"event": "stop"})
        while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass


async def run_call(redis_url: str, reply: str, captured: io.StringIO, *extra: str) -> str:
    """Serve one call; return the log and the metrics."""
    async with engine(lambda _: reply) as url:
        settings = Settings(
            _env_file=None,
            port=0,
            admin_port=0,
            public_url="https://gw.example.com",
            redis_url=redis_url,
            upstream="websocket",
            realtime_url=url,
            retry_budget_s=0.2,  # failing replies do not recover
            log_level="DEBUG",
        )
        async with app.serve(settings, [open_twilio()]) as ports:
            await call(ports.public, *extra)
            await eventually(lambda: "stream-ended" in captured.getvalue())
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{ports.admin}/metrics") as reply_,
            ):
                metrics = await reply_.text()
    return captured.getvalue() + metrics


@pytest.mark.parametrize(
    ("reply", "extra", "reason"),
    [
        (json.dumps({"type": "transcription.delta", "delta": f" {PHRASE}"}), (), "carrier-stopped"),
        (
            f'{{"type":"transcription.delta","delta":7,"x":"{PHRASE}"}}',
            (),
            "realtime-protocol-error",
        ),
        (f'{{"{PHRASE}', (), "realtime-protocol-error"),
        (
            json.dumps({"type": "error", "error": PHRASE, "code": PHRASE}),
            (),
            "realtime-error",
        ),
        (
            '{"type":"unknown"}',
            (f'{{"event":"media","media":"{PHRASE} {DIGITS}',),
            "carrier-stopped",
        ),
        ("{}", (f'{{"{PHRASE} {DIGITS}',), "malformed-message"),
        (
            '{"type":"unknown"}',
            (f'{{"event":"media","media":{{"payload":5,"{PHRASE}":"{DIGITS}"}}}}',),
            "carrier-stopped",
        ),
    ],
)
async def test_content_is_not_logged(
    redis_url: str, captured: io.StringIO, reply: str, extra: tuple[str, ...], reason: str
) -> None:
    shown = await run_call(redis_url, reply, captured, *extra)
    assert f'"reason": "{reason}"' in shown
    assert "callscribe_calls_total" in shown
    for secret in SECRETS:
        assert secret not in shown


async def test_a_crash_is_logged_without_its_message(
    redis_url: str, captured: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line of a traceback may quote the text that caused the failure."""

    def fail(self: object, text: str, *_: object) -> None:
        raise ValueError(f"could not cut {text!r}")

    monkeypatch.setattr("gateway.transcript.segmenter.Segmenter.close", fail)
    reply = json.dumps({"type": "transcription.delta", "delta": f" {PHRASE}"})
    shown = await run_call(redis_url, reply, captured)
    assert "stream-crashed" in shown
    assert "ValueError" in shown
    for secret in SECRETS:
        assert secret not in shown


def test_uncaught_exceptions_are_logged_without_their_message(captured: io.StringIO) -> None:
    def crash() -> None:
        raise ValueError(PHRASE)

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    logging.getLogger("aiohttp").error("library", extra={"content": PHRASE})
    assert '"event": "crashed"' in captured.getvalue()
    assert "ValueError" in captured.getvalue()
    assert PHRASE not in captured.getvalue()


async def test_the_content_is_in_redis(redis_url: str, captured: io.StringIO) -> None:
    """Check that the tests above can fail: the phrase was transcribed."""
    reply = json.dumps({"type": "transcription.delta", "delta": f" {PHRASE}"})
    await run_call(redis_url, reply, captured)
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        [key] = [key async for key in client.scan_iter("*:call:CA1")]
        events: Any = await client.xrange(key)
    assert any(PHRASE in fields.get("text", "") for _, fields in events)
    assert DIGITS not in str(events)
