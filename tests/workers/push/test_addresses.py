"""Which addresses webhooks may connect to, and that the check is made at the connection."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.push.receiver import receiving
from workers.push.addresses import is_allowed
from workers.push.delivery import Result
from workers.push.webhook import open_session, post

_PRIVATE = IPv4Network("10.0.0.0/8")


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - "this host"
        "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "100.64.0.1", "100.100.100.200",  # shared by a provider; Alibaba's metadata
        "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "169.254.170.2", "169.254.0.1",  # link-local; metadata of clouds
        "168.63.129.16",  # Azure's host services
        "192.0.0.192", "192.0.0.1",  # Oracle's metadata
        "192.0.2.1", "198.51.100.1", "203.0.113.1",  # documentation
        "192.88.99.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "2001:db8::1", "3fff::1", "100::1", "5f00::1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1",
        "::127.0.0.1", "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "", "localhost", "1.2.3", "0x7f.1", "example.com",
    ],
)  # fmt: skip
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "99.255.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8",
     "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address)


def test_allowed_networks_are_the_only_exception() -> None:
    allowed = [_PRIVATE, ip_network("fd12::/64")]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert is_allowed(address, allowed)
    for address in ("192.168.1.1", "::ffff:192.168.1.1", "fd13::1", "127.0.0.1"):
        assert not is_allowed(address, allowed)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::", "::ffff:0:0:0"]))
def test_address_within_an_address_is_as_public_as_it_is(number: int, prefix: str) -> None:
    inside = IPv6Address(int(IPv6Address(prefix)) + number)
    assert is_allowed(str(inside)) == is_allowed(str(IPv4Address(number)))


@given(st.integers(0, 2**32 - 1))
def test_no_special_address_of_ipv4_is_allowed(number: int) -> None:
    address = IPv4Address(number)
    special = (
        address.is_private or address.is_loopback or address.is_link_local
        or address.is_multicast or address.is_reserved or address.is_unspecified
    )  # fmt: skip
    assert not (special and is_allowed(str(address)))


async def _post(url: str, *allowed: Any) -> Result:
    async with open_session(allowed, 5) as session:
        return await post(session, url, b"{}", {"webhook-id": "m", "callscribe-attempt": "1"})


async def test_name_and_address_that_are_not_public_get_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):  # noqa: S104
            result = await _post(f"http://{host}:{port}/")
            assert result.reason in ("address-refused", "dns", "invalid-url"), host
        with pytest.raises(TimeoutError):
            server.accept()


async def test_address_is_checked_when_it_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to a public address first, and to a private one for the connection."""
    loop = asyncio.get_running_loop()
    answers = iter([[("93.184.216.34", 80)], [("127.0.0.1", 80)]])

    async def resolve(*_: Any, **__: Any) -> Any:
        address = next(answers)[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    connected = []

    async def connect(_: Any, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    monkeypatch.setattr(loop, "sock_connect", connect)
    reasons = [(await _post("http://rebinding.example/")).reason for _ in range(2)]
    assert reasons == ["connect-refused", "address-refused"]
    assert connected == [("93.184.216.34", 80)]


async def test_allowed_network_is_reached() -> None:
    async with receiving() as receiver:
        body = b'{"type": "t", "data": {"call_id": "CA1"}}'
        headers = {"webhook-id": "m", "callscribe-attempt": "1"}
        async with open_session([ip_network("127.0.0.0/8")], 5) as session:
            assert (await post(session, receiver.url, body, headers)).is_accepted
    assert isinstance(receiver.requests[0].headers, dict)


async def test_session_follows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with open_session([], 5) as session:
        assert not session.trust_env
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
    assert (await _post("http://10.0.0.1/")).reason == "address-refused"
