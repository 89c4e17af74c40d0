"""Failover from and to Mistral's dialect, whose words are late, with the limits of real calls.

`tests/simulation/test_failover.py` plays all pairs of dialects with shorter limits.
"""

import asyncio
import base64
from collections.abc import Iterator
from itertools import cycle, product
from random import Random
from typing import Any

import pytest

from cli import audit
from gateway.admission.admission import Admission, pools
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Access
from gateway.admission.routes import Routes
from gateway.calls.termination import Termination
from gateway.metrics import Metrics
from gateway.transcript.events import Status
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import DialectName
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.gateway.calls.cpu_server import CpuServer
from tests.gateway.calls.mistral_server import SILENCE, account
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedTransport
from tests.simulation.model import MODEL
from tests.simulation.test_faults import DIALECTS

SPEECH_AND_PAUSES_MS = ((3000, 700), (2600, 2400), (7000, 400), (1010, 0))
PAIRS: list[tuple[DialectName, DialectName]] = [
    pair
    for dialect in DIALECTS
    if dialect is not DialectName.MISTRAL
    for pair in ((DialectName.MISTRAL, dialect), (dialect, DialectName.MISTRAL))
]
PAIRS.append((DialectName.MISTRAL, DialectName.MISTRAL))
HOW = ("connection-lost", "model-mismatch", "stalled")
# In a pause, with and without provisional text, in a rollover, around the hang-up.
TIMES_S = (0.5, 3.2, 7.5, 9.4, 12.3, 16.9, 17.11)


def _sample() -> Iterator[tuple[DialectName, DialectName, str, float]]:
    cases = cycle(product(TIMES_S, HOW))
    for first, second in PAIRS:
        for _ in range(2):
            at_s, how = next(cases)
            yield first, second, how, at_s


SAMPLE = list(_sample())


class Gateway:
    """The admission of a gateway with one route to two endpoints."""

    def __init__(self, first: DialectName, second: DialectName) -> None:
        loop = asyncio.get_running_loop()
        self.servers = {"a": CpuServer(first), "b": CpuServer(second)}
        endpoints = {name: {"url": "ws://127.0.0.1:1/", "sessions": 4} for name in self.servers}
        route = {"name": "all", "endpoints": list(endpoints), "spread": "in-order"}
        routes = Routes.model_validate({"endpoints": endpoints, "routes": [route]})
        store = MemoryCapacityStore(loop.time)
        self.admission = Admission(
            routes,
            {name: Access(s, s.dialect, Options(MODEL)) for name, s in self.servers.items()},
            Capacity(store, pools(routes), owner="gateway", lease_s=3000),
            Metrics(),
            wait_s=0,
            random=Random(1),  # noqa: S311 - jitter
            monotonic_s=loop.time,
        )

    def fail_first(self, how: str) -> None:
        """Make the first endpoint's sessions fail, and refuse new ones."""
        endpoint = self.servers["a"].endpoint
        endpoint.refusal = "connect-refused"
        if how == "stalled":
            endpoint.stall_all()
        else:
            endpoint.break_all(how)


async def talk(harness: StreamHarness) -> bytes:
    """Send a call's audio in real time; return it."""
    parts = enumerate(SPEECH_AND_PAUSES_MS)
    mulaw = b"".join(audit.noise(seed, ms) + SILENCE * (8 * pause) for seed, (ms, pause) in parts)
    for at in range(0, len(mulaw), 160):
        payload = base64.b64encode(mulaw[at : at + 160]).decode()
        media = {"track": "inbound", "payload": payload, "timestamp": str(at // 8)}
        harness.feed("media", media=media)
        await asyncio.sleep(0.02)
    return mulaw


@pytest.mark.parametrize(("first", "second", "how", "at_s"), SAMPLE)
def test_the_other_endpoint_continues(
    first: DialectName, second: DialectName, how: str, at_s: float
) -> None:
    @in_virtual_time
    async def play() -> None:
        gateway = Gateway(first, second)
        limits: dict[str, Any] = {
            "finish_timeout_s": 30,
            "done_timeout_s": 10,
            "rollover_soft_s": 9,
        }
        async with (
            gateway.admission.enter("twilio") as reservation,
            running_stream(ScriptedTransport(), reservation=reservation, **limits) as call,
        ):
            harness, task = call
            harness.start()
            asyncio.get_running_loop().call_later(at_s, gateway.fail_first, how)
            sent = await talk(harness)
            harness.feed("stop")
            termination: Termination = await task
        assert termination.status is Status.COMPLETED
        sent_ms = len(sent) // 8
        assert account(harness.events, sent) == audit.Account(sent_ms, sent_ms)
        assert all(server.endpoint.breaches == [] for server in gateway.servers.values())

    play()
