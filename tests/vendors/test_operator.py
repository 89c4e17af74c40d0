"""What an operator sees of a server that is not what the settings say, from a gateway process."""

from pathlib import Path

import pytest

from cli import events
from tests.e2e.test_broken_upstream import Log
from tests.e2e.test_drain import LIMIT_S, running
from tests.vendors.test_mismatch import serving


def is_failing(metrics: str) -> bool:
    lines = metrics.splitlines()
    return any(
        line.startswith("callscribe_endpoint_failing{") and line.endswith(" 1.0") for line in lines
    )


@pytest.mark.parametrize(
    ("dialect", "server", "reason", "detail"),
    [
        ("voxtral", "openai", "model-mismatch", "the server does not speak vLLM's Realtime API"),
        ("qwen3-asr", "not found", "endpoint-not-found", "status=404"),
    ],
)
async def test_reason_log_metric_and_readiness(
    redis_url: str, tmp_path: Path, dialect: str, server: str, reason: str, detail: str
) -> None:
    log = Log(tmp_path / "gateway.log")
    with log.opened() as file:
        async with serving(server) as url:
            settings = {"GATEWAY_REALTIME_URL": url, "GATEWAY_DIALECT": dialect}
            async with running(redis_url, file, GATEWAY_MODEL="m", **settings) as gateway:
                call = await gateway.call("CA1")
                await call.speak(1000)
                metrics = await gateway.until("/metrics", lambda _, text: is_failing(text))
                status, ready = await gateway.private("GET", "/readyz")
                await call.send("stop")
                await call.closed()
                async with events.connect(redis_url) as redis:
                    seen = await events.until_ended(redis, "CA1", idle_s=LIMIT_S)
    assert f'reason="{reason}"}} 1.0' in metrics
    assert status == 200
    assert f"degraded: {reason} (endpoint " in ready
    [line] = log.lines("upstream-failing")
    assert (line["reason"], line["detail"]) == (reason, detail)
    assert line["hint"]
    assert (seen[-1]["status"], seen[-1]["reason"]) == ("failed", reason)
    assert not any(event.get("text") for event in seen)
