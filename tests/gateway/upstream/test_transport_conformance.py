"""The contract of a transport, tested with every implementation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address
from gateway.upstream.transport import UpstreamStream, UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.gateway.upstream.peers import (
    LIMIT_S,
    EchoServer,
    Recorder,
    endpoint_before,
    sagemaker_to,
    texts,
)


@dataclass
class Rig:
    """A transport and its server."""

    transport: UpstreamTransport
    server: EchoServer

    async def open(self) -> tuple[UpstreamStream, Recorder]:
        recorder = Recorder()
        async with asyncio.timeout(LIMIT_S):
            return await self.transport.open(recorder), recorder


@contextlib.asynccontextmanager
async def rig_of(kind: str, path: str = "/v1/realtime", **changed: Any) -> AsyncIterator[Rig]:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(EchoServer().serving())
        transport: UpstreamTransport
        if kind == "sagemaker":
            endpoint = await stack.enter_async_context(endpoint_before(server))
            transport = sagemaker_to(endpoint.url, endpoint.ca_file, **changed)
        else:
            transport = WebSocketTransport(server.url + path, **changed)
        stack.push_async_callback(transport.close)
        yield Rig(transport, server)


@pytest.fixture(params=["sagemaker", "websocket"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(kind: str) -> AsyncIterator[Rig]:
    async with rig_of(kind) as made:
        yield made


async def test_messages_keep_their_order_in_both_directions(rig: Rig) -> None:
    stream, recorder = await rig.open()
    sent = texts(200)
    assert all(stream.send(message) for message in sent)
    assert await recorder.echoes(200) == sent
    assert rig.server.received == [sent]


async def test_message_has_any_size_up_to_the_limit(rig: Rig) -> None:
    stream, recorder = await rig.open()
    sent = [b"x", "für dich \N{SNOWMAN}".encode(), b"y" * 3_000_000, b"z"]
    assert all(stream.send(message) for message in sent)
    assert await recorder.echoes(4) == sent


async def test_binary_messages_keep_their_bytes_kind_and_order(rig: Rig) -> None:
    stream, recorder = await rig.open()
    sent = [b"{}", bytes(range(256)), b"text", b"\x00", b"\xff" * 3_000_000, b"{}"]
    kinds = [False, True, False, True, True, False]
    for message, is_binary in zip(sent, kinds, strict=True):
        assert stream.send(message, is_binary=is_binary)
    assert await recorder.echoes(6) == sent
    assert rig.server.received == [sent]
    assert rig.server.binary == [kinds]


async def test_the_window_counts_binary_messages(kind: str) -> None:
    async with rig_of(kind, window=4) as rig:
        stream, recorder = await rig.open()
        accepted = [stream.send(b"\xff", is_binary=True) for _ in range(5)]
        assert accepted == [True] * 4 + [False]
        await recorder.until(lambda it: it.writable == 1)
        assert await recorder.echoes(4) == [b"\xff"] * 4


async def test_path_and_query_reach_the_server_unchanged(kind: str) -> None:
    query = "keyterm=Contoso%20AG&keyterm=R%26D&keyterm=%C3%A9%2B1&a=1"
    async with rig_of(kind, path="") as rig:
        for each in (query, "b=%20", ""):
            await rig.transport.open(Recorder(), Address("v1/listen", each))
        assert rig.server.targets == [f"/v1/listen?{query}", "/v1/listen?b=%20", "/v1/listen"]


async def test_reply_in_a_binary_frame_is_a_message(rig: Rig) -> None:
    stream, recorder = await rig.open()
    stream.send(b"binary:delta")
    assert await recorder.echoes(1) == [b"delta"]


async def test_full_window_rejects_messages_until_on_writable(kind: str) -> None:
    async with rig_of(kind, window=8) as rig:
        stream, recorder = await rig.open()
        sent: list[bytes] = []
        for message in texts(50):
            while not stream.send(message):
                before = recorder.writable
                assert not stream.send(b"also rejected")
                await recorder.until(lambda it, before=before: it.writable > before)  # type: ignore[misc]
            sent.append(message)
        assert recorder.writable >= 3
        assert await recorder.echoes(50) == sent


async def test_on_writable_is_not_called_without_a_rejected_message(rig: Rig) -> None:
    stream, recorder = await rig.open()
    for message in texts(30):
        stream.send(message)
    await recorder.echoes(30)
    assert recorder.writable == 0


async def test_finish_sends_all_messages_and_receives_all_replies(rig: Rig) -> None:
    stream, recorder = await rig.open()
    sent = texts(100)
    assert all(stream.send(message) for message in sent)
    stream.finish()
    assert not stream.send(b"too late")
    assert await recorder.end() is None
    assert recorder.messages[1:] == sent
    assert rig.server.received == [sent]


async def test_finish_ends_an_idle_stream(rig: Rig) -> None:
    stream, recorder = await rig.open()
    await recorder.echoes(0)
    stream.finish()
    stream.finish()
    assert await recorder.end() is None


async def test_abort_ends_only_one_stream(rig: Rig) -> None:
    aborted, recorder = await rig.open()
    other, listener = await rig.open()
    aborted.send(b"never mind")
    aborted.abort()
    assert not recorder.closed, "on_closed is called from the event loop, not from within abort"
    assert not aborted.send(b"too late")
    assert await recorder.end() is None
    async with asyncio.timeout(LIMIT_S):
        await rig.server.gone[0].wait()
    assert other.send(b"still here")
    assert await listener.echoes(1) == [b"still here"]
    assert recorder.violations == []


async def test_stream_aborted_right_after_open_delivers_nothing_after_the_end(rig: Rig) -> None:
    """Symptom: messages that the peer had already sent were delivered after the end."""
    opened = [await rig.open() for _ in range(3)]
    for stream, _ in opened:
        stream.abort()
    async with asyncio.timeout(LIMIT_S):
        for number, (_, recorder) in enumerate(opened):
            assert await recorder.end() is None
            await rig.server.gone[number].wait()
    assert [recorder.messages for _, recorder in opened if recorder.violations] == []


async def test_receiver_may_abort_within_on_message(rig: Rig) -> None:
    stream, recorder = await rig.open()
    await recorder.echoes(0)
    recorder.then = lambda message: stream.abort()
    for message in texts(20):
        stream.send(message)
    assert await recorder.end() is None
    assert recorder.messages[1:] == [b"message 0"]
    assert recorder.violations == []


@pytest.mark.parametrize("code", [1011, 1012])
async def test_close_by_the_peer_ends_the_stream_with_a_reason(rig: Rig, code: int) -> None:
    stream, recorder = await rig.open()
    stream.send(b"close:%d" % code)
    error = await recorder.end()
    assert error is not None
    assert error.info.retry
    assert str(code) in error.detail
    assert not stream.send(b"too late")


async def test_calls_after_the_end_have_no_effect(rig: Rig) -> None:
    stream, recorder = await rig.open()
    stream.send(b"vanish")
    assert await recorder.end() is not None
    assert not stream.send(b"too late")
    stream.finish()
    stream.abort()
    stream.abort()
    await rig.transport.close()
    assert recorder.violations == []


async def test_exception_in_a_receiver_does_not_stop_streams(rig: Rig) -> None:
    raised: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    stream, recorder = await rig.open()
    other, listener = await rig.open()
    await recorder.echoes(0)
    recorder.then = lambda message: 1 // 0  # type: ignore[assignment]
    stream.send(b"one")
    await recorder.echoes(1)
    stream.send(b"two")
    other.send(b"three")
    assert await recorder.echoes(2) == [b"one", b"two"]
    assert await listener.echoes(1) == [b"three"]
    assert {type(error) for error in raised} == {ZeroDivisionError}


async def test_close_ends_every_stream_and_can_be_repeated(rig: Rig) -> None:
    recorders = [(await rig.open())[1] for _ in range(3)]
    async with asyncio.timeout(LIMIT_S):
        await rig.transport.close()
        await rig.transport.close()
    assert [await recorder.end() for recorder in recorders] == [None] * 3
    assert [recorder.violations for recorder in recorders] == [[]] * 3
    with pytest.raises(UpstreamError) as refused:
        await rig.open()
    assert refused.value.reason == "draining"


async def test_close_of_an_unused_transport_has_no_effect(kind: str) -> None:
    async with rig_of(kind) as rig:
        await rig.transport.close()


async def test_concurrent_streams_each_receive_their_own_messages(rig: Rig) -> None:
    opened = await asyncio.gather(*(rig.open() for _ in range(30)))
    for number, (stream, _) in enumerate(opened):
        stream.send(b"I am %d" % number)
    received = [await recorder.echoes(1) for _, recorder in opened]
    assert received == [[b"I am %d" % number] for number in range(30)]
    for stream, _ in opened:
        stream.finish()
    assert [await recorder.end() for _, recorder in opened] == [None] * 30
    assert all(not recorder.violations for _, recorder in opened)


async def test_nothing_is_delivered_before_open_has_returned(rig: Rig) -> None:
    recorder = Recorder()
    stream = await rig.transport.open(recorder)
    assert recorder.messages == []
    assert await recorder.echoes(0) == []
    stream.abort()
    await recorder.end()
