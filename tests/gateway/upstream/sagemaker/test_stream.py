"""What a stream writes, whatever the moment it is told to end: a whole chain of signatures."""

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
    """An exchange that keeps what is written to it, and refuses more after the half-close."""

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
        """The messages in the body, which must be whole: signed, chained, with a signed end."""
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
        forget=lambda stream: None,
    )


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(7))
async def test_an_abort_at_any_turn_leaves_a_whole_chain(before: int, after: int) -> None:
    """Once a message is signed, no later signature is valid without it."""
    exchange, recorder = WrittenExchange(), Recorder()
    stream = stream_on(exchange, recorder)
    assert stream.send(b"one")
    await turns(before)
    assert stream.send(b"two")
    await turns(after)
    stream.abort()
    assert exchange.half_closed
    await recorder.end()
    await turns(7)
    assert exchange.messages() in ([], [b"one"], [b"one", b"two"])


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(7))
async def test_a_finish_at_any_turn_sends_all_and_ends_once(before: int, after: int) -> None:
    exchange, recorder = WrittenExchange(), Recorder()
    stream = stream_on(exchange, recorder)
    assert stream.send(b"one")
    await turns(before)
    assert stream.send(b"two")
    await turns(after)
    stream.finish()
    await asyncio.sleep(0.01)
    await turns(7)
    assert exchange.half_closed
    assert exchange.messages() == [b"one", b"two"]
    stream.abort()
    await recorder.end()
