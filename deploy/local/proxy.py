"""A TCP proxy for one link of the path that does, on command, what networks do.

    async with FaultProxy(server_port) as proxy:
        ...                          # clients connect to proxy.port
        proxy.apply(Delay(0.2))
        proxy.apply(Reset())         # in place of the delay
        proxy.heal()                 # bytes pass again

    fault       an open connection                     one that is opened while it holds
    Delay       bytes arrive later                     the same
    Throttle    so many bytes a second pass            the same
    Freeze      nothing passes; all does once healed   the same
    BlackHole   is dead for good, and stays open       is accepted, and dead for good
    Reset       is reset, both sides                   is accepted and reset
    Truncate    ends within the next bytes             the same
    Refuse      lives on                               is refused

TCP neither loses nor alters what it delivers, and neither does the proxy: what it held back arrives
in order, or the connection ends. What waits here is bounded: whose bytes are not passed on is not
read.
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
_SLICE_S: Final = 0.05  # a throttle passes a little so often
_CONNECT_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 1.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # close() then sends RST


class Way(Flag):
    """Which bytes a fault concerns."""

    REQUESTS = 1  # from the client
    REPLIES = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Delay:
    """Bytes are held for so long; those that come meanwhile are the next to be."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """So many bytes a second pass."""

    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing passes for a while: an outage that TCP survives."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Nothing passes any more, and nobody is told: a firewall that has forgotten the connection."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RST to both sides."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The first half of the next bytes passes, then both sides see an orderly end."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody listens."""


type Fault = Delay | Throttle | Freeze | BlackHole | Reset | Truncate | Refuse


class FaultProxy:
    """Stands before a server on loopback; `port` is its own.

    Args:
        server_port: where connections go on to.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.connections = 0  # accepted so far
        self._server_port = server_port
        self._fault: Fault | None = None
        self._way = Way.BOTH
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._listener: socket.socket | None = None
        self._closed = False
        self._guard = _reusable_socket()  # keeps the port ours while nobody listens on it

    async def __aenter__(self) -> Self:
        """Listen."""
        self._guard.bind((_HOST, 0))
        self.port = self._guard.getsockname()[1]
        self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and cut every connection."""
        self._closed = True
        self._refuse()
        self._guard.close()
        running = tuple(self._links.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def apply(self, fault: Fault, way: Way = Way.BOTH) -> None:
        """Let a fault hold, in place of the last one; a Reset and a Refuse have no ways."""
        self._fault, self._way = fault, way
        if isinstance(fault, Refuse):
            self._refuse()
            return
        self._listen()
        for link in self._links:
            link.suffer(fault, way)

    def heal(self) -> None:
        """Let bytes pass, and connections be made; what is dead for good stays so."""
        self._fault, self._way = None, Way.BOTH
        self._listen()
        for link in self._links:
            link.suffer(None, Way.BOTH)

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
        except OSError:  # it has gone again
            return
        self.connections += 1
        link = _Link()
        link.suffer(self._fault, self._way)
        self._links[link] = running = asyncio.ensure_future(link.run(connection, self._server_port))
        running.add_done_callback(lambda _: self._links.pop(link))
        running.add_done_callback(lambda _: connection.close())


class _Link:
    """One connection through the proxy."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self._fault: Fault | None = None
        self._way = Way.BOTH
        self._dead = Way(0)  # ways that are black holes, for good
        self._changed = asyncio.Event()

    def suffer(self, fault: Fault | None, way: Way) -> None:
        """Let a fault hold, or none."""
        self._fault, self._way = fault, way
        if isinstance(fault, BlackHole):
            self._dead |= way
        if isinstance(fault, Reset):
            self._reset()
        self._changed.set()  # wakes whoever waits now
        self._changed.clear()

    async def run(self, connection: socket.socket, server_port: int) -> None:
        """Carry bytes both ways until both have ended."""
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
            self._reset()  # there is no server
        except asyncio.CancelledError:
            for writer in self._writers:
                writer.transport.abort()
            raise
        finally:
            await self._close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        """Carry one way's bytes, and its end."""
        try:
            while data := await reader.read(_READ_BYTES):
                await self._pass(data, writer, way)
            await self._pass(b"", writer, way)
        except OSError:
            if not self._dead:
                self._reset()  # one side was reset, and the other learns of it

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        """Write bytes, or the end if there are none, when and as far as the fault lets them."""
        while way not in self._dead:
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
        """Wait for another fault, or for the time; False if nothing has changed."""
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
        """Close both sides in good order; whoever does not take what is left is cut off."""
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
    """A socket that shares its port with others of ours."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return made
