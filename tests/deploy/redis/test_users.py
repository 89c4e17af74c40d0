"""The users of `deploy/redis/users.acl` have exactly the permissions that they need."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import redis
from prometheus_client import CollectorRegistry

import deploy
from gateway.admission.capacity_store import RedisCapacityStore
from gateway.admission.lease_pool import Acquisition
from gateway.metrics import Metrics
from gateway.publishing.eviction import EvictionWatch
from gateway.publishing.redis_health import RedisHealth
from gateway.redis_client.check import check
from gateway.redis_client.client import RedisClient
from gateway.redis_client.single_use_store import RedisSingleUseStore
from gateway.transcript.keys import encode_id
from tests.gateway.ingress.remembered import claims_in
from tests.gateway.publishing.publisher_harness import (
    PARTITIONS,
    client_of,
    ended,
    final,
    keys_of,
    open_stream,
    publisher_at,
    started,
    total,
)
from tests.redis_servers import valkey
from tests.waiting import eventually
from tests.workers.archive import calls as published
from tests.workers.assist.scripts import ruleset
from tests.workers.governance.planting import ANN, ago_ms, plant
from tests.workers.governance.test_ledger import sweeper_of
from tests.workers.relay.a_relay import (
    PATIENCE_S,
    Assistants,
    Calls,
    link_token,
    running,
    viewer,
)
from tests.workers.wrapup.a_server import good, serving, status
from workers.archive.assembly import archive, groups, open_store
from workers.archive.record import Text as Archived
from workers.archive.settings import Settings as ArchiveSettings
from workers.assist.metrics import Metrics as AssistMetrics
from workers.assist.worker import AssistHandler
from workers.assist.worker import group as assist_group
from workers.client import follow, follow_all, reading
from workers.consumer import Consumer, ConsumerMetrics, DeadLetter, DeadLetters, Group
from workers.consumer.store import Lease, LeaseStore
from workers.governance.keyspace import primaries
from workers.governance.retention import Place, Retention, Rule
from workers.janitor import Janitor, Lost
from workers.janitor import Metrics as JanitorMetrics
from workers.redact import CallRedactor
from workers.redact.settings import Settings as RedactSettings
from workers.redact.worker import Metrics as RedactMetrics
from workers.redact.worker import RedactHandler
from workers.redact.worker import group as redact_group
from workers.redis_streams import RedisStreams
from workers.relay.sign_in.viewer import Text
from workers.search import indexes
from workers.search.indexes import open_to_read
from workers.search.rebuild import RedisSource
from workers.search.settings import Settings as SearchSettings
from workers.search.worker import search_worker
from workers.settings import Settings as WorkerSettings
from workers.wrapup import requests, store
from workers.wrapup.assembly import group_of, wrapup
from workers.wrapup.settings import Settings as WrapupSettings

_FILE = Path(deploy.__path__[0]) / "redis" / "users.acl"
_USERS = [
    line.split()
    for line in _FILE.read_text(encoding="utf-8").splitlines()
    if line.startswith("user ")
]
_NAMES = [user[1] for user in _USERS if user[1] not in ("default", "admin")]


def password_of(name: str) -> str:
    (rules,) = [user for user in _USERS if user[1] == name]
    return next(rule[1:] for rule in rules if rule.startswith(">"))


def url_for(name: str, url: str) -> str:
    scheme, _, address = url.partition("://")
    return f"{scheme}://{name}:{quote(password_of(name))}@{address}"


@pytest.fixture(scope="module")
def acl_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server that has loaded the file."""
    loaded: Path = tmp_path_factory.mktemp("acl") / "users.acl"
    loaded.write_text("user default on nopass ~* &* +@all\n", encoding="utf-8")
    with valkey(aclfile=str(loaded)) as url:
        loaded.write_text(_FILE.read_text(encoding="utf-8"), encoding="utf-8")
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "LOAD")
        yield url


@pytest.fixture
def server_url(acl_url: str) -> str:
    """Return the URL of that server, emptied and with an empty ACL log."""
    with admin_of(acl_url) as admin:
        admin.flushall()
        admin.script_flush()
        admin.acl_log_reset()
    return acl_url


