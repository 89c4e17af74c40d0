"""`./run export` and `./run archive verify` on real stores."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.redis_client.client import create_client
from tests.cli.test_commands import Run, run
from tests.workers.archive.a_worker import Worker, forget
from tests.workers.archive.calls import Fields, publish, whole
from workers.archive.record import Text

__all__ = ["run"]  # the fixture


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set the archive of the environment to a folder."""
    monkeypatch.setenv("WORKER_ARCHIVE_URL", f"file://{tmp_path}/archive")
    monkeypatch.setenv("WORKER_ARCHIVE_TEXT", "both")
    return tmp_path / "archive"


def on(url: str, do: Callable[[Worker], Awaitable[None]], folder: Path, **more: str) -> None:
    async def main() -> None:
        client = create_client(url)
        await do(Worker(client, folder, **more))  # type: ignore[arg-type]  # call and text
        await client.aclose()

    asyncio.run(main())


def written(
    url: str, folder: Path, call: str = "CA1", events: list[Fields] | None = None, **more: str
) -> None:
    """Archive a call, and delete it from Redis."""
    events = events or whole(call)
    source = "redacted" if more else "events"

    async def write(worker: Worker) -> None:
        await publish(worker.client, *events, source=source)
        await worker.handle(*events)
        await worker.tick()
        await forget(worker.client, call, worker.text)

    on(url, write, folder, call=call, **more)


def test_archived_call_is_exported_in_every_format(
    run: Run, redis_url: str, archive: Path, tmp_path: Path
) -> None:
    written(redis_url, archive)
    command = ("export", "CA1", "--text", "raw", "--redis-url", redis_url)
    code, out, err = run(*command)
    assert (code, json.loads(out)["streams"][0]["segments"][0]["text"]) == (0, "hello there")
    assert err == ""
    assert run(*command, "--format", "vtt")[1].startswith("WEBVTT\n\nNOTE call CA1")
    assert "] customer: hello there\n" in run(*command, "--format", "txt")[1]
    path = tmp_path / "call.csv"
    assert run(*command, "--format", "csv", "--output", str(path))[:2] == (0, "")
    assert path.read_bytes().count(b"\r\n") == 4
    assert path.stat().st_mode & 0o777 == 0o600
    code, _, err = run(*command, "--from", "redis")
    assert (code, err) == (
        2,
        "run: Redis has no raw text of the call CA1; --text redacted is the other kind\n",
    )


def test_live_call_is_exported_from_redis(run: Run, redis_url: str) -> None:
    """What is missing is named, even if no archive is configured."""

    async def begin(worker: Worker) -> None:
        await publish(worker.client, *whole("a/b")[:-1])

    on(redis_url, begin, Path("/nonexistent"), call="a%2Fb")
    for call in ("a/b", "a%2Fb"):  # the carrier's id, and as in the events
        code, out, err = run("export", call, "--text", "raw", "--redis-url", redis_url)
        assert (code, json.loads(out)["status"]) == (0, "live")
        assert err == "incomplete: stream MZ1 epoch 1: it has not ended\n"


def test_export_is_in_the_audit_trail(run: Run, redis_url: str, archive: Path) -> None:
    written(redis_url, archive)
    run("export", "CA1", "--text", "raw", "--redis-url", redis_url)
    _, out, _ = run("govern", "audit", "--redis-url", redis_url)
    entry = json.loads(out)
    assert (entry["action"], entry["call_id"], entry["text"]) == ("call-exported", "CA1", "raw")
    unavailable = "redis://127.0.0.1:1"
    code, _, err = run("export", "CA1", "--text", "raw", "--redis-url", unavailable)
    assert (code, err) == (0, "not in the audit trail: Redis is unavailable, or the user may not\n")


def test_redacted_text_is_the_default(run: Run, redis_url: str, archive: Path) -> None:
    written(redis_url, archive)
    words = [("inbound", "[name]")]
    written(redis_url, archive, events=whole(words=words), text=Text.REDACTED)
    code, out, _ = run("export", "CA1", "--redis-url", redis_url)
    assert (code, "[name]" in out, "hello" in out) == (0, True, False)


def test_archive_is_verified(run: Run, redis_url: str, archive: Path) -> None:
    for call in ("CA1", "CA2", "CA3"):
        written(redis_url, archive, call)
    written(redis_url, archive, text=Text.REDACTED)
    verify = ("archive", "verify")
    assert run(*verify, "--all") == (0, "", "verified 4 calls: 4 complete\n")
    (record,) = (archive / "raw").glob("*/CA2/1/call.json")
    record.write_text(record.read_text().replace("hello", "jello"))
    hole = [each for each in whole("CA4") if each["n"] != "3"]
    written(redis_url, archive, "CA4", hole)
    code, out, err = run(*verify, "--all")
    assert (code, sorted(out.splitlines())) == (
        1,
        [
            "damaged  raw  CA2  revision 1: call.json is not as its digest says",
            "incomplete  raw  CA4  stream MZ1 epoch 1: events 3 to 3 are missing",
        ],
    )
    assert err == "verified 5 calls: 3 complete, 1 incomplete, 1 damaged\n"
    assert run(*verify, "CA3")[0] == 1  # it has no redacted folder
    assert run(*verify, "CA1")[0] == 0
    code, out, err = run("export", "CA2", "--text", "raw", "--redis-url", redis_url)
    assert (code, out, err) == (2, "", "run: call.json is missing or damaged\n")


def test_incomplete_calls_are_accepted_if_asked(run: Run, redis_url: str, archive: Path) -> None:
    written(redis_url, archive, events=[each for each in whole() if each["n"] != "3"])
    assert run("archive", "verify", "--all")[0] == 1
    assert run("archive", "verify", "--all", "--allow-incomplete")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("archive verify", "name the calls to verify, or use --all"),
        ("archive verify CA1 --all", "name the calls to verify, or use --all"),
        ("archive verify --all", "WORKER_ARCHIVE_URL is not set; it says where calls are archived"),
        ("export CA1 --from archive", "WORKER_ARCHIVE_URL is not set"),
        ("export CA1 --redis-url redis://127.0.0.1:1", "no Redis answers at 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_reported_in_one_line(run: Run, arguments: str, line: str) -> None:
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_store_that_fails_is_reported_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKER_ARCHIVE_URL", f"file://{tmp_path}/file/x")
    code, _, err = run("archive", "verify", "--all")
    assert (code, err) == (2, "run: WORKER_ARCHIVE_URL can't be opened: unavailable\n")
