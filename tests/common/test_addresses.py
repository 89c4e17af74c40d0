"""Addresses to listen on: dual-stack, several at once, and error messages."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from common import serving
from common.addresses import bind
from common.serving import listening
from common.settings import SettingsError

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - for a moment


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")


async def answered(port: int, host: str) -> bool:
    """Return whether a server answers HTTP requests there."""
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://{host}:{port}/") as response,
        ):
            return response.status == 404
    except aiohttp.ClientConnectorError:
        return False


@pytest.mark.parametrize(
    ("hosts", "ipv4", "ipv6"),
    [
        ("127.0.0.1", True, False),
        (ALL_IPV4, True, False),
        (f"{ALL_IPV4},127.0.0.1", True, False),
        pytest.param("::", True, True, marks=needs_ipv6),
        pytest.param("[::]", True, True, marks=needs_ipv6),
        pytest.param("::1", False, True, marks=needs_ipv6),
        pytest.param("[::1]", False, True, marks=needs_ipv6),
        pytest.param("127.0.0.1,::1", True, True, marks=needs_ipv6),
        pytest.param(" 127.0.0.1 , [::1] ", True, True, marks=needs_ipv6),
        pytest.param(f"{ALL_IPV4},::", True, True, marks=needs_ipv6),
        pytest.param("::,127.0.0.1", True, True, marks=needs_ipv6),
        pytest.param("::,::1", True, True, marks=needs_ipv6),
        ("127.0.0.1,127.0.0.1", True, False),
        ("127.0.0.1,127.0.0.2", True, False),
    ],
)
async def test_listens_on_configured_addresses(hosts: str, ipv4: bool, ipv6: bool) -> None:
    """Symptom: `::` listened only on IPv6, and a list was taken as one host name."""
    async with listening(web.Application(), hosts, 0) as port:
        assert await answered(port, "127.0.0.1") is ipv4
        if has_ipv6():
            assert await answered(port, "[::1]") is ipv6
    assert not await answered(port, "127.0.0.1")


async def test_localhost_is_resolved() -> None:
    async with listening(web.Application(), "localhost", 0) as port:
        assert await answered(port, "127.0.0.1")


def test_all_addresses_share_one_port() -> None:
    sockets = bind("127.0.0.1,127.0.0.2,127.0.0.3", 0)
    try:
        assert len({each.getsockname()[1] for each in sockets}) == 1
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("192.0.2.1", "can't listen on 192.0.2.1:0: this host has no such address"),
        ("127.0.0.1,192.0.2.1", "192.0.2.1"),
        ("no-such-host.invalid", "'no-such-host.invalid': no such host or address"),
        ("127.0.0.1,", "an address is empty"),
        ("", "an address is empty"),
        ("300.1.1.1", "no such host or address"),
        ("\N{SNOWMAN}" * 80, "no such host or address"),
    ],
)
def test_bind_error_names_address_and_cause(hosts: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        bind(hosts, 0)
    assert message in str(caught.value)


def test_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        expected = f"can't listen on 127.0.0.1:{port}: another process listens there"
        with pytest.raises(SettingsError, match=expected):
            bind("127.0.0.1", port)
        with pytest.raises(SettingsError, match="another process"):
            bind("127.0.0.2,127.0.0.1", port)
    for each in bind("127.0.0.2,127.0.0.1", port):  # the first address was released
        each.close()


async def test_keep_alive_is_longer_than_that_of_load_balancers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Symptom: occasional 502, because idle connections were closed before the balancer did."""
    assert serving._KEEPALIVE_TIMEOUT_S > 60  # noqa: SLF001 - too long to wait for
    monkeypatch.setattr(serving, "_KEEPALIVE_TIMEOUT_S", 0.2)
    async with listening(web.Application(), "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 404")
            await reader.readuntil(b"404: Not Found")
        assert await asyncio.wait_for(reader.read(), 20) == b""  # closed by the keep-alive timeout
        writer.close()
        await writer.wait_closed()
