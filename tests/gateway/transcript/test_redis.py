"""The client from its URL, and what its failures say: never a credential."""

import pytest
from redis.asyncio import Redis, RedisCluster

from gateway.errors import PublishError
from gateway.transcript.redis import check, create_client, destination
from process.settings import SettingsError
from tests.gateway.transcript.publishing import client_of
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
    ],
)
def test_a_bad_url_is_a_settings_error_that_does_not_quote_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        create_client(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_client_does_not_show_its_credentials(scheme: str) -> None:
    assert "secret" not in repr(create_client(f"{scheme}://user:secret@localhost:6379"))


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_an_unreachable_server_is_one_clear_line(scheme: str) -> None:
    port = free_port()
    async with client_of(f"{scheme}://user:secret@127.0.0.1:{port}") as client:
        with pytest.raises(PublishError) as caught:
            await check(client)
    assert str(caught.value) == f"redis-unavailable: no Redis answers at 127.0.0.1:{port}"


async def test_wrong_credentials_are_told_apart() -> None:
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


async def test_a_cluster_that_answers_passes(redis_cluster_url: str) -> None:
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
def test_a_destination_is_named_without_credentials(url: str, name: str) -> None:
    assert destination(create_client(url)) == name


async def test_the_destination_of_a_cluster_is_what_its_url_names(redis_cluster_url: str) -> None:
    """It followed the cluster's map: after a failover another spool, and nobody's events in it."""
    async with client_of(redis_cluster_url) as client:
        before = destination(client)
        await check(client)
        assert destination(client) == before == redis_cluster_url.rpartition("/")[2]
