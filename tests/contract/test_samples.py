"""The programs of docs/events.md do what the page says, on a single server and on a cluster."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis, RedisCluster

from cli.contract import SCHEMAS
from gateway.transcript.keys import call_keys, partition_key
from tests.npm import installed
from tests.workers.client.stories import fields

_PAGE: Final = SCHEMAS.parent / "events.md"
_PROGRAM: Final = re.compile(r"^```(?:python|js)\n(?:#|//) (\w+\.\w+): .*?^```", re.DOTALL | re.M)
_PROGRAMS: Final = {match[1]: match[0] for match in _PROGRAM.finditer(_PAGE.read_text("utf-8"))}
_TIMEOUT_S: Final = 20.0
_GROUP: Final = "archive"
_CALLS: Final = ("CA1", "CA2", "CA3")
_FINALS: Final = "SELECT call_id, n FROM finals"
_IDLE_MS: Final = 120_000  # a crashed worker's entries are claimed after a minute

type Client = Any  # Redis or RedisCluster; the types of their replies are unions


@pytest.fixture(params=["single", "cluster"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of an empty server, then of an empty cluster."""
    if request.param == "single":
        url = request.getfixturevalue("redis_url")
        with Redis.from_url(url, decode_responses=True, protocol=2) as single:
            yield single
        return
    url = request.getfixturevalue("redis_cluster_url").replace("+cluster", "")
    with RedisCluster.from_url(url, decode_responses=True, protocol=2) as cluster:
        yield cluster


def environment(client: Client) -> dict[str, str]:
    """Return the environment that makes a program use the client's server."""
    is_cluster = isinstance(client, RedisCluster)
    if is_cluster:
        node = client.get_nodes()[0]
        where = {"host": node.host, "port": node.port}
    else:
        where = client.connection_pool.connection_kwargs
    url = f"redis://{where['host']}:{where['port']}"
    own = {"REDIS_URL": url, "REDIS_CLUSTER": "1" if is_cluster else "", "PYTHONUNBUFFERED": "1"}
    return os.environ | own


