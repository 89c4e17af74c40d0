"""Calls through the whole path to a container that speaks Deepgram's API behind SageMaker.

The local SageMaker endpoint passes the model's path and query on to the CPU engine; the bridge is
not in between.
"""

import asyncio

from deploy.local import stack as local
from tests.e2e.test_whole_path import assert_whole, noise_call, play, read_all


def settings(engine_model: str, **gateway: str) -> local.StackSettings:
    ports = local.Ports.free()
    return local.StackSettings(
        ports=ports,
        engine_model=engine_model,
        endpoint={"ENDPOINT_CONTAINER_URL": f"http://{local.HOST}:{ports.engine}"},
        gateway={"GATEWAY_DIALECT": "deepgram", "GATEWAY_MODEL": "nova-3", **gateway},
    )


async def test_every_sample_arrives_once_in_order_at_its_position() -> None:
    """One call ends in mid-word; during the other, the container crashes."""
    async with local.running(settings("checksum")) as stack:
        calls = [noise_call(1300), noise_call(8000, seed=2)]

        async def crash() -> None:
            await asyncio.sleep(5)
            await stack.crash("engine")

        await play(stack, calls[0])
        await asyncio.gather(play(stack, calls[1]), crash())
        for call in calls:
            assert_whole(call, *await read_all(stack, call.call_id))


async def test_a_rollover_loses_and_repeats_nothing() -> None:
    hard_s = {"GATEWAY_ROLLOVER_SOFT_S": "2", "GATEWAY_ROLLOVER_HARD_S": "3"}
    async with local.running(settings("checksum", **hard_s)) as stack:
        call = noise_call(7000, seed=3)
        await play(stack, call)
        transcript, seen = await read_all(stack, call.call_id)
    assert_whole(call, transcript, seen)
    assert {event["reason"] for event in seen if event["type"] == "transcript.final"} == {
        "rollover",
        "hangup",
    }
