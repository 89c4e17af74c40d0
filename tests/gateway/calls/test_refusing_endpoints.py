"""Failures that no retry at the same endpoint would fix: the call continues at another endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.calls.termination import Termination
from gateway.errors import REASONS, UpstreamError
from gateway.transcript.events import Status, TranscriptFinal, TranscriptGap
from tests.gateway.admission.admission_harness import AdmissionHarness, endpoint
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_sessions import talk
from tests.gateway.scripted import ScriptedStream, ScriptedTransport

REASONS_OF_ENDPOINTS = [
    "access-denied",
    "endpoint-not-found",
    "model-mismatch",
    "model-not-found",
    "tls-untrusted",
    "validation-error",
]
WORDS_PER_S = 12.5


def answering(stream: ScriptedStream) -> None:
    """Script a model with a word and no word in turns, one for each 80 ms."""
    sent = 0

    def on_sent(message: dict[str, Any]) -> None:
        nonlocal sent
        if "audio" in message:
            stream.delta(f" w{sent}")
            sent += 1
        elif message.get("final"):
            stream.done()

    stream.on_sent = on_sent
    stream.created()


def admission(*names: str) -> AdmissionHarness:
    """Return the admission of a gateway with one route to these endpoints, in this order."""
    return AdmissionHarness(
        {name: endpoint() for name in names},
        [{"name": "all", "endpoints": list(names), "spread": "in-order"}],
        greet=answering,
    )


@asynccontextmanager
async def call(
    gateway: AdmissionHarness, **limits: Any
) -> AsyncIterator[tuple[StreamHarness, "asyncio.Task[Termination]"]]:
    """Run a call on one track."""
    unused = ScriptedTransport()
    async with (
        gateway.admission.enter("twilio") as reservation,
        running_stream(unused, reservation=reservation, **limits) as (harness, task),
    ):
        harness.start()
        yield harness, task


async def hang_up(harness: StreamHarness, task: "asyncio.Task[Termination]") -> tuple[str, str]:
    harness.feed("stop")
    termination = await asyncio.wait_for(task, 100)
    return termination.status, termination.reason


def set_aside(logs: list[Any]) -> list[tuple[str, str, float]]:
    lines = (line for line in logs if line["event"] == "endpoint-set-aside")
    return [(line["endpoint"], line["reason"], line["seconds"]) for line in lines]


@pytest.mark.parametrize("reason", REASONS_OF_ENDPOINTS)
@pytest.mark.parametrize("names", ["a", "ab"])
@pytest.mark.parametrize("is_early", [True, False])
def test_another_endpoint_continues_the_call(reason: str, names: str, is_early: bool) -> None:
    """Symptom: the call failed although its route had another endpoint."""
    assert not REASONS[reason].retry

    @in_virtual_time
    async def play() -> None:
        gateway = admission(*names)
        first = gateway.transports["a"]
        error = UpstreamError(reason)
        with capture_logs() as logs:
            async with call(gateway) as (harness, task):
                first.refusal = error if is_early else None
                await talk(harness, 2)
                if not is_early:
                    first.streams[0].close(error)
                    first.refusal = error
                await talk(harness, 2)
                ended = await hang_up(harness, task)
        assert set_aside(logs) == [("a", reason, 30)]
        assert [line["hint"] is None for line in logs if line["event"] == "upstream-failing"] == [
            False
        ]
        assert gateway.metric("endpoint_failing", endpoint="a") == 1
        failing = gateway.admission.failing_endpoints()
        assert {name: each.reason for name, each in failing.items()} == {"a": reason}
        if names == "a":
            assert ended == (Status.FAILED, reason)
            return
        assert ended == (Status.COMPLETED, "carrier-stopped")
        assert harness.of(TranscriptGap) == []
        said = sum(len(final.text.split()) for final in harness.of(TranscriptFinal))
        assert 4 * WORDS_PER_S <= said <= 4 * WORDS_PER_S + 2  # and the filter's tail
        assert len(first.streams) == (not is_early)

    play()


@in_virtual_time
async def test_the_call_ends_once_all_endpoints_have_refused_it() -> None:
    gateway = admission("a", "b", "c")
    for name, reason in (("a", "access-denied"), ("b", "model-not-found"), ("c", "tls-untrusted")):
        gateway.transports[name].refusal = UpstreamError(reason)
    async with call(gateway) as (harness, task):
        await talk(harness, 3)
        assert await hang_up(harness, task) == (Status.FAILED, "tls-untrusted")
    assert set(gateway.admission.failing_endpoints()) == {"a", "b", "c"}


@in_virtual_time
async def test_an_endpoint_that_is_down_is_left() -> None:
    """It may work again; the one that has refused the call is not asked again meanwhile."""
    gateway = admission("a", "b")
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    first, second = gateway.transports["a"], gateway.transports["b"]
    first.on_open = count
    first.refusal = UpstreamError("model-not-found")
    second.refusal = UpstreamError("connect-refused")
    async with call(gateway) as (harness, task):
        await talk(harness, 8)
        second.refusal = None
        gateway.now_s = 20  # the breaker of b lets a probe pass, and a is set aside still
        await talk(harness, 6)
        ended = await hang_up(harness, task)
    assert ended == (Status.COMPLETED, "carrier-stopped")
    assert harness.of(TranscriptGap) == []
    assert asked == 1


@in_virtual_time
async def test_a_rollover_goes_to_another_endpoint() -> None:
    """A key that was revoked during the call: its session continues, others are refused."""
    gateway = admission("a", "b")
    async with call(gateway, rollover_soft_s=3, rollover_hard_s=5) as (harness, task):
        await talk(harness, 2)
        gateway.transports["a"].refusal = UpstreamError("access-denied")
        await talk(harness, 16)
        ended = await hang_up(harness, task)
    assert ended == (Status.COMPLETED, "carrier-stopped")
    assert harness.of(TranscriptGap) == []
    assert gateway.transports["b"].streams


class TestTriedAgain:
    @staticmethod
    async def went(gateway: AdmissionHarness) -> str:
        async with gateway.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            if slot.endpoint == "a":
                slot.worked()  # words come, before it is found that they are not the model's
                slot.failed(UpstreamError("model-mismatch"))
            else:
                slot.worked()
            return slot.endpoint

    async def test_after_a_while_that_doubles(self) -> None:
        gateway = admission("a", "b")
        went = []
        for now_s in (0, 29, 31, 60, 90, 92, 211, 213, 452, 454, 752, 755):
            gateway.now_s = now_s
            went.append(await self.went(gateway))
        assert "".join(went) == "ab" * 2 + "ba" + "ba" * 3

    async def test_an_answer_of_another_session_proves_nothing(self) -> None:
        """Symptom: `/readyz` was ok again with each first answer of the wrong model."""
        gateway = admission("a", "b")
        async with (
            gateway.admission.enter("twilio") as one,
            gateway.admission.enter("twilio") as other,
        ):
            first, second = await one.acquire_slot(), await other.acquire_slot()
            assert (first.endpoint, second.endpoint) == ("a", "a")
            first.worked()
            first.failed(UpstreamError("model-mismatch"))
            second.worked()
            assert gateway.admission.failing_endpoints()["a"].reason == "model-mismatch"
            assert (await other.acquire_slot()).endpoint == "b"

    async def test_by_the_call_itself(self) -> None:
        gateway = admission("a", "b")
        async with gateway.admission.enter("twilio") as reservation:
            for now_s, name, is_left in ((0, "a", True), (10, "b", False), (41, "a", True)):
                gateway.now_s = now_s
                slot = await reservation.acquire_slot()
                slot.failed(UpstreamError("access-denied"))
                slot.release()
                assert (slot.endpoint, reservation.has_endpoint_left) == (name, is_left)
                gateway.now_s = now_s + 31
                assert reservation.has_endpoint_left
