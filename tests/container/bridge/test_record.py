"""The bridge's metrics and log lines describe sessions, and contain nothing of what was said."""

import json
import logging
import signal
import sys
import threading
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import Iterator
from io import StringIO
from os import environ
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from common import json_logs
from container.bridge.record import Metrics
from tests import metrics_lint
from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import FINAL, ScriptedEngine
from tests.container.bridge.test_bridge import APPEND, closed, platform, send_close

PAGE = Path(__file__).parents[3] / "docs/container.md"
SECRET = "my card number is"


@pytest.fixture
def log() -> Iterator[StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = StringIO()
    json_logs.configure(stream)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:], level = before
    root.setLevel(level)


def lines(log: StringIO, event: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in read if line["event"] == event]


async def scrape(url: str) -> dict[str, float]:
    """Return the samples of /metrics without their labels' names."""
    async with ClientSession() as session, session.get(f"{url}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in families
            for sample in family.samples
        }


async def test_a_session_has_one_log_line(engine: ScriptedEngine, log: StringIO) -> None:
    async with bridge(engine.url, max_sessions=1) as (url, _), platform(url) as ws:
        await ws.send_str(APPEND)
        await ws.send_str(FINAL)
        for _ in range(4):
            await ws.receive_str()
        async with platform(url) as refused:
            await closed(refused)
        await send_close(ws)
        await closed(ws)
    [refusal] = lines(log, "session-refused")
    assert (refusal["end"], refusal["code"], refusal["level"]) == ("at_capacity", 1013, "warning")
    [ended] = lines(log, "session-ended")
    assert (ended["end"], ended["code"], ended["level"]) == ("completed", 1000, "info")
    assert (ended["frames_to_engine"], ended["frames_to_platform"]) == (2, 4)
    assert 0 <= ended["engine_open_ms"] <= ended["first_delta_ms"] <= ended["duration_ms"]


async def test_metrics_count_pings(engine: ScriptedEngine) -> None:
    async with ClientSession() as http:
        async with bridge(engine.url) as (url, _):
            await http.get(f"{url}/ping")
            assert (await scrape(url))["callscribe_bridge_pings_total healthy"] == 1
        async with bridge("http://127.0.0.1:1") as (url, _):
            await http.get(f"{url}/ping")
            assert (await scrape(url))["callscribe_bridge_pings_total unhealthy"] == 1


async def test_metrics_describe_the_sessions(engine: ScriptedEngine) -> None:
    async with bridge(engine.url, max_sessions=1) as (url, _):
        async with platform(url) as ws:
            await ws.send_str(APPEND)
            for _ in range(2):
                await ws.receive_str()
            seen = await scrape(url)
            assert seen["callscribe_bridge_sessions"] == 1
            assert seen["callscribe_bridge_sessions_limit"] == 1
            assert seen["callscribe_bridge_frames_total engine"] == 1
            assert seen["callscribe_bridge_frames_total platform"] == 2
            assert seen["callscribe_bridge_engine_open_seconds_count"] == 1
            assert seen["callscribe_bridge_first_delta_seconds_count"] == 1
            async with platform(url) as refused:
                await closed(refused)
            await send_close(ws)
            await closed(ws)
        seen = await scrape(url)
        assert seen["callscribe_bridge_sessions"] == 0
        assert seen["callscribe_bridge_session_seconds_count"] == 1
        assert seen["callscribe_bridge_sessions_ended_total completed"] == 1
        assert seen["callscribe_bridge_sessions_ended_total at_capacity"] == 1


def test_metrics_follow_the_conventions() -> None:
    registry = CollectorRegistry()
    Metrics(registry, max_sessions=1)
    assert metrics_lint.problems(registry) == []


def test_metrics_are_documented() -> None:
    registry = CollectorRegistry()
    Metrics(registry, max_sessions=1)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    page = PAGE.read_text(encoding="utf-8")
    for family in families:
        if not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"| `{name}` | {family.type} |" in page
            assert f"| {family.documentation} |" in page


async def test_neither_logs_nor_metrics_contain_content(
    engine: ScriptedEngine, log: StringIO
) -> None:
    engine.error = json.dumps({"type": "error", "error": SECRET, "code": "processing_error"})
    logging.getLogger().setLevel(logging.DEBUG)
    async with bridge(engine.url) as (url, _), platform(url) as ws:
        await ws.send_str(json.dumps({"type": "x", "text": SECRET}))
        await ws.send_str(FINAL)
        await ws.send_bytes(b"\xff" + SECRET.encode())
        assert await closed(ws) == (1007, "text expected")
        text = str(await scrape(url))
    assert lines(log, "session-ended")
    assert SECRET not in log.getvalue() + text


def test_exceptions_are_logged_by_type_and_place(log: StringIO) -> None:
    try:
        raise ValueError(SECRET)  # noqa: TRY301 - the log shows this place
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    [line] = lines(log, "Error handling request")
    [exception] = line["exception"]
    assert exception["type"] == "ValueError"
    assert exception["at"][-1].endswith("test_exceptions_are_logged_by_type_and_place")
    assert SECRET not in log.getvalue()


def test_crash_is_logged_without_its_text(
    log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Symptom: Python's own hook printed the text of an exception that ended the process."""
    sys.excepthook(ValueError, ValueError(SECRET), None)
    [line] = lines(log, "crashed")
    assert line["exception"][0]["type"] == "ValueError"
    assert SECRET not in log.getvalue() + capsys.readouterr().err


async def test_a_process_logs_json_and_drains_at_sigterm(engine: ScriptedEngine) -> None:
    env = {**environ, "BRIDGE_PORT": "0", "BRIDGE_ENGINE_URL": engine.url}
    process = await create_subprocess_exec(
        sys.executable, "-m", "container.bridge", env=env, stderr=PIPE
    )
    assert process.stderr
    started = json.loads(await process.stderr.readline())
    assert (started["event"], started["max_sessions"]) == ("listening", 256)
    async with platform(f"http://127.0.0.1:{started['port']}") as ws:
        await ws.receive_str()
        process.send_signal(signal.SIGTERM)
        draining = json.loads(await process.stderr.readline())
        assert (draining["event"], draining["sessions"]) == ("draining", 1)
        await ws.send_str(FINAL)
        assert "two" in await ws.receive_str()
        await send_close(ws)
        assert await closed(ws) == (1000, "")
    rest = [json.loads(line) async for line in process.stderr]
    assert [line["event"] for line in rest] == ["session-ended", "drained"]
    assert await process.wait() == 0
