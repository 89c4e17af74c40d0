"""A TCP proxy that adds TLS, changes its target, and cuts connections after a number of bytes."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Cut:
    """Close a connection after it has carried `after_bytes` in one direction."""

    of_replies: bool  # False: of requests
    after_bytes: int


class TcpProxy:
    """Forwards each new connection to the current target.

    If the target changes, open connections stay with their server, as those of a managed Redis do
    at a planned failover.

    Args:
        target: a port on loopback.
        tls: None accepts plain connections.
        cuts: one per connection, in the order of connecting; later connections are not cut.
    """

    def __init__(
        self, target: int, tls: ssl.SSLContext | None = None, *, cuts: Iterable[Cut] = ()
    ) -> None:
        self.target = target
        self._tls = tls
        self._cuts: Iterator[Cut] = iter(cuts)
        self._links: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()
            with contextlib.suppress(OSError):
                await end.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.append(writer)
        if not self._listener.is_serving():
            writer.transport.abort()
            return
        self.connections += 1
        link = asyncio.ensure_future(self._serve(reader, writer, next(self._cuts, None)))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._ends.append(server_writer)
        requests = cut.after_bytes if cut and not cut.of_replies else None
        replies = cut.after_bytes if cut and cut.of_replies else None
        pumps = [
            asyncio.ensure_future(_pump(reader, server_writer, requests)),
            asyncio.ensure_future(_pump(server_reader, writer, replies)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Nothing is awaited here, because `__aexit__` may cancel a link that is ending.
            for pump in pumps:
                pump.cancel()
            for end in (server_writer, writer):
                end.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit_bytes: int | None
) -> None:
    """Forward bytes until EOF, a lost connection, or exactly `limit_bytes` have passed."""
    passed = 0
    with contextlib.suppress(OSError):
        while limit_bytes is None or passed < limit_bytes:
            data = await reader.read(65_536 if limit_bytes is None else limit_bytes - passed)
            if not data:
                return
            writer.write(data)
            await writer.drain()
            passed += len(data)
