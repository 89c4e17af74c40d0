"""What each fault does to bytes and connections, seen from both sides."""

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
    """A server behind a proxy, and the connections made through it."""

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
            await asyncio.sleep(0)  # a connection just made is still being told of
            for writer in self._open:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        self._accepted.put_nowait((reader, writer))

    async def client(self) -> Side:
        """Connect; whether the server ever learns of it is another matter."""
        side = await asyncio.open_connection(HOST, self.proxy.port)
        self._open.append(side[1])
        return side

    async def connect(self) -> tuple[Side, Side]:
        """Give the client's and the server's side of a new connection."""
        return await self.client(), await self._accepted.get()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(LIMIT_S), Pair().serving() as made:
        yield made


async def passes(source: Side, sink: Side, data: bytes = b"hello") -> None:
    source[1].write(data)
    assert await sink[0].readexactly(len(data)) == data


async def first_bytes(pair: Pair) -> bytes:
    """Connect and read; a RST may come before the client even sees its connection made."""
    reader, _ = await pair.client()
    return await reader.read()


async def flood(side: Side) -> None:
    """Write without end, as fast as the peer takes it."""
    while True:
        side[1].write(bytes(64 * 1024))
        await side[1].drain()


async def is_silent(side: Side, seconds: float = 0.1) -> bool:
    """Whether nothing arrives, not even an end."""
    try:
        async with asyncio.timeout(seconds):
            await side[0].read(1)
    except TimeoutError:
        return True
    return False


async def test_bytes_and_ends_pass_both_ways(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server, bytes(range(256)) * 4096)
    await passes(server, client)
    client[1].write_eof()
    assert await server[0].read() == b""
    await passes(server, client)
    server[1].close()
    assert await client[0].read() == b""
    assert pair.proxy.connections == 1


async def test_a_reset_passes(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server)
    client[1].transport.abort()
    with contextlib.suppress(ConnectionResetError):
        assert await server[0].read() == b""


@pytest.mark.parametrize("fault", [Freeze(), Delay(60.0)])
async def test_what_was_held_back_arrives_in_order_once_healed(pair: Pair, fault: Fault) -> None:
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


async def test_a_delay_delays(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Delay(0.1))
    begin_s = asyncio.get_running_loop().time()
    await passes(client, server)
    assert asyncio.get_running_loop().time() - begin_s >= 0.1


async def test_a_throttle_lets_a_little_pass(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Throttle(1000))
    begin_s = asyncio.get_running_loop().time()
    await passes(client, server, bytes(300))
    assert asyncio.get_running_loop().time() - begin_s >= 0.25


async def test_a_fault_may_hold_for_one_way_only(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Freeze(), Way.REQUESTS)
    await passes(server, client)
    client[1].write(b"x")
    assert await is_silent(server)


async def test_a_black_hole_stays_one_and_tells_nobody(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(BlackHole())
    client[1].write(b"lost")
    assert await is_silent(server)
    pair.proxy.heal()
    client[1].close()
    assert await is_silent(server), "not even the end"
    await passes(*await pair.connect())


async def test_a_black_hole_takes_new_connections_too(pair: Pair) -> None:
    pair.proxy.apply(BlackHole())
    client, _ = await pair.connect()
    client[1].write(b"lost")
    pair.proxy.heal()
    assert await is_silent(client)


async def test_both_sides_are_reset(pair: Pair) -> None:
    client, server = await pair.connect()
    await passes(client, server)
    pair.proxy.apply(Reset())
    for side in (client, server):
        with pytest.raises(ConnectionResetError):
            await side[0].read()


async def test_new_connections_are_reset_until_healed(pair: Pair) -> None:
    pair.proxy.apply(Reset())
    with pytest.raises(ConnectionResetError):
        await first_bytes(pair)
    pair.proxy.heal()
    await passes(*await pair.connect())


async def test_a_message_is_cut_in_its_middle(pair: Pair) -> None:
    client, server = await pair.connect()
    pair.proxy.apply(Truncate())
    assert await is_silent(client, 0.02)
    client[1].write(b"12345678")
    assert await server[0].read() == b"1234"
    assert await client[0].read() == b""


async def test_refused_until_healed_and_open_ones_live_on(pair: Pair) -> None:
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


async def test_without_a_server_a_client_is_reset() -> None:
    async with asyncio.timeout(LIMIT_S):
        nobody = await asyncio.start_server(lambda *_: None, HOST, 0)
        port = nobody.sockets[0].getsockname()[1]
        nobody.close()
        await nobody.wait_closed()
        async with FaultProxy(port) as proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_once_closed_it_stays_so(pair: Pair) -> None:
    """Symptom to prevent: a fault that heals late listens again, and nobody closes that."""
    async with FaultProxy(pair.proxy.port) as proxy:
        proxy.apply(Refuse())
    proxy.heal()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, proxy.port)


async def test_a_peer_that_does_not_read_is_not_read_for(pair: Pair) -> None:
    client, _ = await pair.connect()
    pair.proxy.apply(Freeze())
    flooding = asyncio.ensure_future(flood(client))
    await asyncio.wait([flooding], timeout=0.5)
    assert not flooding.done()
    assert client[1].transport.get_write_buffer_size() > 0
    flooding.cancel()
