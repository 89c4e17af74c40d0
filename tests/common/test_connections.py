"""HTTP connections: pacing, responses without details, and the reserve of descriptors."""

import asyncio
import contextlib
import logging
import re
import resource
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
from aiohttp import web

from common.connections import Connection, Runner
from common.resources import Descriptors, count_open, raise_limit
from tests.waiting import eventually

CANARY: Final = "Xq7canary"
GET: Final = b"GET /known HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Server:
    """A served application and the notices of its runner."""

    def __init__(self, descriptors: Descriptors | None = None) -> None:
        self.notices: list[str] = []
        self.asked = 0  # requests in progress
        app = web.Application(client_max_size=1000)
        app.router.add_get("/known", self._answer)
        app.router.add_post("/known", self._answer)
        self.runner = Runner(
            app, descriptors, self.notices.append, access_log=None, shutdown_timeout=0.1
        )

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        try:
            return web.Response(text=f"{len(await request.read())} bytes\n")
        finally:
            self.asked -= 1

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.runner.addresses[0][1]

    async def to(self, sent: bytes) -> bytes:
        """Send bytes; return everything received until the connection is closed."""
        reader, writer = await asyncio.open_connection(*self.address)
        answer = b""
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            async with asyncio.timeout(20):
                while data := await reader.read(65536):
                    answer += data
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def serving(descriptors: Descriptors | None = None) -> AsyncIterator[Server]:
    server = Server(descriptors)
    await server.runner.setup()
    backlog = descriptors.reserve // 4 if descriptors else 128
    await web.TCPSite(server.runner, "127.0.0.1", 0, backlog=backlog).start()
    yield server
    await server.runner.cleanup()


