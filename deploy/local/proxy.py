"""A TCP proxy that injects network faults into one link of the path.

    async with FaultProxy(server_port) as proxy:
        ...                          # clients connect to proxy.port
        proxy.apply(Delay(0.2))
        proxy.apply(Reset())         # replaces the delay
        proxy.heal()                 # bytes pass again

    fault       effect on open connections              effect on new connections
    Delay       bytes arrive later                      the same
    Throttle    bytes pass at a limited rate            the same
    Freeze      no bytes pass until `heal`              the same
    BlackHole   no bytes pass ever again; stays open    accepted; no bytes pass ever
    Reset       reset on both sides                     accepted, then reset
    Truncate    closed within the next bytes            the same
    Refuse      none                                    refused

Like TCP, the proxy never drops or alters bytes that it delivers: bytes that were held back arrive
in order, or the connection ends. Its buffers are bounded: while bytes cannot be forwarded, their
sender is not read.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from enum import Flag
from types import TracebackType
from typing import Final, Self

_HOST: Final = "127.0.0.1"
_READ_BYTES: Final = 64 * 1024
_SLICE_S: Final = 0.05  # interval at which a throttle forwards bytes
_CONNECT_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 1.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # close() then sends RST


class Way(Flag):
    """The direction of the bytes that a fault affects."""

    REQUESTS = 1  # from the client
    REPLIES = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Delay:
    """Holds each chunk for `seconds`, then reads the next one: chunks are delayed one by one."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """Forwards `bytes_per_s`."""

    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Forwards nothing until `heal`: an outage that TCP connections survive."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Silently discards all further bytes, like a firewall that has dropped the connection."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Sends RST to both sides."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Forwards the first half of the next bytes, then closes both sides normally."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stops listening, so that new connections are refused."""


type Fault = Delay | Throttle | Freeze | BlackHole | Reset | Truncate | Refuse


class FaultProxy:
    """A TCP proxy in front of a server on loopback.

    Args:
        server_port: the port to which connections are forwarded.

    Attributes:
        port: the port on which the proxy listens.
        connections: how many it has accepted.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.connections = 0
        self._server_port = server_port
        self._fault: Fault | None = None
        self._way = Way.BOTH
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._listener: socket.socket | None = None
        self._closed = False
        self._reserved_port = _reusable_socket()  # keeps the port reserved during `Refuse`

    async def __aenter__(self) -> Self:
        """Start listening."""
        self._reserved_port.bind((_HOST, 0))
        self.port = self._reserved_port.getsockname()[1]
        self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and abort every connection."""
        self._closed = True
        self._refuse()
        self._reserved_port.close()
        running = tuple(self._links.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def apply(self, fault: Fault, way: Way = Way.BOTH) -> None:
        """Apply a fault, which replaces the previous one; `way` is ignored by Reset and Refuse."""
        self._fault, self._way = fault, way
        if isinstance(fault, Refuse):
            self._refuse()
            return
        self._listen()
        for link in self._links:
            link.apply(fault, way)

    def heal(self) -> None:
        """Remove the fault; connections that were reset or became black holes stay broken."""
        self._fault, self._way = None, Way.BOTH
        self._listen()
        for link in self._links:
            link.apply(None, Way.BOTH)

    def _listen(self) -> None:
        if self._listener is None and not self._closed:
            self._listener = listener = _reusable_socket()
            listener.setblocking(False)
            listener.bind((_HOST, self.port))
            listener.listen()
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _refuse(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # the client has disconnected already
            return
        self.connections += 1
        link = _Link()
        link.apply(self._fault, self._way)
        self._links[link] = running = asyncio.ensure_future(link.run(connection, self._server_port))
        running.add_done_callback(lambda _: self._links.pop(link))
        running.add_done_callback(lambda _: connection.close())


class _Link:
    """One connection through the proxy."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self._fault: Fault | None = None
        self._way = Way.BOTH
        self._black_holes = Way(0)  # directions that discard bytes for good
        self._changed = asyncio.Event()

    def apply(self, fault: Fault | None, way: Way) -> None:
        """Apply a fault; None removes it."""
        self._fault, self._way = fault, way
        if isinstance(fault, BlackHole):
            self._black_holes |= way
        if isinstance(fault, Reset):
            self._reset()
        self._changed.set()  # wakes the tasks that wait now
        self._changed.clear()

    async def run(self, connection: socket.socket, server_port: int) -> None:
        """Forward bytes both ways until both directions have ended."""
        try:
            client_reader, client = await asyncio.open_connection(sock=connection)
            self._writers.append(client)
            if isinstance(self._fault, Reset):
                self._reset()
                return
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                server_reader, server = await asyncio.open_connection(_HOST, server_port)
            self._writers.append(server)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(client_reader, server, Way.REQUESTS))
                ways.create_task(self._carry(server_reader, client, Way.REPLIES))
        except (OSError, TimeoutError):
            self._reset()  # the server is unreachable
        except asyncio.CancelledError:
            for writer in self._writers:
                writer.transport.abort()
            raise
        finally:
            await self._close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        """Forward the bytes of one direction, and its end."""
        try:
            while data := await reader.read(_READ_BYTES):
                await self._pass(data, writer, way)
            await self._pass(b"", writer, way)
        except OSError:
            if not self._black_holes:
                self._reset()  # pass the reset of one side on to the other

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        """Write bytes, or EOF if there are none, subject to the current fault."""
        while way not in self._black_holes:
            match self._fault if way in self._way else None:
                case Freeze():
                    await self._changes_within(None)
                case Delay(seconds):
                    if not await self._changes_within(seconds):
                        return await _write(writer, data)
                case Throttle(bytes_per_s):
                    await self._changes_within(_SLICE_S)
                    part = data[: max(1, round(bytes_per_s * _SLICE_S))]
                    await _write(writer, part)
                    data = data[len(part) :]
                    if not data:
                        return None
                case Truncate():
                    await _write(writer, data[: len(data) // 2])
                    for each in self._writers:
                        each.close()
                    return None
                case _:
                    return await _write(writer, data)
        return None

    async def _changes_within(self, seconds: float | None) -> bool:
        """Wait for a change of the fault; return False if there is none within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._changed.wait()
        except TimeoutError:
            return False

    def _reset(self) -> None:
        for writer in self._writers:
            if not writer.is_closing():
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()

    async def _close(self) -> None:
        """Close both sides; abort one that does not read the remaining bytes in time."""
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await writer.wait_closed()
            writer.transport.abort()


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        return
    if data:
        writer.write(data)
        await writer.drain()
    else:
        writer.write_eof()


def _reusable_socket() -> socket.socket:
    """Create a socket that can share its port with the proxy's other sockets."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return made