@pytest.fixture
def cluster_url(redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]) -> Iterator[str]:
    """Add the users to the session's cluster."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(redis.Redis.from_url(url)) for url in redis_cluster_nodes]
        for node in nodes:
            node.acl_log_reset()
            for _, name, *rules in _USERS:
                if name != "default":
                    node.execute_command("ACL", "SETUSER", name, *rules)
        yield redis_cluster_url
        for node in nodes:
            node.execute_command("ACL", "DELUSER", "admin", *_NAMES)


def client_for(name: str, url: str) -> redis.Redis:
    return redis.Redis.from_url(url_for(name, url), protocol=2, driver_info=None)


def admin_of(url: str) -> redis.Redis:
    return client_for("admin", url)


def refused(url: str) -> list[Any]:
    """Return what was refused, by any node."""
    log: list[Any] = []
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(admin_of(url.replace("+cluster", "")))]
        if "+cluster" in url:
            addresses = nodes[0].cluster("nodes")
            nodes = [stack.enter_context(admin_of(f"redis://{each}")) for each in addresses]
        for node in nodes:
            log += [(entry["username"], entry["object"]) for entry in node.acl_log()]
    return log


@pytest.mark.parametrize("fixture", ["server_url", "cluster_url"])
async def test_the_gateway_has_all_permissions_it_needs(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    mine, metrics = url_for("gateway", url), Metrics()
    async with client_of(mine) as client, publisher_at(mine, metrics=metrics) as publisher:
        await check(client)
        writer = open_stream(publisher, "CA1")
        for event in (started(), final("a")):
            writer.publish(event)
        await eventually(lambda: not publisher.buffered_events)
        store, claim = RedisCapacityStore(client), claims_in(client)
        assert await store.acquire("a", ["1", "2"], 3, 60) == Acquisition(True, 2)
        assert await store.renew("a", ["1", "2"], 60) == 2
        await store.release("a", ["2"])
        assert await claim("token", 60)
        assert not await claim("token", 60)
        assert await RedisSingleUseStore(client).find("token") is not None
        health = RedisHealth(
            client, PARTITIONS, outage=publisher.outage, fullness=publisher.fullness
        )
        await health.probe()
        assert list(health.conditions()) == []
        watch = EvictionWatch(client, metrics, publisher.open_streams)
        assert await watch.check_policy()
        await watch.check_streams()
        writer.publish(ended())
    assert total(metrics, "redis_events_total") == 3
    assert refused(url) == []


@pytest.mark.parametrize("fixture", ["server_url", "cluster_url"])
async def test_the_janitor_can_close_a_lost_stream(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    async with (
        client_of(url_for("admin", url)) as admin,
        client_of(url_for("janitor", url)) as client,
    ):
        await check(client)
        async with publisher_at(url_for("gateway", url)) as publisher:
            open_stream(publisher, "CA1").publish(final("a"))
        await admin.execute_command("ZADD", keys_of("CA1").live, 1, "CA1 MZ1")
        janitor = Janitor(
            RedisStreams(client),
            gateway="janitor",
            partitions=PARTITIONS,
            lease_s=30,
            retention_s=500,
            metrics=JanitorMetrics(),
        )
        partition = int(keys_of("CA1").live[5:7])
        now_ms, members = await RedisStreams(client).lapsed(partition, 10)
        assert members == ["CA1 MZ1"]
        assert await janitor.close(Lost(partition, members[0], now_ms))
    assert refused(url) == []


async def test_a_reader_can_read_and_a_consumer_can_acknowledge(server_url: str) -> None:
    async with publisher_at(url_for("gateway", server_url)) as publisher:
        open_stream(publisher, "CA1").publish(final("a"))
    keys = keys_of("CA1")
    for name in ("reader", "consumer"):
        with client_for(name, server_url) as client:
            for key in (keys.call, keys.events):
                assert len(client.xrange(key)) == client.xlen(key) == 1
                assert client.xread({key: "0"})
    with client_for("reader", server_url) as client:
        assert len(client.zrange(keys.live, 0, -1)) == 1
        assert client.xrevrange(keys.call)
    with client_for("consumer", server_url) as client:
        client.xgroup_create(keys.events, "assist", id="0")
        ((_, ((entry_id, _),)),) = client.xreadgroup("assist", "w1", {keys.events: ">"})
        assert client.xpending(keys.events, "assist")["pending"] == 1
        client.xautoclaim(keys.events, "assist", "w2", 0)
        assert client.xack(keys.events, "assist", entry_id) == 1
    assert refused(server_url) == []


@pytest.fixture(params=["server_url", "cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


async def test_a_redactor_can_redact_take_over_and_retry(url: str) -> None:
    rules = RedactSettings(_env_file=None)
    metrics = RedactMetrics(CollectorRegistry())
    group = redact_group(64, 3600, 1.0)
    stop = asyncio.Event()
    async with client_of(url_for("admin", url)) as admin, client_of(url_for("redact", url)) as mine:
        await check(mine)
        crashed: Any = {"owner": "crashed", "until": 1, "fence": 1, "position": "0"}
        await admin.hset("cs:{p53}:consumer:redact", mapping=crashed)
        calls, letters = Calls(admin), DeadLetters(mine, group)
        await calls.start("CA1")
        await calls.close("CA1", "my card number is 4111 1111 1111 1111")
        await calls.end("CA1")
        await admin.xadd("cs:{p53}:events", {"type": "not an event"})
        consumer = Consumer(
            mine,
            group,
            "redact-1",
            lambda partition: RedactHandler(
                mine, partition, lambda route: CallRedactor(*rules.rules(route)), metrics
            ),
            ConsumerMetrics(CollectorRegistry(), "redact"),
        )
        working = asyncio.create_task(consumer.run(stop))
        for _ in range(2):  # the second time, the entry is a retry
            (letter,) = await until_dead(letters)
            assert await letters.retry(letter.partition, [letter.id]) == 1
        (letter,) = await until_dead(letters)
        assert await letters.group_exists()
        assert await letters.find(letter.partition, letter.id) == letter
        assert await letters.drop(letter.partition, letter.id)
        assert await LeaseStore(mine, group, "any").behind([Lease(53, 1, "0", False)]) == [4]
        stop.set()
        await working
        entries = await reading.history(mine, "cs:{p53}:call:CA1:redacted")
        assert [each.fields.get("text", "") for each in entries] == [
            "",
            "my card number is [card]",
            "",
        ]
        assert await reading.history(mine, "cs:{p53}:redacted") == entries
    assert refused(url) == []


async def test_assist_can_raise_alerts_and_take_over_live_calls(url: str) -> None:
    rules: Any = SimpleNamespace(
        current=ruleset("id: said, kind: said, phrases: [hello]"), check=lambda: None
    )
    metrics = AssistMetrics(CollectorRegistry())
    group = assist_group(64, 3600, 1.0)
    stop = asyncio.Event()
    async with client_of(url_for("admin", url)) as admin, client_of(url_for("assist", url)) as mine:
        await check(mine)
        calls = Calls(admin)
        await calls.start("CA1")
        await calls.close("CA1", "hello there")
        await admin.zadd("cs:{p53}:live", {"CA1 MZ1": 1})
        handler = AssistHandler(mine, 53, rules, "assist-1", metrics)
        assert await handler.tick(10**15)  # it reads the live calls of the partition
        consumer = Consumer(
            mine,
            group,
            "assist-1",
            lambda partition: AssistHandler(mine, partition, rules, "assist-1", metrics),
            ConsumerMetrics(CollectorRegistry(), "assist"),
        )
        working = asyncio.create_task(consumer.run(stop))
        async with asyncio.timeout(PATIENCE_S):
            while not (entries := await reading.history(mine, "cs:{p53}:call:CA1:alerts")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        stop.set()
        await working
        assert [each.fields["rule"] for each in entries] == ["said"]
        assert await reading.history(mine, "cs:{p53}:alerts") == entries
        assert not await DeadLetters(mine, group).find(53, "1-0")


@pytest.mark.parametrize(("name", "text"), [("archive", "both"), ("archive-redacted", "redacted")])
async def test_an_archive_has_all_permissions_it_needs(
    url: str, name: str, text: str, tmp_path: Path
) -> None:
    settings = ArchiveSettings(_env_file=None, url=f"file://{tmp_path}", text=text, grace_s=0)
    shared, stop = WorkerSettings(_env_file=None, takeover_s=1), asyncio.Event()
    store = open_store(settings, Archived.REDACTED)
    async with client_of(url_for("admin", url)) as admin, client_of(url_for(name, url)) as mine:
        await check(mine)
        await published.publish(admin, *published.whole())
        await published.publish(admin, *published.whole(), source="redacted")
        await published.publish(admin, published.alert(), source="alerts")
        await published.publish(admin, published.wrapup(), source="redacted-wrapups")
        await admin.xadd("cs:{p53}:redacted", {"type": "not an event"})
        working = asyncio.create_task(archive(settings, shared, mine, CollectorRegistry())(stop))
        async with asyncio.timeout(PATIENCE_S):
            while not await store.read_call("CA1"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        letters = DeadLetters(mine, groups(Archived.REDACTED, shared)[0])
        (letter,) = await until_dead(letters)
        assert await letters.retry(letter.partition, [letter.id]) == 1
        (letter,) = await until_dead(letters)
        stop.set()
        await working


@pytest.mark.parametrize(
    ("name", "text", "suffix"),
    [("search", "both", ""), ("search-redacted", "redacted", "redacted")],
)
async def test_a_worker_can_index_calls_and_rebuild(
    url: str, name: str, text: str, suffix: str, tmp_path: Path
) -> None:
    settings = SearchSettings(_env_file=None, path=tmp_path, text=text)
    stop = asyncio.Event()
    async with client_of(url_for("admin", url)) as admin, client_of(url_for(name, url)) as mine:
        await check(mine)
        calls = Calls(admin, suffix)
        await calls.start("CA1")
        await calls.close("CA1", "a word")
        await admin.xadd("cs:{p53}:alerts", {"type": "not an event"})
        kind = settings.text.kinds[-1] if suffix else "raw"
        reader = await open_to_read(settings, kind)
        registry = CollectorRegistry()
        async with search_worker(
            settings, mine, "w1", registry, partitions=PARTITIONS, lease_s=9
        ) as run:
            working = asyncio.create_task(run(stop))
            async with asyncio.timeout(PATIENCE_S):
                while (await reader.count()).segments < 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            async for key in admin.scan_iter("cs:consumers:search-*"):
                group = Group(key.decode().partition("consumers:")[2], partitions=PARTITIONS)
                letters = DeadLetters(mine, group)
                if "-alerts-" in group.name:
                    (letter,) = await until_dead(letters)
                    assert await letters.retry(letter.partition, [letter.id]) == 1
            stop.set()
            await working
        assert await indexes.rebuild(settings, kind, RedisSource(mine, kind)) == 2
        await reader.close()


async def test_governance_erases_holds_reports_and_audits(url: str) -> None:
    """Also what the users of other workers read and write meanwhile."""
    async with (
        client_of(url_for("admin", url)) as admin,
        client_of(url_for("govern", url)) as mine,
        publisher_at(url_for("gateway", url)) as publisher,
    ):
        await check(mine)
        for call_id in ("CA1", "CA2"):
            await plant(admin, call_id)
        await admin.xgroup_create("cs:{p53}:events", "theirs", id="0")
        await admin.xreadgroup("theirs", "c1", {"cs:{p53}:events": ">"}, count=9)
        sweeper, _ = sweeper_of(mine, Retention((Rule(None, None, {Place.STREAMS: 9_999_999}),)))
        governance = sweeper.governance
        assert await governance.hold("CA2", ANN, "case 7") == "placed"
        await governance.request("CA1", ANN, "her wish")
        await sweeper.sweep()
        assert (await governance.find("CA1"))["redis"] == 0
        assert await governance.release("CA2", ANN, "closed")
        assert await governance.stores[0].describe()
        await governance.holds.set_expiry(["CA2"], 500)
        await sweeper.file.rewrite()
        for node in await primaries(admin):
            reply = await admin.execute_command("ACL DRYRUN", "govern", "BGREWRITEAOF", **node)
            assert "OK" in str(reply)
        assert await governance.trail.trim(ago_ms(-60), 0.0, "ann") > 0
        assert (await governance.trail.verify())[1] == []
        open_stream(publisher, "CA1").publish(final("late"))
        await eventually(lambda: not publisher.buffered_events)
        assert (await governance.find("CA1"))["redis"] == 0
    assert refused(url) == []


async def until_dead(letters: DeadLetters) -> list[DeadLetter]:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := [letter async for letter in letters.all()]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize(("fixture", "text"), [("server_url", "raw"), ("cluster_url", "redacted")])
async def test_a_wrapup_worker_can_wrap_up_take_over_and_retry(
    fixture: str, text: str, request: pytest.FixtureRequest
) -> None:
    url, name = str(request.getfixturevalue(fixture)), store.group_name(text)
    async with (
        client_of(url_for("admin", url)) as admin,
        client_of(url_for(name, url)) as mine,
        serving(good) as server,
    ):
        await check(mine)
        crashed: Any = {"owner": "crashed", "until": 1, "fence": 1, "position": "0"}
        await admin.hset(f"cs:{{p53}}:consumer:{name}", mapping=crashed)
        calls = Calls(admin, "" if text == "raw" else text)
        await calls.start("CA1")
        await calls.close("CA1", "Hello.")
        settings = WrapupSettings(_env_file=None, url=server.url, model="m", text=text, grace_s=0)
        shared = WorkerSettings(_env_file=None, takeover_s=1)
        stop = asyncio.Event()
        async with wrapup(settings, shared, mine, CollectorRegistry()) as run:
            working = asyncio.create_task(run(stop))
            tag = "cs:{p53}:"
            await requests.write(mine, name, tag, "CA1", "default", requester="test")
            await until_written(admin, f"{tag}{store.suffix_of(text)}", 1)
            server.script = lambda _: status(400)
            await calls.end("CA1")
            (letter,) = await until_dead(DeadLetters(mine, group_of(settings.text, shared)))
            server.script = good
            await DeadLetters(mine, group_of(settings.text, shared)).retry(53, [letter.id])
            await until_written(admin, f"{tag}{store.suffix_of(text)}", 2)
            assert await requests.is_served(mine, name)
            stop.set()
            await working
    assert refused(url) == []


async def until_written(admin: RedisClient, key: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await admin.xlen(key) < count:  # noqa: ASYNC110 - Redis sends no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "text", "suffix"),
    [
        ("relay", "both", ""),
        ("relay", "both", "redacted"),
        ("relay-redacted", "redacted", "redacted"),
    ],
)
async def test_a_relay_has_all_permissions_it_needs(
    url: str, name: str, text: str, suffix: str
) -> None:
    token = link_token(text=Text.REDACTED if suffix else Text.RAW)
    async with client_of(url_for("admin", url)) as admin:
        calls = Calls(admin, suffix)
        for call in ("CA1", "default.twilio.CA1"):
            await calls.start(call)
        last_id = await calls.say("CA1", "one")
        async with (
            running(url_for(name, url), text=text) as relay,
            viewer(relay, token) as ann,
            ann.open("/api/calls/live") as listed,
            ann.open("/api/events", after=f"{last_id}-53") as every_call,
            ann.open("/api/calls/CA1/events") as one_call,
            ann.open("/api/calls/CA1/assist") as assist,
        ):
            assert [each.data["n"] for each in await one_call.take(2)] == [1, 2]
            await calls.end("CA1")
            while (await every_call.take(1))[0].data["type"] != "stream.ended":
                pass
            assert len(await one_call.take(2)) == 2
            for _ in range(2):
                await Assistants(admin).alert("CA1", "a1")
                await Assistants(admin).wrapup("CA1", "w1", "x")
                assert len(await assist.take(2)) == 2
            assert (await listed.take(1))[0].name == "calls"
            assert await ann.search("one")
            assert (await ann.json("/api/calls/CA1/timeline"))["streams"]
            assert await ann.status("/api/calls/default.twilio.CA2") == 404
            soon = time.time() * 1000 + 60_000
            await admin.zadd("cs:consumers:wrapup", {"w1": soon})
            assert await ann.status("/api/calls/CA1/wrapup", "POST") == 202
            assert await ann.status("/api/session", "DELETE") == 204
            assert await ann.status("/api/calls") == 401
    assert refused(url) == []


async def test_readers_of_redacted_text_can_follow_calls(url: str) -> None:
    async with (
        client_of(url_for("admin", url)) as admin,
        client_of(url_for("reader-redacted", url)) as client,
    ):
        calls = Calls(admin, "redacted")
        await calls.start("CA1")
        await calls.end("CA1")
        assert len([each async for each in follow(client, "CA1", redacted=True)]) == 2
        async for event in follow_all(client, {53: "0"}, redacted=True):
            assert event.call_id == "CA1"
            break
        assert await client.zrange("cs:{p53}:live", 0, -1) == []
        assert await client.xlen("cs:{p53}:redacted") == 2
        assert await client.xrange("cs:{p53}:redacted")
        assert await client.xrevrange("cs:{p53}:redacted")
    assert refused(url) == []


@pytest.mark.parametrize("rules", _USERS, ids=lambda rules: rules[1])
def test_every_worker_with_a_consumer_group_may_read_the_ledger(rules: list[str]) -> None:
    """Symptom to prevent: commit.lua is refused, and the first dead letter stops a partition."""
    if any(rule.startswith("%RW~cs:{p*}:consumer:") for rule in rules):
        assert "%R~cs:{p*}:erased" in rules
        assert "+hget" in rules


@pytest.mark.parametrize("name", _NAMES)
async def test_only_governance_deletes_from_the_ledger_and_the_trail(
    server_url: str, name: str
) -> None:
    deletions: list[tuple[str | int, ...]] = [
        ("HDEL", "cs:{p53}:erased", "CA1"),
        ("DEL", "cs:{p53}:erased"),
        ("HDEL", "cs:{p53}:held", "CA1"),
        ("XDEL", "cs:audit", "1-0"),
        ("XTRIM", "cs:audit", "MAXLEN", 0),
        ("DEL", "cs:audit"),
    ]
    with client_for(name, server_url) as client:
        for command in deletions:
            if name == "govern":
                client.execute_command(*command)
                continue
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


@pytest.mark.parametrize(
    "name", ["relay-redacted", "reader-redacted", "archive-redacted", "search-redacted"]
)
async def test_raw_text_is_refused_to_users_of_redacted_text(url: str, name: str) -> None:
    # A call id can't end with ":redacted": colons are percent-encoded.
    assert encode_id("CA1:redacted") == "CA1%3Aredacted"
    keys = ("events", "call:CA1", "call:CA1%3Aredacted", "call:redacted", "writers:CA1")
    derived = ("retry:redact", "dead:redact", "consumer:redact", "call:CA1:other")
    wrapups = ("retry:wrapup", "retry:wrapup-raw", "call:CA1:wrapups", "wrapups")
    async with client_of(url_for(name, url)) as client:
        for key in (f"cs:{{p53}}:{each}" for each in (*keys, *derived, *wrapups)):
            for command in (("XRANGE", key, "-", "+"), ("XREVRANGE", key, "+", "-")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    await client.execute_command(*command)
            with pytest.raises(redis.exceptions.NoPermissionError):
                await client.xread({key: "0"})


@pytest.mark.parametrize("name", _NAMES)
def test_unlisted_commands_are_refused(server_url: str, name: str) -> None:
    (rules,) = [user for user in _USERS if user[1] == name]
    listed = {rule[1:] for rule in rules if rule.startswith("+")}
    listed |= {"auth", "hello", "quit", "reset"}  # always allowed, as they precede authentication
    with admin_of(server_url) as admin:
        allowed = {
            command for command, arity in commands_of(admin) if may_run(admin, name, command, arity)
        }
    assert {command for command in allowed if not in_listed(command, listed)} == set()
    assert listed - allowed <= {"auth", "hello", "quit", "reset"}


def in_listed(command: str, listed: set[str]) -> bool:
    return command in listed or command.partition("|")[0] in listed


def commands_of(admin: redis.Redis) -> Iterator[tuple[str, int]]:
    """Yield all commands and subcommands of the server, with their arity."""
    for command in admin.command().values():
        subcommands = command["subcommands"]
        if not subcommands or command["name"] == "command":
            yield command["name"], command["arity"]
        for subcommand in subcommands:
            yield subcommand[0].decode(), subcommand[1]


def may_run(admin: redis.Redis, name: str, command: str, arity: int) -> bool:
    words = command.split("|")
    words += ["1"] * (abs(arity) - len(words))
    answer = str(admin.acl_dryrun(name, *words))
    return "no permissions to run" not in answer


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("gateway", ("SET", "other", "1")),
        ("gateway", ("XRANGE", "other", "-", "+")),
        ("gateway", ("ZADD", "cs:{cap:a}:other", "1", "a")),
        ("janitor", ("HGET", "cs:once:key", "a")),
        ("janitor", ("ZADD", "cs:{cap:a}:places", "1", "a")),
        ("reader", ("HGET", "cs:{p00}:writers:CA1", "MZ1")),
        ("reader", ("XRANGE", "cs:once:key", "-", "+")),
        ("consumer", ("XGROUP", "CREATE", "cs:{p00}:call:CA1", "g", "0", "MKSTREAM")),
        ("consumer", ("XRANGE", "other", "-", "+")),
        ("redact", ("XADD", "cs:{p00}:call:CA1", "*", "a", "1")),
        ("redact", ("XADD", "cs:{p00}:events", "*", "a", "1")),
        ("redact", ("XADD", "cs:{p00}:call:CA1%3Aredacted", "*", "a", "1")),
        ("redact", ("HGET", "cs:{p00}:writers:CA1", "MZ1")),
        ("redact", ("HGET", "cs:{p00}:consumer:other", "fence")),
        ("redact", ("XRANGE", "cs:{p00}:dead:other", "-", "+")),
        ("redact", ("ZADD", "cs:{p00}:live", "1", "a")),
        ("archive", ("XADD", "cs:{p00}:call:CA1", "*", "a", "1")),
        ("archive", ("XDEL", "cs:{p00}:events", "1-0")),
        ("archive-redacted", ("XRANGE", "cs:{p00}:wrapups", "-", "+")),
        ("archive-redacted", ("XRANGE", "cs:{p00}:dead:archive-raw", "-", "+")),
        ("search", ("XADD", "cs:{p00}:call:CA1", "*", "a", "1")),
        ("search", ("XADD", "cs:{p00}:events", "*", "a", "1")),
        ("search", ("XRANGE", "cs:{p00}:dead:redact", "-", "+")),
        ("search-redacted", ("XRANGE", "cs:{p00}:wrapups", "-", "+")),
        ("search-redacted", ("XRANGE", "cs:{p00}:call:CA1:wrapups", "-", "+")),
        ("relay", ("SET", "cs:{p00}:call:CA1", "1")),
        ("assist", ("XADD", "cs:{p00}:call:CA1", "*", "a", "1")),
        ("assist", ("XADD", "cs:{p00}:events", "*", "a", "1")),
        ("assist", ("XADD", "cs:{p00}:call:CA1:redacted", "*", "a", "1")),
        ("assist", ("ZADD", "cs:{p00}:live", "1", "a")),
        ("assist", ("XRANGE", "cs:{p00}:dead:redact", "-", "+")),
        ("relay", ("SET", "cs:{p00}:redacted", "1")),
        ("relay", ("GET", "cs:once:key")),
        ("relay", ("XRANGE", "cs:{p00}:dead:redact", "-", "+")),
        ("relay-redacted", ("SET", "cs:{p00}:redacted", "1")),
        ("relay-redacted", ("XADD", "cs:{p00}:retry:wrapup-raw", "*", "a", "1")),
        ("relay-redacted", ("XADD", "cs:{p00}:retry:redact", "*", "a", "1")),
        ("wrapup", ("XRANGE", "cs:{p00}:call:CA1", "-", "+")),
        ("wrapup", ("XRANGE", "cs:{p00}:events", "-", "+")),
        ("wrapup", ("XADD", "cs:{p00}:redacted", "*", "a", "1")),
        ("wrapup", ("XRANGE", "cs:{p00}:wrapups", "-", "+")),
        ("wrapup", ("XRANGE", "cs:{p00}:dead:wrapup-raw", "-", "+")),
        ("wrapup-raw", ("XADD", "cs:{p00}:call:CA1", "*", "a", "1")),
        ("wrapup-raw", ("XADD", "cs:{p00}:redacted-wrapups", "*", "a", "1")),
        ("reader-redacted", ("ZRANGE", "cs:{p00}:writers:CA1", "0", "-1")),
    ],
)
def test_unlisted_keys_are_refused(server_url: str, name: str, command: tuple[str, ...]) -> None:
    with (
        client_for(name, server_url) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


@pytest.mark.parametrize("name", ["gateway", "janitor", "redact", "archive", "wrapup"])
def test_scripts_have_the_permissions_of_their_user(server_url: str, name: str) -> None:
    with client_for(name, server_url) as client:
        for script in ("return redis.call('GET', 'other')", "return redis.call('FLUSHALL')"):
            with pytest.raises(redis.ResponseError, match="ACL failure in script"):
                client.eval(script, 0)


def test_unauthenticated_clients_are_refused(server_url: str) -> None:
    with redis.Redis.from_url(server_url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
