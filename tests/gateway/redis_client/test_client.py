"""Creation of a client from its URL, and error messages, which never contain credentials."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis, RedisCluster

from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.check import check
from gateway.redis_client.client import create_client, destination
from tests.gateway.publishing.publisher_harness import client_of
from tests.redis_servers import free_port, valkey


@pytest.mark.parametrize(
    ("url", "kind", "tls"),
    [
        ("redis://localhost:6380/2", Redis, False),
        ("rediss://localhost", Redis, True),
        ("redis+cluster://localhost:7000", RedisCluster, False),
        ("rediss+cluster://localhost:7000", RedisCluster, True),
    ],
)
def test_the_scheme_chooses_the_client(url: str, kind: type, tls: bool) -> None:
    client = create_client(url)
    assert type(client) is kind
    if isinstance(client, RedisCluster):
        assert ("SSL" in client.nodes_manager.connection_kwargs["connection_class"].__name__) == tls
    else:
        assert ("SSL" in client.connection_pool.connection_class.__name__) == tls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://u:secret@h",
        "redis://u:secret@h:secret",
        "redis://u:secret@h?foo=secret",
        "redis+cluster://u:secret@h:x",
        "redis://u:secret@",
        "redis://u:secret@/0",
        "redis://u:secret@h:0",
        "redis://u:secret@h:99999",
        "redis://u:secret@[::1",
        "redis://u:secret@h/secret",
        "redis://u:secret@h/0/1",
        "redis://u:secret@h,h2",
        "redis://u:secret@h?max_connections=secret",
        "redis://u:secret@h?ssl_ca_certs=",
        "redis://:12/secret@h",
        "redis://:12#secret@h",
        "redis://:12?secret@h",
        "redis+cluster://u:secret@h/1",
        "redis+cluster://u:secret@h?foo=secret",
        "redis+sentinel://u:secret@h",
        "redis+sentinel://u:secret@h/0",
        "redis+sentinel://u:secret@h/service?foo=secret",
        "redis+secret://h",
        "rediss://u:secret@h?ssl_cert_reqs=secret",
    ],
)
def test_error_for_an_invalid_url_does_not_quote_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        create_client(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


_PASSWORDS = st.text("QXZJ0189@/?#%:[],+& =.\\\n", min_size=3, max_size=20)
_URLS = st.sampled_from(
    [
        "redis://user:{}@h:6379/0",
        "rediss://:{}@h",
        "redis://{}@h",
        "redis://user:{}@",
        "redis://user:{}@h:port",
        "redis+cluster://user:{}@h:1,h2:2",
        "redis+sentinel://:{}@h/calls",
        "redis+sentinel://h/calls?sentinel_password={}",
        "redis://h?password={}",
        "{}://h",
        "redis:/{}@h",
    ]
)


@given(url=_URLS, password=_PASSWORDS, is_encoded=st.booleans())
def test_malformed_url_never_reveals_the_password(
    url: str, password: str, is_encoded: bool
) -> None:
    """Symptom: if a password contained a slash, its start was logged as host and port."""
    parts = re.findall("[QXZJ0189]{2,}", password)
    try:
        client = create_client(url.format(quote(password, safe="") if is_encoded else password))
        shown = destination(client)
    except SettingsError as error:
        shown = str(error)
    assert not [part for part in parts if part in shown]


@pytest.mark.parametrize("password", ["p@ss", "a/b?c#d", "%41", "ä:,[]"])
async def test_password_with_special_characters_is_sent_unchanged(password: str) -> None:
    with valkey() as url:
        async with client_of(url) as client:
            await client.execute_command("CONFIG", "SET", "requirepass", password)
        async with client_of(url.replace("//", f"//:{quote(password, safe='')}@")) as client:
            await check(client)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_repr_of_a_client_has_no_credentials(scheme: str) -> None:
    assert "secret" not in repr(create_client(f"{scheme}://user:secret@localhost:6379"))


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_unreachable_server_is_reported_by_its_address(scheme: str) -> None:
    port = free_port()
    async with client_of(f"{scheme}://user:secret@127.0.0.1:{port}") as client:
        with pytest.raises(PublishError) as caught:
            await check(client)
    assert str(caught.value) == f"redis-unavailable: no Redis answers at 127.0.0.1:{port}"


async def test_wrong_password_is_reported_as_refused() -> None:
    with valkey() as url:
        async with client_of(url) as client:
            await client.execute_command("CONFIG", "SET", "requirepass", "right")
        async with client_of(url.replace("//", "//:right@")) as client:
            await check(client)
        async with client_of(url.replace("//", "//:secret@")) as client:
            with pytest.raises(PublishError) as caught:
                await check(client)
    assert caught.value.reason == "redis-refused"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("redis://", "redis+cluster://"), "it is not a cluster"),
        (("", "/99"), "no such database"),
    ],
)
async def test_server_that_does_not_match_the_url_is_reported_as_refused(
    redis_url: str, change: tuple[str, str], why: str
) -> None:
    url = redis_url.replace(*change) if change[0] else redis_url + change[1]
    async with client_of(url) as client:
        with pytest.raises(PublishError, match=f"refuses the connection: {why}") as caught:
            await check(client)
    assert caught.value.reason == "redis-refused"


async def test_check_accepts_a_working_cluster(redis_cluster_url: str) -> None:
    async with client_of(redis_cluster_url) as client:
        await check(client)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://u:secret@h", "h:6379/0"),
        ("redis://h:7000/3", "h:7000/3"),
        ("redis+cluster://u:secret@h:7000", "h:7000"),
    ],
)
def test_destination_has_no_credentials(url: str, name: str) -> None:
    assert destination(create_client(url)) == name


async def test_destination_of_a_cluster_comes_from_its_url(redis_cluster_url: str) -> None:
    """Symptom: it came from the slot map, so after a failover the spool was another one."""
    async with client_of(redis_cluster_url) as client:
        before = destination(client)
        await check(client)
        assert destination(client) == before == redis_cluster_url.rpartition("/")[2]
