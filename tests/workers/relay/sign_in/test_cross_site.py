"""Requests of other sites, where to go after signing in, and failures by address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from workers.relay.sign_in.cross_site import is_allowed, local_path
from workers.relay.sign_in.failures import Failures

PUBLIC = "https://relay.example.com"
MARK = {"x-requested-with": "callscribe"}


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "post", "X"])
@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        (MARK, True),
        ({}, False),
        ({"X-Requested-With": "XMLHttpRequest"}, False),
        (MARK | {"Origin": PUBLIC}, True),
        (MARK | {"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}, True),
        (MARK | {"Origin": "http://10.0.0.1:8100"}, True),
        (MARK | {"Origin": "http://10.0.0.1"}, False),
        (MARK | {"Origin": "https://evil.example.com"}, False),
        (MARK | {"Origin": "https://relay.example.com.evil.org"}, False),
        (MARK | {"Origin": "http://relay.example.com"}, False),
        (MARK | {"Origin": "null"}, False),
        (MARK | {"Origin": ""}, False),
        (MARK | {"Origin": "http://["}, False),
        (MARK | {"Sec-Fetch-Site": "none"}, True),
        (MARK | {"Sec-Fetch-Site": "same-site"}, False),
        (MARK | {"Sec-Fetch-Site": "cross-site"}, False),
        (MARK | {"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}, False),
    ],
)
def test_changes_need_the_header_and_the_own_site(
    method: str, headers: dict[str, str], is_own: bool
) -> None:
    given_headers = CIMultiDict({"Host": "10.0.0.1:8100", **headers})
    assert is_allowed(method, given_headers, PUBLIC) == is_own


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "https://evil.example.com"}, True),
        ({"Upgrade": "websocket"}, True),
        ({"Upgrade": "websocket", "Origin": PUBLIC}, True),
        ({"upgrade": "websocket", "Origin": "https://evil.example.com"}, False),
        ({"Upgrade": "websocket", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_reads_are_allowed_but_not_sockets_of_other_sites(
    method: str, headers: dict[str, str], allowed: bool
) -> None:
    assert is_allowed(method, CIMultiDict({"Host": "h", **headers}), PUBLIC) == allowed


@pytest.mark.parametrize("path", ["/", "/calls/CA1", "/calls/CA1?q=a%20b#x", "/a//b", "/..//evil"])
def test_local_path_is_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "calls",
        "//evil.example.com",
        "/\\evil.example.com",
        "\\\\evil.example.com",
        "/\t/evil.example.com",
        "/\n/evil.example.com",
        "/calls\r\nSet-Cookie: a=b",
        "https:evil.example.com",
        "https://evil.example.com",
        "javascript:alert(1)",
        " //evil.example.com",
        "/a\\b",
        "/ä",
        "/" + "a" * 1024,
    ],
)
def test_other_site_becomes_the_first_page(path: str) -> None:
    assert local_path(path) == "/"


@given(st.text(alphabet="/\\:.#?@ae\t\n \x00", max_size=12).map("/".__add__))
def test_next_page_is_on_the_same_site(text: str) -> None:
    found = URL(PUBLIC).join(URL(local_path(text).replace("\\", "/")))
    assert found.origin() == URL(PUBLIC)


def test_failures_are_limited_by_address_and_minute() -> None:
    failures = Failures()
    assert [failures.note("a", 60.0) for _ in range(12)] == [False] * 10 + [True] * 2
    assert not failures.note("b", 61.0)
    assert not failures.note("a", 120.0)


def test_failures_of_many_addresses_use_bounded_memory() -> None:
    failures = Failures()
    limited = [failures.note(str(number), 1.0) for number in range(10_000)]
    assert limited.count(False) == 4096
    assert not failures.note("0", 1.0)
    assert not failures.note("x", 61.0)
