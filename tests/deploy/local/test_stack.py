"""The local stack transcribes a call, ends cleanly, and reports parts that fail."""

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


async def test_transcribes_a_call_and_ends_cleanly() -> None:
    """Symptom: the endpoint ignored SIGTERM, and every demo took 5 s longer."""
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


async def test_a_part_that_does_not_start_is_reported_and_the_others_are_ended() -> None:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="parrot")
    with pytest.raises(ProcessFailed, match=r"engine ended with code 2\n.*ENGINE_MODEL"):
        async with local.running(settings):
            pass
    assert settings.ports.in_use() == []


async def test_a_part_that_crashes_is_reported() -> None:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        os.kill(stack.parts["gateway"].pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed, match="gateway ended with code -9"):
            await asyncio.wait_for(stack.until_failed(), 30)


def test_parts_do_not_inherit_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://production")
    monkeypatch.setenv("AWS_PROFILE", "production")
    part = local._module("gateway", "gateway", {"A": "b"}, ready=answers("h", 1))  # noqa: SLF001 (the environment is not public)
    assert part.env["A"] == "b"
    assert not [name for name in part.env if name.startswith(("GATEWAY_", "AWS_"))]
