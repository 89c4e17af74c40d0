"""Deepgram's server in virtual time: the CPU engine's session, without a socket."""

import asyncio
from collections.abc import Callable, Sequence

from container.cpu.checksum import ChecksumTranscription
from container.cpu.conversion import G711_HZ, Coding
from container.cpu.deepgram import ListenSession
from container.cpu.deepgram_query import ListenOptions
from container.cpu.server_session import Close, Phase, Reply
from container.cpu.transcriber import Transcription
from gateway.errors import UpstreamError
from gateway.upstream.transport import StreamReceiver

OPTIONS = ListenOptions(
    interim_results=True,
    endpointing_ms=500,
    utterance_end_ms=1000,
    coding=Coding.MULAW,
    rate_hz=G711_HZ,
)


class ListenStream:
    """One connection. The server closes it after 10 s without a message.

    Attributes:
        sent: type of each control message, and the time at which it was sent.
        pcm: the audio that was sent.
        is_mute: whether the server's messages are dropped from now on.
        delay_s: delay of the server's messages.
    """

    def __init__(
        self, receiver: StreamReceiver, options: ListenOptions, engine: Callable[[], Transcription]
    ) -> None:
        self.sent: list[tuple[str, float]] = []
        self.pcm = bytearray()
        self.is_mute = False
        self.delay_s = 0.0
        self._last_s = 0.0  # when the newest message of the server arrives
        self._receiver: StreamReceiver | None = receiver
        self._loop = asyncio.get_running_loop()
        self._session = ListenSession(options)
        self._engine = engine
        self._idle = self._loop.call_later(self._session.idle_s, self._expire)

    @property
    def is_open(self) -> bool:
        return self._receiver is not None

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        if not self.is_open:
            return False
        self._idle.cancel()
        self._idle = self._loop.call_later(self._session.idle_s, self._expire)
        if is_binary:
            self.pcm += message
            self._reply(self._session.receive(message))
        else:
            self.sent.append((message.decode(), self._loop.time()))
            self._reply(self._session.receive(message.decode()))
        if self._session.phase is Phase.WAITING:
            self._reply(self._session.begin(self._engine()))
        return True

    def finish(self) -> None:
        self._close(None)

    def abort(self) -> None:
        self._close(None)

    def close(self, error: UpstreamError | None = None) -> None:
        """End the stream by the peer."""
        self._close(error)

    def _expire(self) -> None:
        self._reply(self._session.expire())

    def _reply(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            due_s = self._loop.time() + self.delay_s
            self._last_s = max(due_s, self._last_s + 1e-6)  # in order
            self._loop.call_at(self._last_s, self._deliver, reply)

    def _deliver(self, reply: Reply) -> None:
        if isinstance(reply, Close):
            code = reply.code
            self._close(None if code == 1000 else UpstreamError("internal-server-error", str(code)))
        elif self._receiver and not self.is_mute:
            self._receiver.on_message(reply.encode())

    def _close(self, error: UpstreamError | None) -> None:
        self._idle.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver:
            self._loop.call_soon(receiver.on_closed, error)


class ListenTransport:
    """Opens connections with the checksum engine, or another one."""

    longest_stream_s: float | None = None

    def __init__(
        self,
        options: ListenOptions = OPTIONS,
        engine: Callable[[], Transcription] = ChecksumTranscription,
    ) -> None:
        self.streams: list[ListenStream] = []
        self._options = options
        self._engine = engine

    async def open(self, receiver: StreamReceiver, query: str | None = None) -> ListenStream:
        self.streams.append(ListenStream(receiver, self._options, self._engine))
        return self.streams[-1]

    async def close(self) -> None:
        pass
