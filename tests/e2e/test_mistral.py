"""Calls through the gateway to a server with Mistral's protocol."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Mapping, Sequence

from cli import audit
from cli.callers.call import Call
from deploy.local import stack as local
from tests.e2e.test_whole_path import play, read_all

PAUSE = b"\xff" * 8 * 2400


def settings(
    model: str = "checksum", engine: dict[str, str] | None = None, **gateway: str
) -> local.StackSettings:
    ports = local.Ports.free()
    url = f"ws://{local.HOST}:{ports.engine}"
    upstream = {"GATEWAY_UPSTREAM": "websocket", "GATEWAY_REALTIME_URL": url}
    return local.StackSettings(
        ports=ports,
        engine_model=model,
        engine=engine or {},
        gateway={"GATEWAY_DIALECT": "mistral", **upstream, **gateway},
    )


def talk(seed: int) -> bytes:
    """Make audio of 12.1 s: three stretches of sound, with pauses between them."""
    sounds = [audit.noise(seed + n, length_ms) for n, length_ms in enumerate((3000, 1700, 2600))]
    return PAUSE.join(sounds)


def account(seen: Sequence[Mapping[str, str]], call: Call) -> audit.Account:
    """Account for a call's audio by its finals: only their times are exact."""
    kept = [event for event in seen if event["type"] != "transcript.delta"]
    numbered = [{**event, "n": str(n)} for n, event in enumerate(kept, start=1)]
    return dataclasses.replace(audit.account(numbered, call.tracks), shed_deltas=0)


async def assert_arrives(stack: local.Stack, call: Call, *meanwhile: Awaitable[object]) -> None:
    """Play a call; assert that all of it was transcribed once, at its position."""
    await asyncio.gather(play(stack, call), *meanwhile)
    transcript, seen = await read_all(stack, call.call_id)
    assert transcript.status == "completed"
    assert transcript.missing == 0
    sent_ms = sum(len(audio) // 8 for audio in call.tracks.values())
    assert account(seen, call) == audit.Account(sent_ms, sent_ms)
    finals = [event for event in seen if event["type"] == "transcript.final"]
    assert {event.get("language") for event in finals if event["text"]} == {"en"}


async def test_every_sample_arrives_once_in_order() -> None:
    async with local.running(settings()) as stack:

        async def crash() -> None:
            await asyncio.sleep(4.0)
            await stack.crash("engine")

        await assert_arrives(stack, Call({"inbound": talk(10), "outbound": audit.noise(1, 12_100)}))
        await assert_arrives(stack, Call({"inbound": talk(30)}), crash())


async def test_a_rollover_loses_no_sample() -> None:
    form = settings(GATEWAY_ROLLOVER_SOFT_S="2", GATEWAY_ROLLOVER_HARD_S="5")
    async with local.running(form) as stack:
        await assert_arrives(stack, Call({"inbound": talk(40), "outbound": audit.noise(2, 12_100)}))
