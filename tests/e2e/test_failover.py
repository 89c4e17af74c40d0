"""A call through all processes, whose route has endpoints of two dialects: one is killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli import audit
from deploy.local import stack as local
from deploy.local.processes import Part, RunningPart, answers
from tests.e2e.test_whole_path import noise_call, play, read_all

ROUTES = """
[endpoints.main]
endpoint = "callscribe"

[endpoints.deepgram]
url = "ws://{host}:{port}"
dialect = "deepgram"
model = "nova-3"

[[routes]]
name = "all"
endpoints = ["main", "deepgram"]
spread = "in-order"
"""


@asynccontextmanager
async def second_engine(port: int, folder: Path) -> AsyncIterator[None]:
    """Run an engine that the gateway reaches without SageMaker."""
    settings = {"ENGINE_PORT": str(port), "ENGINE_MODEL": "checksum"}
    ready = answers(local.HOST, port, "/health")
    argv = (sys.executable, "-m", "container.cpu")
    part = await RunningPart.start(Part("second", argv, {**os.environ, **settings}, ready), folder)
    try:
        await part.until_ready(60)
        yield
    finally:
        await part.end()


async def test_deepgram_continues_a_call_whose_voxtral_endpoint_is_killed(tmp_path: Path) -> None:
    ports, second = local.Ports.free(), local.Ports.free().engine
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES.format(host=local.HOST, port=second))
    settings = local.StackSettings(
        ports=ports, engine_model="checksum", gateway={"GATEWAY_ROUTES_FILE": str(routes)}
    )
    async with second_engine(second, tmp_path), local.running(settings) as stack:
        call = noise_call(9000, seed=4)

        async def kill() -> None:
            await asyncio.sleep(4)
            await stack.parts["engine"].kill()

        await asyncio.gather(play(stack, call), kill())
        transcript, seen = await read_all(stack, call.call_id)
        log = (stack.folder / "gateway.log").read_text()
    assert (transcript.status, transcript.gap_ms) == ("completed", 0)
    account = audit.account(seen, call.tracks, exact=False)
    sent_ms = sum(len(audio) // 8 for audio in call.tracks.values())
    assert account == audit.Account(sent_ms, sent_ms)
    [ended] = [line for line in log.splitlines() if "stream-ended" in line]
    assert json.loads(ended)["endpoint"] == "deepgram,main"
