"""The local stack as a whole: it carries a call, ends on request, and says what did not start."""

import asyncio
import os
import signal

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest

from cli import audit, demo, events
from cli.callers.twilio import Twilio
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import ProcessFailed, answers


async def test_a_call_through_it_and_a_clean_end() -> None:
    """Symptom: the endpoint did not end when asked, and every demo took five seconds longer."""
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    audio = audit.noise(1, 800)
    async with local.running(settings) as stack:
        tracks = {"inbound": audio, "outbound": audio}
        result = await demo.play(stack, Twilio(CREDENTIALS), tracks)
        async with events.connect(stack.redis_url) as redis:
            seen = await events.until_ended(redis, result.transcript.call_id, idle_s=5)
        parts = stack.parts.values()
        assert all(psutil.pid_exists(part.pid) for part in parts)
    assert {part.name: part.exit_code for part in parts} == dict.fromkeys(stack.parts, 0)
    assert not stack.folder.exists()

    assert result.transcript.status == "completed"
    assert result.transcript.missing == 0
    assert result.first_delta_ms is not None
    assert audit.account(seen, tracks) == audit.Account(audio_ms=1600, transcribed_ms=1600)


async def test_a_part_that_does_not_start_is_named_and_nothing_is_left() -> None:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="parrot")
    with pytest.raises(ProcessFailed, match=r"engine ended with code 2\n.*ENGINE_MODEL"):
        async with local.running(settings):
            pass
    assert settings.ports.in_use() == []


async def test_a_part_that_dies_later_is_named() -> None:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        os.kill(stack.parts["gateway"].pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed, match="gateway ended with code -9"):
            await asyncio.wait_for(stack.until_failed(), 30)


def test_what_the_user_set_for_real_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://production")
    monkeypatch.setenv("AWS_PROFILE", "production")
    part = local._module("gateway", "gateway", {"A": "b"}, ready=answers("h", 1))  # noqa: SLF001 (a process's environment is seen nowhere else)
    assert part.env["A"] == "b"
    assert not [name for name in part.env if name.startswith(("GATEWAY_", "AWS_"))]
