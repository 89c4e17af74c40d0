"""The CPU engine's server of any dialect, with the limits of a real one. In virtual time."""

import asyncio

from gateway.upstream.dialects.dialect import Address
from gateway.upstream.dialects.registry import DialectName, make_dialect
from gateway.upstream.transport import StreamReceiver
from tests.simulation.model import Endpoint, EndpointSpec, Link, PlannedFault, Stream
from tests.simulation.process import Process
from tests.simulation.trace import Trace

_TICK_S = 1.0


class CpuServer:
    """Opens sessions with the checksum engine; implements `UpstreamTransport`.

    Args:
        dialect: what it speaks.
        idle_s: time without audio after which it ends a session.
        longest_s: time after which it ends any session.

    Attributes:
        longest_stream_s: as the platform in front of it has.
        name: of the dialect.
        dialect: the gateway's side.
        opened_s: when each session was opened.
        ended: why it has ended sessions: idle or old.
    """

    def __init__(
        self,
        dialect: DialectName,
        *,
        idle_s: float | None = None,
        longest_s: float | None = None,
        longest_stream_s: float | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.longest_stream_s = longest_stream_s
        self.name = dialect
        self.dialect = make_dialect(dialect)
        self.opened_s: list[float] = []
        self.ended: list[str] = []
        spec = EndpointSpec(
            str(dialect),
            slots=10,
            context_deltas=1_000_000,
            latency_s=0.02,
            window=250,
            segment_tokens=128 if dialect is DialectName.QWEN3_ASR else None,
        )
        self.endpoint = Endpoint(
            spec, PlannedFault, Trace(loop.time), capacity=10, shared=True, dialect=dialect
        )
        self._link = Link(self.endpoint, "gateway", Process("gateway"))
        self._idle_s = idle_s or float("inf")
        self._longest_s = longest_s or float("inf")

    async def open(self, receiver: StreamReceiver, address: Address | None = None) -> "_Stream":
        stream = _Stream(await self._link.open(receiver, address))
        self.opened_s.append(stream.opened_s)
        asyncio.get_running_loop().call_later(_TICK_S, self._check, stream)
        return stream

    async def close(self) -> None:
        await self._link.close()

    @property
    def open_sessions(self) -> int:
        return self._link.open_streams

    def _check(self, stream: "_Stream") -> None:
        now_s = asyncio.get_running_loop().time()
        if stream.is_ended:
            return
        for limit_s, since_s, why in (
            (self._idle_s, stream.audio_s, "idle"),
            (self._longest_s, stream.opened_s, "old"),
        ):
            if now_s - since_s >= limit_s:
                self.ended.append(why)
                stream.inner.reset("connection-lost")
                return
        asyncio.get_running_loop().call_later(_TICK_S, self._check, stream)


class _Stream:
    """Records when audio was sent."""

    def __init__(self, inner: Stream) -> None:
        self.inner = inner
        self.is_ended = False
        self.opened_s = self.audio_s = asyncio.get_running_loop().time()

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        if is_binary or b'"audio"' in message:
            self.audio_s = asyncio.get_running_loop().time()
        return self.inner.send(message, is_binary=is_binary)

    def finish(self) -> None:
        self.is_ended = True
        self.inner.finish()

    def abort(self) -> None:
        self.is_ended = True
        self.inner.abort()