MALFORMED: Final[dict[str, bytes]] = {
    "no-http": f"{CANARY}\r\n\r\n".encode(),
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode() + bytes(200),
    "http-2": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{CANARY}".encode(),
    "version": f"GET /{CANARY} HTTP/9.9\r\n\r\n".encode(),
    "method": f"GE{{}}T /{CANARY} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "no-colon": f"GET / HTTP/1.1\r\nHost: x\r\n{CANARY}\r\n\r\n".encode(),
    "nul": f"GET / HTTP/1.1\r\nHost: x\r\nA: {CANARY}\0\r\n\r\n".encode(),
    "long-line": b"GET /" + CANARY.encode() * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long-field": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + CANARY.encode() * 2000 + b"\r\n\r\n",
    "many-fields": b"GET / HTTP/1.1\r\n" + f"A: {CANARY}\r\n".encode() * 500 + b"\r\n",
    "length": f"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: {CANARY}\r\n\r\n".encode(),
    "two-lengths": (
        b"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
        + CANARY.encode()
    ),
    "chunk": (
        b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{CANARY}\r\n".encode()
    ),
    "url": f"GET http://[{CANARY} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "second-request": GET.replace(b"close", b"keep-alive") + f"{CANARY}\r\n\r\n".encode(),
    "behind-an-upgrade": (
        b"GET /known HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        + CANARY.encode() * 10
        + b"\r\n\r\n"
    ),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_requests_are_counted_and_not_quoted(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Symptom: a traceback per request in the log, and the input in the response."""
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        answer = await server.to(sent)
    assert CANARY not in answer.decode()
    assert "Traceback" not in answer.decode()
    assert set(server.notices) == {"malformed-http"}
    assert [record for record in caplog.records if record.exc_info] == []
    assert CANARY not in caplog.text


async def test_incomplete_body_is_not_logged_as_error(caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    async with serving() as server:
        _, writer = await asyncio.open_connection(*server.address)
        writer.write(head + b"abc")
        await eventually(lambda: server.asked == 1)
        writer.close()
        await eventually(lambda: server.asked == 0)
    assert [record for record in caplog.records if record.exc_info] == []


REQUESTS: Final[dict[str, tuple[bytes, int]]] = {
    "known": (GET, 200),
    "unknown-path": (GET.replace(b"known", b"nothing"), 404),
    "unknown-method": (GET.replace(b"GET", b"PUT"), 405),
    "malformed": (b"nonsense\r\n\r\n", 400),
    "expectation": (
        GET.replace(b"Host", f"Expect: {CANARY}\r\nHost".encode()),
        417,
    ),
    "too-big": (
        GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 2000\r\n\r\n" + bytes(2000),
        413,
    ),
}


@pytest.mark.parametrize(("sent", "status"), REQUESTS.values(), ids=REQUESTS)
async def test_responses_reveal_no_version_and_quote_no_request(sent: bytes, status: int) -> None:
    """Symptom: `Server: Python/3.13 aiohttp/3.14.5` in each response."""
    async with serving() as server:
        answer = (await server.to(sent)).decode()
    assert re.match(rf"HTTP/1\.[01] {status} ", answer)
    assert re.findall(r"(?mi)^server: (.*?)\r$", answer) == ["callscribe"]
    assert CANARY not in answer


# Pacing


class Wire(asyncio.Transport):
    """Records whether reading is paused."""

    is_read = True

    def close(self) -> None:
        pass

    def write(self, _: object) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Sink:
    """A parser that discards its input."""

    def feed_data(self, _: bytes) -> tuple[bool, bytes]:
        return False, b""

    def feed_eof(self) -> None:
        pass


@pytest.mark.parametrize(("size", "reads"), [(1, 257), (1 << 16, 5), (1 << 20, 1)])
async def test_reading_is_paused_after_a_full_slice(size: int, reads: int) -> None:
    async with serving() as server:
        assert server.runner.server
        connection = server.runner.server()
        assert isinstance(connection, Connection)
        wire = Wire()
        connection.connection_made(wire)
        connection.set_parser(Sink())  # the parser after the upgrade
        count = 0
        while wire.is_read:
            connection.data_received(bytes(size))
            count += 1
        assert count <= reads
        connection.resume_reading()
        assert not wire.is_read  # not until the slice ends
        await eventually(lambda: wire.is_read)
        connection.connection_lost(None)


async def test_heartbeat_restarts_are_throttled() -> None:
    """Each restart is a callback of the event loop, and media arrive a hundred times a second."""
    async with serving() as server:
        assert server.runner.server
        connection = server.runner.server()
        assert isinstance(connection, Connection)
        connection.connection_made(Wire())
        restarts = 0

        def restart() -> None:
            nonlocal restarts
            restarts += 1

        connection.set_parser(Sink(), restart)
        connection.data_received(b"x")
        assert restarts == 1
        for _ in range(100):
            connection.data_received(b"x")
        assert restarts < 50

        def is_restarted_again(seen: int = restarts) -> bool:
            connection.data_received(b"x")
            return restarts > seen

        await eventually(is_restarted_again)
        connection.connection_lost(None)


# Descriptors


PEERS: Final = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
_, port, count = sys.argv
peers = []
for _ in range(int(count)):
    peers.append(socket.create_connection(("127.0.0.1", int(port))))
    time.sleep(0.001)
sys.stdin.read()
"""


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """Limit the descriptors to 400 more than are open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count_open() + 400
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_connections_leave_a_reserve_of_descriptors(few_descriptors: int) -> None:
    """Symptom: a traceback per second, and no descriptors for /metrics and live calls."""
    reserve = few_descriptors // 8
    async with serving(Descriptors()) as server, serving() as private:
        peers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PEERS, str(server.address[1]), "450"), stdin=PIPE
        )
        await eventually(lambda: len(server.notices) >= 450 - (few_descriptors - reserve))
        assert set(server.notices) == {"descriptors-exhausted"}
        await eventually(lambda: count_open() <= few_descriptors - reserve)
        assert b" 200 OK" in await private.to(GET)  # uses the reserve
        await peers.communicate()
        await eventually(lambda: count_open() < few_descriptors - 350)
        counted_s = time.monotonic()
        await eventually(lambda: time.monotonic() > counted_s + 0.11)  # a count is reused for 0.1 s
        assert b" 200 OK" in await server.to(GET)


def test_the_soft_limit_becomes_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
