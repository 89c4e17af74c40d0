"""The publisher while Redis is unavailable, restarted or slow, or refuses writes."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.asyncio import RedisCluster
from structlog.testing import capture_logs

from gateway.metrics import Metrics
from gateway.publishing.outbox import Limits
from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import (
    client_of,
    delta,
    ended,
    events_of,
    final,
    keys_of,
    numbers,
    open_stream,
    publisher_at,
    started,
    texts,
    total,
)
from tests.redis_servers import free_port, valkey
from tests.tcp_proxy import Cut, TcpProxy
from tests.waiting import eventually

# Short delays make the tests fast; the delays themselves are not tested here.
_QUICK = Limits(flush_interval_s=0.002, backoff_first_s=0.005, backoff_max_s=0.05)
_IMPATIENT = Limits(
    flush_interval_s=0.002, backoff_first_s=0.005, backoff_max_s=0.05, exchange_timeout_s=0.5
)
_WORDS = [f" w{i}" for i in range(24)]
_call_numbers = count()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    async with client_of(redis_url) as client:
        yield client


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def publish_words(url: str, call_ids: list[str], metrics: Metrics | None = None) -> None:
    """Publish a whole call for each id, with a word every 2 ms."""
    async with publisher_at(url, _QUICK, metrics) as publisher:
        writers = [open_stream(publisher, call_id) for call_id in call_ids]
        for writer in writers:
            writer.publish(started())
        for word in _WORDS:
            for writer in writers:
                writer.publish(delta(word))
            await asyncio.sleep(0.002)
        for writer in writers:
            writer.publish(ended())


async def assert_complete(client: RedisClient, call_ids: list[str]) -> None:
    for call_id in call_ids:
        events = await events_of(client, call_id)
        assert numbers(events) == list(range(1, len(_WORDS) + 3))
        assert texts(events) == _WORDS
        assert events[-1]["type"] == "stream.ended"


# Connections


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.builds(Cut, st.booleans(), st.integers(0, 4000)), max_size=5))
@example(cuts=[Cut(of_replies=True, after_bytes=0)])
@example(cuts=[Cut(of_replies=True, after_bytes=60)] * 3)
@example(cuts=[Cut(of_replies=False, after_bytes=700)] * 3)
async def test_each_event_is_written_once_wherever_connections_break(
    redis_server_url: str, cuts: list[Cut]
) -> None:
    calls = [f"CUT{next(_call_numbers)}" for _ in range(3)]
    async with TcpProxy(port_of(redis_server_url), cuts=cuts) as proxy:
        await publish_words(f"redis://127.0.0.1:{proxy.port}", calls)
    async with client_of(redis_server_url) as client:
        await assert_complete(client, calls)


async def test_batch_whose_reply_was_lost_is_sent_again_and_written_once(
    redis: RedisClient, redis_url: str
) -> None:
    metrics = Metrics()
    lose_first_reply = [Cut(of_replies=True, after_bytes=0)]
    async with TcpProxy(port_of(redis_url), cuts=lose_first_reply * 2) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        await publish_words(url, ["CA1", "CA2"], metrics)
        assert proxy.connections >= 3
    await assert_complete(redis, ["CA1", "CA2"])
    assert total(metrics, "redis_errors_total", reason="redis-unavailable") >= 2
    assert total(metrics, "redis_dropped_events_total", kind="transcript.delta") == 0


async def test_killed_connections_lose_and_repeat_no_event(
    redis: RedisClient, redis_url: str
) -> None:
    killed = []

    async def kill_often() -> None:
        async with client_of(redis_url) as killer:
            while True:
                killed.append(await killer.execute_command("CLIENT", "KILL", "TYPE", "normal"))
                await asyncio.sleep(0.01)

    killing = asyncio.create_task(kill_often())
    try:
        async with publisher_at(redis_url, _QUICK) as publisher:
            writer = open_stream(publisher, "CA1")
            writer.publish(started())
            for word in _WORDS:
                writer.publish(delta(word))
                await asyncio.sleep(0.005)
            writer.publish(ended())
            await eventually(lambda: sum(killed) > 2)
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    await assert_complete(redis, ["CA1"])


async def test_script_is_loaded_again_after_a_script_flush(
    redis: RedisClient, redis_url: str
) -> None:
    async with publisher_at(redis_url, _QUICK) as publisher:
        writer = open_stream(publisher, "CA1")
        for text in "abc":
            await redis.script_flush()
            writer.publish(final(text))
            await eventually(lambda: not publisher.buffered_events)
    events = await events_of(redis, "CA1")
    assert (numbers(events), texts(events)) == ([1, 2, 3], ["a", "b", "c"])


# Servers


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a server's process: connections stay open, replies do not arrive."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def pid_of(url: str) -> int:
    async with client_of(url) as client:
        info = await client.execute_command("INFO", "server")
        return int(info["process_id"])


async def test_server_that_replies_late_loses_and_repeats_no_event() -> None:
    """A server that was stopped still runs what it received, after the batch was sent again."""
    metrics = Metrics()
    with valkey() as url:
        pid = await pid_of(url)
        async with publisher_at(url, _IMPATIENT, metrics) as publisher:
            writer = open_stream(publisher, "CA1")
            writer.publish(started())
            await eventually(lambda: not publisher.buffered_events)
            with frozen(pid):
                for word in _WORDS:
                    writer.publish(delta(word))
                reason = {"reason": "redis-unavailable"}
                await eventually(lambda: total(metrics, "redis_errors_total", **reason) >= 2)
            writer.publish(ended())
        async with client_of(url) as client:
            await assert_complete(client, ["CA1"])


async def test_server_restart_in_mid_call_loses_and_repeats_no_event(tmp_path: Path) -> None:
    durable = {"appendonly": "yes", "appendfsync": "always"}
    calls = ["CA1", "CA2"]
    metrics = Metrics()
    port = free_port()
    with contextlib.ExitStack() as servers:
        url = servers.enter_context(valkey(port, tmp_path, **durable))
        async with publisher_at(url, _QUICK, metrics) as publisher:
            writers = [open_stream(publisher, call_id) for call_id in calls]
            for writer in writers:
                writer.publish(started())
            for i, word in enumerate(_WORDS):
                for writer in writers:
                    writer.publish(delta(word))
                await asyncio.sleep(0.002)
                if i == len(_WORDS) // 2:
                    servers.close()  # SIGKILL
            reason = {"reason": "redis-unavailable"}
            await eventually(lambda: total(metrics, "redis_errors_total", **reason) >= 2)
            servers.enter_context(valkey(port, tmp_path, **durable))
            for writer in writers:
                writer.publish(ended())
        async with client_of(url) as client:
            await assert_complete(client, calls)


_ALL_PERMISSIONS = ("ACL", "SETUSER", "default", "on", "nopass", "allkeys", "+@all")


@pytest.mark.parametrize(
    ("fault", "remedy", "code"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "OOM"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "READONLY"),
        (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
            "NOREPLICAS",
        ),
        *(
            (("ACL", "SETUSER", "default", f"-{command}"), _ALL_PERMISSIONS, "NOPERM")
            for command in ("evalsha", "hget", "time", "zadd", "xtrim", "xadd", "hset", "expire")
        ),
        (("ACL", "SETUSER", "default", "resetkeys"), _ALL_PERMISSIONS, "NOPERM"),
        # Open connections stay authenticated: the test closes them.
        (("ACL", "SETUSER", "default", "resetpass", ">other"), _ALL_PERMISSIONS, "NOAUTH"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else part,
)
async def test_fault_that_an_operator_can_fix_loses_and_repeats_no_event(
    fault: tuple[str, ...], remedy: tuple[str, ...], code: str
) -> None:
    """Symptom: while an ACL was missing for 3 s, 49 deltas and a final were dropped."""
    metrics = Metrics()
    with valkey() as url, capture_logs() as logs:
        async with client_of(url) as redis, publisher_at(url, _QUICK, metrics) as publisher:
            writer = open_stream(publisher, "CA1")
            writer.publish(final("a"))
            await eventually(lambda: not publisher.buffered_events)
            await redis.execute_command(*fault)
            if code == "NOAUTH":
                await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            writer.publish(final("b"))
            reason = {"reason": "redis-unavailable"}
            await eventually(lambda: total(metrics, "redis_errors_total", **reason) >= 3)
            await redis.execute_command(*remedy)
            await eventually(lambda: not publisher.buffered_events)
            events = await events_of(redis, "CA1")
    assert (numbers(events), texts(events)) == ([1, 2], ["a", "b"])
    assert total(metrics, "redis_errors_total", reason="redis-refused") == 0
    assert [log["error"] for log in logs if log["event"] == "redis-unavailable"] == [code]


async def save_status(redis: RedisClient) -> str:
    info = await redis.execute_command("INFO", "persistence")
    return str(info["rdb_last_bgsave_status"])


async def test_failed_snapshot_neither_loses_nor_repeats_events(tmp_path: Path) -> None:
    """After a failed snapshot, Redis refuses writes (MISCONF)."""
    folder = tmp_path / "data"
    folder.mkdir()
    metrics = Metrics()
    with valkey(data_dir=folder, save="3600 1") as url:
        async with client_of(url) as redis, publisher_at(url, _QUICK, metrics) as publisher:
            shutil.rmtree(folder)
            await redis.execute_command("BGSAVE")
            async with asyncio.timeout(20):
                while await save_status(redis) != "err":  # noqa: ASYNC110  # no event to wait for
                    await asyncio.sleep(0.02)
            writer = open_stream(publisher, "CA1")
            writer.publish(final("a"))
            reason = {"reason": "redis-unavailable"}
            await eventually(lambda: total(metrics, "redis_errors_total", **reason) >= 3)
            await redis.execute_command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            await eventually(lambda: not publisher.buffered_events)
            assert numbers(await events_of(redis, "CA1")) == [1]


async def test_publisher_waits_for_a_server_busy_with_a_script() -> None:
    metrics = Metrics()
    with valkey(lua_time_limit="20") as url:
        async with (
            client_of(url, 60) as busy,
            client_of(url) as redis,
            publisher_at(url, _QUICK, metrics) as publisher,
        ):
            endless = asyncio.create_task(busy.execute_command("EVAL", "while true do end", 0))
            writer = open_stream(publisher, "CA1")
            writer.publish(final("a"))
            reason = {"reason": "redis-unavailable"}
            await eventually(lambda: total(metrics, "redis_errors_total", **reason) >= 2)
            await redis.execute_command("SCRIPT", "KILL")
            await asyncio.gather(endless, return_exceptions=True)
            await eventually(lambda: not publisher.buffered_events)
            assert numbers(await events_of(redis, "CA1")) == [1]


async def test_writes_that_redis_lost_are_counted(redis: RedisClient, redis_url: str) -> None:
    """A failover to a replica that lags behind loses acknowledged events."""
    metrics = Metrics()
    async with publisher_at(redis_url, _QUICK, metrics) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(final("a"))
        await eventually(lambda: not publisher.buffered_events)
        await redis.flushall()
        writer.publish(final("b"))
    assert numbers(await events_of(redis, "CA1")) == [2], "the hole in n shows the loss"
    assert total(metrics, "redis_errors_total", reason="redis-lost-writes") == 1


# Refusals


@pytest.mark.parametrize("name", ["call", "writers", "live", "events"])
async def test_refused_stream_affects_no_other_stream(
    redis: RedisClient, redis_url: str, name: str
) -> None:
    """A key of another type: the batch is dropped whole, and nothing of it is written."""
    metrics = Metrics()
    refused_key = getattr(keys_of("CA1"), name)
    other = next(c for c in map("CA{}".format, count(2)) if keys_of(c).live != keys_of("CA1").live)
    await redis.execute_command("SET", refused_key, "not ours")
    with capture_logs() as logs:
        async with publisher_at(redis_url, _QUICK, metrics) as publisher:
            bad, good = open_stream(publisher, "CA1"), open_stream(publisher, other)
            for _ in range(2):
                bad.publish(final("secret words"))
                good.publish(final("fine"))
                await eventually(lambda: not publisher.buffered_events)
            await redis.delete(refused_key)
            bad.publish(final("after"))
    assert texts(await events_of(redis, other)) == ["fine", "fine"]
    events = await events_of(redis, "CA1")
    assert (numbers(events), texts(events)) == ([3], ["after"]), "the hole in n shows the loss"
    assert total(metrics, "redis_errors_total", reason="redis-refused") == 2
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 2
    assert [(log["event"], log["code"]) for log in logs] == [("redis-refused", "WRONGTYPE")]
    assert "secret words" not in str(logs)


# Limits of memory


async def test_beyond_the_first_limit_deltas_are_shed_and_no_final_is_lost() -> None:
    metrics = Metrics()
    limits = Limits(backoff_first_s=0.005, backoff_max_s=0.05, buffered_events=50)
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    finals = []
    with contextlib.ExitStack() as servers:
        async with publisher_at(url, limits, metrics) as publisher:
            writers = [open_stream(publisher, call_id) for call_id in ("CA1", "CA2")]
            for segment in range(20):
                for writer in writers:
                    for word in _WORDS:
                        writer.publish(delta(word))
                    writer.publish(final(f"segment {segment}"))
                finals.append(f"segment {segment}")
                assert publisher.buffered_events <= 50 + 2 * len(finals)
                await asyncio.sleep(0)
            servers.enter_context(valkey(port))
        async with client_of(url) as client:
            for call_id in ("CA1", "CA2"):
                events = await events_of(client, call_id)
                assert numbers(events) == list(range(1, len(events) + 1)), "no hole"
                assert [e["text"] for e in events if e["type"] == "transcript.final"] == finals
    shed = total(metrics, "redis_dropped_events_total", kind="transcript.delta")
    assert shed > 0
    assert shed + total(metrics, "redis_events_total") == 2 * 20 * (len(_WORDS) + 1)


async def test_beyond_the_second_limit_dropped_events_leave_a_hole_in_n() -> None:
    metrics = Metrics()
    limits = Limits(
        backoff_first_s=0.005, backoff_max_s=0.05, buffered_events=10, buffered_events_hard=20
    )
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with contextlib.ExitStack() as servers:
        async with publisher_at(url, limits, metrics) as publisher:
            writer = open_stream(publisher, "CA1")
            for i in range(30):
                writer.publish(final(str(i)))
            assert publisher.buffered_events == 20
            servers.enter_context(valkey(port))
            await eventually(lambda: not publisher.buffered_events)
            writer.publish(ended())
        async with client_of(url) as client:
            assert numbers(await events_of(client, "CA1")) == [*range(1, 21), 31]
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 10


async def test_close_without_redis_times_out_and_counts_dropped_events() -> None:
    metrics = Metrics()
    url = f"redis://127.0.0.1:{free_port()}"
    async with publisher_at(url, _QUICK, metrics) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(started())
        writer.publish(final("secret words"))
        with capture_logs() as logs:
            await asyncio.wait_for(publisher.close(timeout_s=0.1), 20)
        writer.publish(final("late"))
    assert {"event": "redis-events-dropped", "log_level": "error", "events": 2} in logs
    assert "secret words" not in str(logs)
    assert total(metrics, "redis_dropped_events_total", kind="stream.started") == 1
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 2
    assert total(metrics, "redis_buffered_events") == 0


# Clusters


@pytest.mark.parametrize("frozen_node", [0, 2])
async def test_frozen_cluster_node_affects_only_its_own_calls(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...], frozen_node: int
) -> None:
    calls = [f"CA{i}" for i in range(12)]
    its_calls = await calls_on(redis_cluster_nodes[frozen_node], calls)
    assert 0 < len(its_calls) < len(calls)
    pid = await pid_of(redis_cluster_nodes[frozen_node])
    async with publisher_at(redis_cluster_url, _IMPATIENT, timeout_s=0.2) as publisher:
        writers = [open_stream(publisher, call_id) for call_id in calls]
        for writer in writers:
            writer.publish(started())
        await eventually(lambda: not publisher.buffered_events)
        with frozen(pid):
            for word in _WORDS:
                for writer in writers:
                    writer.publish(delta(word))
            held = len(_WORDS) * len(its_calls)
            await eventually(lambda: publisher.buffered_events == held)
        for writer in writers:
            writer.publish(ended())
    async with client_of(redis_cluster_url) as client:
        await assert_complete(client, calls)


async def test_slot_that_moves_to_another_node_is_followed(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]
) -> None:
    async with client_of(redis_cluster_url) as client:
        async with publisher_at(redis_cluster_url, _QUICK) as publisher:
            writer = open_stream(publisher, "CA1")
            for text in "abc":
                writer.publish(final(text))
                await eventually(lambda: not publisher.buffered_events)
                await move_slot(redis_cluster_nodes, keys_of("CA1").call)
            writer.publish(final("d"))
        events = await events_of(client, "CA1")
        assert (numbers(events), texts(events)) == ([1, 2, 3, 4], ["a", "b", "c", "d"])


async def calls_on(node_url: str, call_ids: list[str]) -> list[str]:
    """Return the calls whose keys are on a node."""
    async with client_of(node_url.replace("redis://", "redis+cluster://")) as client:
        assert isinstance(client, RedisCluster)
        await client.execute_command("PING")
        owners = {c: client.get_node_from_key(keys_of(c).call) for c in call_ids}
    return [c for c, owner in owners.items() if owner and owner.port == port_of(node_url)]


async def move_slot(nodes: tuple[str, ...], key: str) -> None:
    """Move the slot of a key, with its keys, to the next node."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(url)) for url in nodes]
        ids = [await c.execute_command("CLUSTER", "MYID") for c in clients]
        slot = await clients[0].execute_command("CLUSTER", "KEYSLOT", key)
        held = [await c.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) for c in clients]
        source = max(range(len(nodes)), key=lambda i: held[i])
        target = (source + 1) % len(nodes)
        setslot = ("CLUSTER", "SETSLOT", slot)
        await clients[target].execute_command(*setslot, "IMPORTING", ids[source])
        await clients[source].execute_command(*setslot, "MIGRATING", ids[target])
        keys = await clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        there = ("127.0.0.1", port_of(nodes[target]), "", 0, 5000)
        await clients[source].execute_command("MIGRATE", *there, "KEYS", *keys)
        for i in (target, source, 3 - source - target):
            await clients[i].execute_command(*setslot, "NODE", ids[target])