@contextmanager
def running(
    name: str, client: Client, folder: Path, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a program of the page."""
    program = folder / name
    program.write_text(_PROGRAMS[name].split("\n", 1)[1].removesuffix("```"), encoding="utf-8")
    interpreter = sys.executable
    if name.endswith(".mjs"):
        packages = installed("redis", "6.3.1").parent
        interpreter = "node"
        link = folder / "node_modules"
        link.unlink(missing_ok=True)
        link.symlink_to(packages)
    process = subprocess.Popen(  # noqa: S603 (a program of the page)
        [interpreter, str(program), *arguments],
        cwd=folder,
        env=environment(client),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def write(client: Client, event: Mapping[str, str], suffix: str = "") -> str:
    """Add an event to the streams of its call and of its partition; return its id."""
    keys = call_keys(event["call_id"], 64)
    shared = keys.events.replace(":events", f":{suffix}") if suffix else keys.events
    of_call = f"{keys.call}:{suffix}" if suffix else keys.call
    entry_id = str(client.xadd(shared, dict(event)))
    client.xadd(of_call, dict(event), id=entry_id)
    return entry_id


def story(call_id: str) -> list[dict[str, str]]:
    """Return the events of a short call."""
    final: dict[str, Any] = {"track": "inbound", "segment": 1, "rev": 0, "end_ms": 960}
    own: dict[str, Any] = {
        "status": "completed",
        "reason": "stopped",
        "duration_ms": 1000,
        "gap_ms": 0,
    }
    return [
        fields("stream.started", 1, call=call_id),
        fields("transcript.final", 2, call=call_id, start_ms=80, text=f"hi {call_id}", **final),
        fields("transcript.final", 3, call=call_id, start_ms=960, text="bye é", **final),
        fields("stream.ended", 4, call=call_id, **own),
    ]


def until(is_done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for an effect of a program."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not is_done():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_page_has_the_programs() -> None:
    assert sorted(_PROGRAMS) == [
        "all_calls.mjs",
        "all_calls.py",
        "kit.py",
        "one_call.mjs",
        "one_call.py",
    ]
    assert _PAGE.read_text("utf-8").count("\n```python\n") == 4  # call_key is not a program


@pytest.mark.parametrize("name", ["one_call.py", "one_call.mjs"])
def test_one_call_is_printed_until_it_ends(name: str, redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        started, first, second, ended = story("CA1")
        write(client, started)
        with running(name, client, tmp_path, "CA1") as process:
            time.sleep(0.2)  # it waits for more
            for event in (first, second, {**ended, "n": "6"}):
                write(client, event)
            printed, errors = process.communicate(timeout=_TIMEOUT_S)
    assert (process.returncode, errors) == (0, "")
    assert printed.splitlines() == [
        "inbound 80 hi CA1",
        "inbound 960 bye é",
        "events are missing before n = 6",
    ]


def test_kit_reads_all_calls(redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        for event in story("CA1"):
            if event["n"] != "3":
                write(client, event)
        with running("kit.py", client, tmp_path) as process:
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in range(2)]
    assert printed == ["CA1 inbound 80 hi CA1\n", "CA1 1 events are missing\n"]


def _leave_pending(client: Client, call_id: str, worker: str, *, idle_ms: int = 0) -> str:
    """Make a worker receive a call's events and not acknowledge them; return the last one's id."""
    key = call_keys(call_id, 64).events
    client.xgroup_create(key, _GROUP, id="0", mkstream=True)
    ids = [write(client, event) for event in story(call_id)]
    client.xreadgroup(_GROUP, worker, {key: ">"})
    if idle_ms:
        client.xclaim(key, _GROUP, worker, 0, ids, idle=idle_ms)
    return ids[-1]


def _stored(folder: Path, process: subprocess.Popen[str]) -> list[str]:
    """Return the finals that a program has stored or printed, as call and n; end it."""
    process.kill()
    printed = process.communicate()[0].splitlines()
    if (folder / "finals.db").exists():
        with closing(sqlite3.connect(folder / "finals.db")) as database:
            printed = [f"{call_id} {n}" for call_id, n in database.execute(_FINALS)]
    return sorted(" ".join(line.split()[:2]) for line in printed)


@pytest.mark.parametrize("name", ["all_calls.py", "all_calls.mjs"])
def test_all_calls_are_handled_after_a_crash_too(name: str, client: Client, tmp_path: Path) -> None:
    """Its own entries, those of a crashed worker, and new ones; one was deleted meanwhile."""
    last_id = _leave_pending(client, "CA1", "me")
    _leave_pending(client, "CA2", "crashed", idle_ms=_IDLE_MS)
    keys = [call_keys(call_id, 64).events for call_id in _CALLS]
    assert len(set(keys)) == 3
    client.xdel(keys[0], last_id)

    def is_done() -> bool:
        last = partition_key(63, "events")
        if not client.exists(last) or not client.xinfo_groups(last):
            return False  # it has not started
        groups = [group for key in keys for group in client.xinfo_groups(key)]
        return not any(each["lag"] or each["pending"] for each in groups)

    with running(name, client, tmp_path, "me") as process:
        until(lambda: bool(client.exists(keys[2])), process)
        for event in story("CA3"):
            write(client, event)
        until(is_done, process)
        stored = _stored(tmp_path, process)
    assert stored == [f"{call_id} {n}" for call_id in _CALLS for n in (2, 3)]


def test_a_final_that_is_delivered_again_is_stored_once(redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        for written in (4, 8):
            for event in story("CA1"):
                write(client, event)
            with running("all_calls.py", client, tmp_path, "me") as process:
                until(partial(_is_read, client, written), process)
                assert _stored(tmp_path, process) == ["CA1 2", "CA1 3"]


def _is_read(client: Client, count: int) -> bool:
    """Return whether the group has read and acknowledged a number of events of a partition."""
    groups = client.xinfo_groups(call_keys("CA1", 64).events)
    return bool(groups and groups[0]["entries-read"] == count and not groups[0]["pending"])
