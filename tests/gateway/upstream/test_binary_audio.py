"""A session whose dialect sends audio in binary messages."""

import asyncio

from gateway.upstream.dialects.deepgram import Deepgram
from gateway.upstream.dialects.dialect import Address, Answer, Options
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import StreamReceiver, UpstreamStream

KEEP_ALIVE = b'{"type":"KeepAlive"}'
CLOSE = b'{"type":"CloseStream"}'


class Peer:
    """A transport and its stream; records each message and whether it is binary."""

    longest_stream_s: float | None = None

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bool]] = []
        self.room = 1000

    async def open(self, receiver: StreamReceiver, _: Address | None = None) -> UpstreamStream:
        self.receiver = receiver
        return self

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        if len(self.sent) >= self.room:
            return False
        self.sent.append((message, is_binary))
        return True

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Listener:
    """Counts how often audio is accepted again."""

    writable = 0

    def on_answer(self, answer: Answer) -> None:
        pass

    def on_writable(self) -> None:
        self.writable += 1

    def on_ended(self, error: object) -> None:
        pass


async def opened() -> tuple[RealtimeSession, Peer, Listener]:
    peer, listener = Peer(), Listener()
    session = RealtimeSession(
        listener, Deepgram().session(Options("nova-3")), done_timeout_s=5, is_audio_binary=True
    )
    await session.open(peer, 5)
    return session, peer, listener


async def test_only_audio_is_binary() -> None:
    session, peer, _ = await opened()
    assert session.append(b"\x01\x02")
    session.keep_alive()
    task = asyncio.create_task(session.finish())
    await asyncio.sleep(0)
    assert peer.sent == [(b"\x01\x02", True), (KEEP_ALIVE, False), (CLOSE, False)]
    peer.receiver.on_message(b'{"type":"Metadata","duration":0}')
    await task


async def test_messages_that_wait_keep_their_kind_and_order() -> None:
    session, peer, listener = await opened()
    peer.room = 0
    assert session.append(b"\x01\x02")
    session.keep_alive()
    assert not session.append(b"\x03\x04")
    peer.room = 1000
    peer.receiver.on_writable()
    assert listener.writable == 1
    assert session.append(b"\x03\x04")
    assert peer.sent == [(b"\x01\x02", True), (KEEP_ALIVE, False), (b"\x03\x04", True)]
    session.abort()
