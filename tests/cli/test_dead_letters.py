"""`./run dead-letters` on real servers."""

import asyncio
import io
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from gateway.transcript.keys import partition_key, partition_of
from tests.cli.test_commands import Run, run
from tests.workers.client.stories import fields
from tests.workers.consumer.a_worker import POISON
from tests.workers.consumer.test_consumer import until_copied, workers
from workers.client import create_client
from workers.consumer import Append, DeadLetters, Group, Received

__all__ = ["run"]  # the fixture

_CALLS: Final = [f"CA{number}" for number in range(6)]
_POSITION: Final[dict[str, Any]] = {
    "track": "inbound",
    "segment": 1,
    "rev": 0,
    "start_ms": 0,
    "end_ms": 80,
}

type Client = Any  # redis-py's types do not know that replies are decoded


class Careful:
    """Handles what no other worker can."""

    async def handle(self, received: Received) -> list[Append]:
        return [Append(received.event.call_id, {**received.fields, "worker": "careful"})]


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with connected(url) as made:
        yield made


def connected(url: str) -> Client:
    kind: Any = redis.RedisCluster if "+cluster" in url else redis.Redis
    return kind.from_url(url.replace("+cluster", ""), decode_responses=True)


def key(call: str, name: str) -> str:
    return partition_key(partition_of(call, 64), name)


def bury(client: Client, call: str, **more: str) -> str:
    """Write a dead letter of a call; return its id in the list."""
    event: Any = fields("transcript.final", 1, call=call, text=POISON, **_POSITION)
    why = {"dead_id": "5-0", "dead_error": "ValueError", "dead_tries": "5"}
    entry_id = client.xadd(key(call, "dead:copy"), {**event, **why, **more})
    client.hset(key(call, "consumer:copy"), "fence", "1")
    return f"{partition_of(call, 64):02d}:{entry_id}"


def test_list_shows_all_partitions_without_content(run: Run, url: str, client: Client) -> None:
    ids = [bury(client, call) for call in _CALLS]
    code, out, err = run("dead-letters", "copy", "--redis-url", url)
    assert (code, err) == (0, "dead letters of copy: 6\n")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["id", "call", "type", "n", "error", "tries", "when"]
    assert {tuple(line[:6]) for line in lines[1:]} == {
        (entry_id, call, "transcript.final", "1", "ValueError", "5")
        for entry_id, call in zip(ids, _CALLS, strict=True)
    }
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", line[6]) for line in lines[1:])
    assert POISON not in out


def test_show_prints_content_only_if_asked(run: Run, redis_url: str) -> None:
    with connected(redis_url) as client:
        letter = bury(client, "CA1", unknown="secret", reason="a\x1b[31mb")
    command = ("dead-letters", "copy", "--redis-url", redis_url, "--show", letter)
    code, out, _ = run(*command)
    assert code == 0
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (shown["call_id"], shown["dead_id"], shown["reason"]) == ("CA1", "5-0", r"a\x1b[31mb")
    assert shown["text"] == shown["unknown"] == "(6 characters; --text shows them)"
    shown = dict(line.split(maxsplit=1) for line in run(*command, "--text")[1].splitlines())
    assert (shown["text"], shown["unknown"]) == (POISON, "secret")


def test_one_is_dropped_and_another_is_retried(run: Run, url: str, client: Client) -> None:
    first, second, third = (bury(client, "CA1") for _ in range(3))
    base = ("dead-letters", "copy", "--redis-url", url)
    assert run(*base, "--drop", first, "--yes")[:2] == (0, f"dropped {first}\n")
    assert run(*base, "--retry", second)[:2] == (0, "to be handled again by the workers copy: 1\n")
    for letter in (first, second):
        for option in ("--drop", "--retry", "--show"):
            code, _, err = run(*base, option, letter, *(["--yes"] if option == "--drop" else []))
            assert (code, err) == (2, f"run: copy has no dead letter {letter}\n")
    assert [f"53:{entry_id}" for entry_id, _ in client.xrange(key("CA1", "dead:copy"))] == [third]
    ((_, retried),) = client.xrange(key("CA1", "retry:copy"))
    assert retried == fields("transcript.final", 1, call="CA1", text=POISON, **_POSITION)


def test_nothing_is_dropped_without_confirmation(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with connected(redis_url) as client:
        letter = bury(client, "CA1")
        code, _, err = run("dead-letters", "copy", "--redis-url", redis_url, "--drop", letter)
        assert (code, "Aborted" in err) == (1, True)
        assert client.xlen(key("CA1", "dead:copy")) == 1


def test_worker_handles_what_is_retried(run: Run, url: str, client: Client) -> None:
    """Every dead letter reaches a worker that can handle it, once."""
    for call in _CALLS:
        event: Any = fields("transcript.final", 1, call=call, text=POISON, **_POSITION)
        client.xadd(key(call, "events"), event)

    async def until(name: str, count: int) -> None:
        async with asyncio.timeout(30):
            while sum(client.xlen(key(call, name)) for call in _CALLS) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def fail() -> None:
        async with workers(url, "w1"):
            await until("dead:copy", len(_CALLS))

    async def succeed() -> None:
        reader = create_client(url)
        async with workers(url, "w2", handler=Careful()):
            await until_copied(reader, 1, _CALLS)
            await until("retry:copy", 0)
        await reader.aclose()

    asyncio.run(fail())
    code, out, _ = run("dead-letters", "copy", "--redis-url", url, "--retry", "all")
    assert (code, out) == (0, "to be handled again by the workers copy: 6\n")
    asyncio.run(succeed())
    for call in _CALLS:
        ((_, copied),) = client.xrange(key(call, f"call:{call}:copy"))
        assert (copied["worker"], "dead_id" in copied) == ("careful", False)
        assert client.xlen(key(call, "dead:copy")) == 0


async def test_repeated_retry_moves_each_once(redis_url: str) -> None:
    """Symptom to prevent: a reply is lost, and the entries are handled twice."""
    with connected(redis_url) as client:
        ids = [bury(client, "CA1").partition(":")[2] for _ in range(1203)]
        reader = create_client(redis_url)
        letters = DeadLetters(reader, Group("copy"))
        assert await letters.retry(53, ids[:700]) == 700
        assert await letters.retry(53, ids) == 503
        assert client.xlen(key("CA1", "retry:copy")) == len(ids)
        assert client.xlen(key("CA1", "dead:copy")) == 0
        await reader.aclose()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--show 1:1-0 --retry all", "use only one of"),
        ("--text", "only with --show"),
        ("--retry 1-0", "the id must be one of the list"),
        ("--show 64:1-0", "the id must be one of the list"),
        ("", "no worker of a group copy has used this Redis"),
    ],
)
def test_wrong_use_is_reported_in_one_line(
    run: Run, redis_url: str, arguments: str, line: str
) -> None:
    code, out, err = run("dead-letters", "copy", "--redis-url", redis_url, *arguments.split())
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1
