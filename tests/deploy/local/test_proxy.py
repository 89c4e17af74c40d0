"""Each fault of the FaultProxy has the documented effect on bytes and connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from deploy.local.proxy import (
    BlackHole,
    Delay,
    Fault,
    FaultProxy,
    Freeze,
    Refuse,
    Reset,
    Throttle,
    Truncate,
    Way,
)

LIMIT_S = 20.0
HOST = "127.0.0.1"

type Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pair:
    """A server behind a proxy, and the connections through it."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[Side] = asyncio.Queue()
        self._open: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Pair"]:
        server = await asyncio.start_server(self._accept, HOST, 0)
        try:
            async with FaultProxy(server.sockets[0].getsockname()[1]) as self.proxy:
                yield self
        finally:
            server.close()
            # The server's callback for a new connection may still be pending.
            await asyncio.sleep(0)
            for writer in self._open:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        self._accepted.put_nowait((reader, writer))

    async def client(self) -> Side:
        """Connect to the proxy; the connection may not reach the server."""
        side = await asyncio.open_connection(HOST, self.proxy.port)
        self._open.append(side[1])
        return side

    async def connect(self) -> tuple[Side, Side]:
        """Return the client's and the server's side of a new connection."""
        return await self.client(), await self._accepted.get()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(LIMIT_S), Pair().serving() as made:
        yield made


async def passes(source: Side, sink: Side, data: bytes = b"hello") -> None:
    source[1].write(data)
    assert await sink[0].readexactly(len(data)) == data


async def first_bytes(pair: Pair) -> bytes:
    """Connect and read; a RST may arrive before the connection is established."""
    reader, _ = await pair.client()
    return await reader.read()


async def flood(side: Side) -> None:
    """Write endlessly, as fast as the peer reads."""
    while True:
        side[1].write(bytes(64 * 1024))
        await side[1].drain()


async def is_silent(side: Side, seconds: float = 0.1) -> bool:
    """Return whether neither bytes nor EOF arrive."""
    try:
        async with asyncio.timeout(seconds):
            await side[0].read(1)
    except TimeoutError:
        return True
    return False


async def test_forwards_bytes_and_eof_both_ways(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server, bytes(range(256)) * 4096)
    await passes(server, client)
    client[1].write_eof()
    assert await server[0].read() == b""
    await passes(server, client)
    server[1].close()
    assert await client[0].read() == b""
    assert pair.proxy.connections == 1


async def test_forwards_a_reset(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server)
    client[1].transport.abort()
    with contextlib.suppress(ConnectionResetError):
        assert await server[0].read() == b""


@pytest.mark.parametrize("fault", [Freeze(), Delay(60.0)])
async def test_held_bytes_arrive_in_order_after_heal(pair: Pair, fault: Fault) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(fault)
    client[1].write(b"one")
    server[1].write(b"uno")
    assert await is_silent(server)
    client[1].write(b"two")
    client[1].write_eof()
    pair.proxy.heal()
    assert await server[0].read() == b"onetwo"
    assert await client[0].readexactly(3) == b"uno"


async def test_delay_holds_bytes(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Delay(0.1))
    begin_s = asyncio.get_running_loop().time()
    await passes(client, server)
    assert asyncio.get_running_loop().time() - begin_s >= 0.1


async def test_throttle_limits_the_rate(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Throttle(1000))
    begin_s = asyncio.get_running_loop().time()
    await passes(client, server, bytes(300))
    assert asyncio.get_running_loop().time() - begin_s >= 0.25


async def test_a_fault_can_affect_one_direction(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Freeze(), Way.REQUESTS)
    await passes(server, client)
    client[1].write(b"x")
    assert await is_silent(server)


async def test_a_black_hole_discards_bytes_and_eof_even_after_heal(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(BlackHole())
    client[1].write(b"lost")
    assert await is_silent(server)
    pair.proxy.heal()
    client[1].close()
    assert await is_silent(server), "EOF was forwarded"
    await passes(*await pair.connect())


async def test_a_black_hole_accepts_new_connections(pair: Pair) -> None:
    pair.proxy.apply(BlackHole())
    client, _ = await pair.connect()
    client[1].write(b"lost")
    pair.proxy.heal()
    assert await is_silent(client)


async def test_reset_resets_both_sides(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server)
    pair.proxy.apply(Reset())
    for side in (client, server):
        with pytest.raises(ConnectionResetError):
            await side[0].read()


async def test_reset_resets_new_connections_until_heal(pair: Pair) -> None:
    pair.proxy.apply(Reset())
    with pytest.raises(ConnectionResetError):
        await first_bytes(pair)
    pair.proxy.heal()
    await passes(*await pair.connect())


async def test_truncate_forwards_half_of_a_message(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Truncate())
    assert await is_silent(client, 0.02)
    client[1].write(b"12345678")
    assert await server[0].read() == b"1234"
    assert await client[0].read() == b""


async def test_refuse_keeps_open_connections(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Refuse())
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pair.client()
    await passes(client, server)
    pair.proxy.heal()
    pair.proxy.apply(Refuse())
    pair.proxy.heal()
    await passes(*await pair.connect())


async def test_a_client_is_reset_if_the_server_is_unreachable() -> None:
    async with asyncio.timeout(LIMIT_S):
        unused = await asyncio.start_server(lambda *_: None, HOST, 0)
        port = unused.sockets[0].getsockname()[1]
        unused.close()
        await unused.wait_closed()
        async with FaultProxy(port) as proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_heal_after_close_does_not_listen(pair: Pair) -> None:
    """A late `heal` must not open a listener that is never closed."""
    async with FaultProxy(pair.proxy.port) as proxy:
        proxy.apply(Refuse())
    proxy.heal()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, proxy.port)


async def test_a_sender_is_not_read_while_bytes_cannot_be_forwarded(pair: Pair) -> None:
    client, _ = await pair.connect()
    pair.proxy.apply(Freeze())
    flooding = asyncio.ensure_future(flood(client))
    await asyncio.wait([flooding], timeout=0.5)
    assert not flooding.done()
    assert client[1].transport.get_write_buffer_size() > 0
    flooding.cancel()
