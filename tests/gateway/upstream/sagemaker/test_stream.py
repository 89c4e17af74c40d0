"""A stream that ends at any moment writes a complete chain of signatures."""

import asyncio
import time
from typing import cast

import pytest

from deploy.local.sagemaker.parts import SignedParts
from deploy.local.sagemaker.sigv4 import EventChain
from gateway.upstream.sagemaker.frames import FrameSigner
from gateway.upstream.sagemaker.http import CrtCallback, Exchange
from gateway.upstream.sagemaker.stream import FlushTick, SageMakerStream
from gateway.upstream.transport import ignore
from tests.gateway.upstream.peers import SECRET, Recorder

REGION, FIRST = "eu-central-1", "ab" * 32


class WrittenExchange:
    """An exchange that records what is written, and rejects writes after the half-close."""

    def __init__(self) -> None:
        self.body = b""
        self.half_closed = False

    def listen(self, receiver: object) -> None:
        pass

    def write(self, data: bytes, written: CrtCallback, *, end: bool) -> None:
        assert not self.half_closed
        self.body += data
        self.half_closed = end

    def leave(self, last: bytes) -> None:
        if not self.half_closed:
            self.body += last
            self.half_closed = True

    def messages(self) -> list[bytes]:
        """Return the messages in the body; check that all are signed and chained, up to the end."""
        parts = SignedParts(EventChain(SECRET, REGION, FIRST))
        parts.feed(self.body)
        found = list(iter(lambda: parts.next_part(time.time()), None))
        parts.finish()
        return [part.data for part in found]


def stream_on(exchange: WrittenExchange, receiver: Recorder) -> SageMakerStream:
    return SageMakerStream(
        cast(Exchange, exchange),
        FrameSigner(SECRET, REGION, FIRST),
        receiver,
        FlushTick(0),
        window=8,
        send_timeout_s=60,
        end_timeout_s=60,
        observe_wait_s=ignore,
        discard=lambda stream: None,
    )


async def loop_iterations(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(7))
async def test_abort_at_any_loop_iteration_leaves_a_complete_chain(before: int, after: int) -> None:
    """After a message is signed, no later signature is valid without it."""
    exchange, recorder = WrittenExchange(), Recorder()
    stream = stream_on(exchange, recorder)
    assert stream.send(b"one")
    await loop_iterations(before)
    assert stream.send(b"two")
    await loop_iterations(after)
    stream.abort()
    assert exchange.half_closed
    await recorder.end()
    await loop_iterations(7)
    assert exchange.messages() in ([], [b"one"], [b"one", b"two"])


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(7))
async def test_finish_at_any_loop_iteration_sends_all_messages_and_ends_once(
    before: int, after: int
) -> None:
    exchange, recorder = WrittenExchange(), Recorder()
    stream = stream_on(exchange, recorder)
    assert stream.send(b"one")
    await loop_iterations(before)
    assert stream.send(b"two")
    await loop_iterations(after)
    stream.finish()
    await asyncio.sleep(0.01)
    await loop_iterations(7)
    assert exchange.half_closed
    assert exchange.messages() == [b"one", b"two"]
    stream.abort()
    await recorder.end()
