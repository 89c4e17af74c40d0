"""Classification of real servers' errors: a temporary failure never drops an event."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import hiredis
import pytest

from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.publishing.redis_store import append
from gateway.redis_client.check import check
from gateway.redis_client.commands import execute
from gateway.transcript.encode import pack_batch, pack_stream
from tests.gateway.publishing.publisher_harness import client_of, keys_of

_SHA = "e4c8d662c900e36d864be2e4a69d13e3e3dcca81"
_READONLY = "You can't write against a read only replica."
_OOM = "command not allowed when used memory > 'maxmemory'."
_SLOW = "You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
_DISK = (
    "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled"
)

# Most texts were recorded from Redis 7.0.15 and Valkey 9.1.2. Those of Redis 6, and LOADING,
# CLUSTERDOWN, TRYAGAIN, MOVED, ASK and UNBLOCKED, are from the servers' sources and public reports.
_TEMPORARY = [
    ("redis 7.0", f"OOM {_OOM} script: {_SHA}, on @user_script:65.", "OOM"),
    ("valkey 9", f"OOM {_OOM} script: on @user_script:65.", "OOM"),
    ("any", f"OOM {_OOM}", "OOM"),
    (
        "redis 6",
        f"ERR Error running script (call to f_{_SHA}): @user_script:65: -OOM {_OOM}",
        "OOM",
    ),
    ("redis 7.0", f"READONLY {_READONLY} script: {_SHA}, on @user_script:65.", "READONLY"),
    ("valkey 9", f"READONLY {_READONLY} script: on @user_script:65.", "READONLY"),
    (
        "redis 6",
        f"ERR Error running script (call to f_{_SHA}): @user_script:65: "
        f"@user_script: 65: -READONLY {_READONLY}",
        "READONLY",
    ),
    (
        "redis 7.0",
        f"NOREPLICAS Not enough good replicas to write. script: {_SHA}, on @",
        "NOREPLICAS",
    ),
    ("valkey 9", "NOREPLICAS Not enough good replicas to write. script: on @user_s", "NOREPLICAS"),
    ("any", f"MISCONF {_DISK}", "MISCONF"),
    ("any", "MISCONF Errors writing to the AOF file: No space left on device", "MISCONF"),
    (
        "redis 7.0",
        f"ERR The user executing the script can't run this command or subcommand script: {_SHA}, "
        "on @user_script:78.",
        "NOPERM",
    ),
    (
        "redis 7.0",
        "ERR The user executing the script can't access at least one of the keys mentioned in the "
        f"command arguments script: {_SHA}, on @user_script:1.",
        "NOPERM",
    ),
    (
        "redis 7.2, valkey 9",
        "ERR ACL failure in script: User gateway has no permissions to run the 'xadd' command "
        "script: on @user_script:78.",
        "NOPERM",
    ),
    (
        "valkey 9",
        "ERR ACL failure in script: No permissions to access a key script: on @",
        "NOPERM",
    ),
    ("redis 7.0", "NOPERM this user has no permissions to run the 'evalsha' command", "NOPERM"),
    ("valkey 9", "NOPERM User gateway has no permissions to run the 'evalsha' command", "NOPERM"),
    ("valkey 9", "NOPERM No permissions to access a key", "NOPERM"),
    ("redis 7.0", f"BUSY Redis is busy running a script. {_SLOW}", "BUSY"),
    ("valkey 9", f"BUSY Valkey is busy running a script. {_SLOW}", "BUSY"),
    ("any", "LOADING Redis is loading the dataset in memory", "LOADING"),
    (
        "any",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "MASTERDOWN",
    ),
    ("any", "CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
    ("any", "CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
    ("any", "TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
    ("any", "MOVED 3999 127.0.0.1:6381", "MOVED"),
    ("any", "ASK 3999 127.0.0.1:6381", "ASK"),
    (
        "any",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
        "replica?)",
        "UNBLOCKED",
    ),
    ("any", "NOAUTH Authentication required.", "NOAUTH"),
    ("any", "WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
    (
        "redis 7.0",
        f"ERR Script killed by user with SCRIPT KILL... script: {_SHA}, on @user_scr",
        "",
    ),
    ("any", "ERR max number of clients reached", ""),
    ("any", "ERR unknown command 'EVALSHA', with args beginning with: ", ""),
    ("valkey 9", "ERR Unknown command called from script script: on @user_script:1.", ""),
    ("a proxy", "ERR upstream failure", ""),
    ("future", "NEWCODE of a future server", ""),
]
_FINAL = [
    (
        "valkey 9",
        "WRONGTYPE Operation against a key holding the wrong kind of value script: on @user_scrip",
        "WRONGTYPE",
    ),
    (
        "redis 7.0",
        f"WRONGTYPE Operation against a key holding the wrong kind of value script: {_SHA}, on @",
        "WRONGTYPE",
    ),
    ("any", "CROSSSLOT Keys in request don't hash to the same slot", "CROSSSLOT"),
    (
        "any",
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
        "",
    ),
    (
        "redis 7.0",
        "ERR user_script:1: attempt to perform arithmetic on a nil value "
        f"script: {_SHA}, on @user_script:1.",
        "",
    ),
    ("valkey 9", "ERR user_script:1: too many results to unpack script: on @user_script:1.", ""),
    (
        "redis 7.0",
        f"ERR Wrong number of args calling Redis command from script script: {_SHA},",
        "",
    ),
    ("valkey 9", "ERR Wrong number of args calling command from script script: on @user_scri", ""),
    ("any", "ERR wrong number of arguments for 'evalsha' command", ""),
    ("any", "ERR syntax error script: on @user_script:1.", ""),
    ("any", "ERR value is not an integer or out of range script: on @user_script:1.", ""),
    ("any", "ERR value is not a valid float script: on @user_script:1.", ""),
    ("any", "ERR Protocol error: invalid bulk length", ""),
    ("any", "ERR string exceeds maximum allowed size (proto-max-bulk-len)", ""),
]


@asynccontextmanager
async def server_replying(reply: Callable[[list[bytes]], str]) -> AsyncIterator[str]:
    """Run a server that accepts connections and replies to each command with `reply`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        while data := await reader.read(65_536):
            commands.feed(data)
            while (command := commands.gets()) is not False:
                is_greeting = command[0] in (b"CLIENT", b"AUTH", b"SELECT")
                writer.write(f"{'+OK' if is_greeting else reply(command)}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def result_of_append(text: str) -> int | PublishError:
    stream_header = pack_stream("1", "CA1", "MZ1", 5, "g1", 30_000, 500, 1000, 86_400_000)
    batch = pack_batch(1, [], ends_stream=False)
    async with server_replying(lambda _: f"-{text}") as url, client_of(url) as client:
        return (await append(client, [AppendCall(keys_of("CA1"), stream_header, batch)], 20))[0]


async def error_of_execute(text: str) -> PublishError:
    async with server_replying(lambda _: f"-{text}") as url, client_of(url) as client:
        with pytest.raises(PublishError) as caught:
            await execute(client, "ZREM", "key", "member", timeout_s=20)
        return caught.value


@pytest.mark.parametrize(("server", "text", "code"), _TEMPORARY)
async def test_temporary_errors_are_retried(server: str, text: str, code: str) -> None:
    """Symptom: `ERR ACL failure in script`, which lasted 3 s, dropped events of every call."""
    for error in (await result_of_append(text), await error_of_execute(text)):
        assert isinstance(error, PublishError), server
        assert error.reason == "redis-unavailable"
        assert error.info.retry
        assert error.detail == (code or error.detail)
        assert "user_script" not in error.detail


@pytest.mark.parametrize(("server", "text", "code"), _FINAL)
async def test_errors_caused_by_the_gateway_are_final(server: str, text: str, code: str) -> None:
    for error in (await result_of_append(text), await error_of_execute(text)):
        assert isinstance(error, PublishError), server
        assert (error.reason, error.info.retry) == ("redis-refused", False)
        assert error.detail in (code, "")


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("LOADING Redis is loading the dataset in memory", False),
        (f"BUSY Valkey is busy running a script. {_SLOW}", False),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", False),
        ("CLUSTERDOWN The cluster is down", False),
        ("ERR max number of clients reached", False),
        ("ERR upstream failure", False),
        ("NOAUTH Authentication required.", True),
        ("WRONGPASS invalid username-password pair or user is disabled.", True),
        ("NOPERM User gateway has no permissions to run the 'ping' command", True),
    ],
)
async def test_check_distinguishes_temporary_errors_from_refusals(text: str, refuses: bool) -> None:
    """Symptom: BUSY, LOADING and MASTERDOWN at startup were reported as wrong credentials."""
    async with server_replying(lambda _: f"-{text}") as url, client_of(url) as client:
        with pytest.raises(PublishError) as caught:
            await check(client)
    assert caught.value.reason == ("redis-refused" if refuses else "redis-unavailable")
    address = url.removeprefix("redis://")
    assert address in caught.value.detail
    code = text.partition(" ")[0]
    assert (
        code == "ERR"
        or refuses
        or caught.value.detail == f"Redis at {address} is not ready: {code}"
    )
