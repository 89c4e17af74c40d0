"""`./run govern` as operators run it, against a real server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cli.__main__ import main
from gateway.errors import PublishError
from tests.workers.governance.planting import canary, client_of, everything, plant
from workers.governance.append_only import AppendOnlyFile, Rewriting
from workers.governance.eraser import Actor, Governance
from workers.governance.stores import StoreError

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `./run govern`; return code, stdout and stderr."""
    monkeypatch.setenv("WORKER_REDIS_URL", redis_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["run", "govern", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return command


def planted(redis_url: str, *call_ids: str) -> None:
    async def plant_all() -> None:
        async with client_of(redis_url) as client:
            for call_id in call_ids:
                await plant(client, call_id)

    asyncio.run(plant_all())


def left(redis_url: str) -> bytes:
    async def read() -> bytes:
        async with client_of(redis_url) as client:
            return await everything(client)

    return asyncio.run(read())


def test_calls_are_erased_exported_and_erased_again(
    run: Run, redis_url: str, tmp_path: Path
) -> None:
    planted(redis_url, "CA1", "CA2", "a%20b")
    code, out, _ = run("erase", "CA1", "a b", "--reason", "request 7", "--yes")
    assert code == 0
    assert out.startswith("CA1: recorded\na%20b: recorded\ndeleted from redis: ")
    found = left(redis_url)
    assert canary("CA1").encode() not in found
    assert canary("CA2").encode() in found
    assert run("status", "CA2")[1].startswith("redis: 45\n")
    status = run("status", "CA1")[1].splitlines()
    assert status[0].startswith("erased: requested ")
    assert status[1:3] == ["reason: request 7", "redis: nothing"]
    exported = run("ledger", "export")[1]
    assert {json.loads(line)["call_id"] for line in exported.splitlines()} == {"CA1", "a%20b"}
    file = tmp_path / "ledger.jsonl"
    file.write_text(exported)
    planted(redis_url, "CA1")  # from a backup
    code, out, _ = run("ledger", "reapply", str(file))
    assert (code, out.splitlines()[0]) == (0, "calls of the ledger: 2")
    assert canary("CA1").encode() not in left(redis_url)
    actions = [json.loads(line)["action"] for line in run("audit")[1].splitlines()]
    assert actions == [
        *["erase-requested"] * 2,
        *["erased"] * 2,
        "ledger-reapplied",
        *["erased"] * 2,
    ]
    assert len(run("audit", "--call", "CA1")[1].splitlines()) == 3
    assert run("audit", "--since", "2099-01-01")[1] == ""
    code, out, _ = run("audit", "--verify")
    assert (code, out.rpartition(",")[0]) == (0, "audit entries: 7, problems: 0")
    digest = out.split()[-1]
    assert run("audit", "--verify", "--contains", digest)[0] == 0
    assert run("audit", "--verify", "--contains", "0" * 64)[0] == 1


def test_hold_prevents_erasure_until_the_release(run: Run, redis_url: str) -> None:
    planted(redis_url, "CA1")
    assert run("hold", "CA1", "--reason", "case 7")[:2] == (0, "CA1: held\n")
    code, _, errors = run("erase", "CA1", "--reason", "request 7", "--yes")
    assert code == 1
    assert errors == "CA1: not erased: a legal hold is on it (./run govern release)\n"
    assert "held: since " in run("status", "CA1")[1]
    assert run("release", "CA1", "--reason", "closed")[:2] == (0, "CA1: released\n")
    assert run("release", "CA1", "--reason", "closed")[:2] == (1, "CA1: was not held\n")
    assert run("erase", "CA1", "--reason", "request 7", "--yes")[0] == 0
    assert run("hold", "CA1", "--reason", "late")[0] == 1


def test_released_calls_expire_even_if_a_later_one_fails(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(redis_url, "CA1")
    assert run("hold", "CA1", "CA2", "--reason", "case 7")[0] == 0
    release = Governance.release

    async def fail(governance: Governance, call_id: str, actor: Actor, reason: str) -> bool:
        if call_id == "CA2":
            raise StoreError("ledger copy", "unavailable")
        return await release(governance, call_id, actor, reason)

    monkeypatch.setattr(Governance, "release", fail)
    monkeypatch.setenv("WORKER_RETENTION_S", "500")
    code, _, errors = run("release", "CA1", "CA2", "--reason", "closed")
    assert (code, errors) == (2, "run: ledger copy: unavailable\n")
    with redis.Redis.from_url(redis_url) as client:
        assert 400 < client.ttl("cs:{p53}:call:CA1") <= 500


def test_erasure_says_that_the_append_only_file_is_not_rewritten(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of Redis lacks the permission, for example."""

    async def refuse(_: AppendOnlyFile) -> Rewriting:
        raise PublishError("redis-unavailable", "NOPERM")

    monkeypatch.setattr(AppendOnlyFile, "rewrite", refuse)
    planted(redis_url, "CA1")
    code, _, errors = run("erase", "CA1", "--reason", "request 7", "--yes")
    assert code == 0
    assert errors == "append-only file of Redis: not rewritten (NOPERM); run BGREWRITEAOF\n"


def test_report_names_places_and_counts(run: Run, redis_url: str) -> None:
    planted(redis_url, "CA1")
    code, out, _ = run("report")
    assert code == 0
    assert "dead:redact" in out
    assert "CA1" not in out
    assert out.splitlines()[-1] == "erased calls in the ledger: 0; held: 0; audit entries: 0"
    lines = [json.loads(line) for line in run("report", "--json")[1].splitlines()]
    assert {"store", "where", "what", "until"} <= lines[0].keys()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("erase|CA1|--reason|", "--reason must be 1 to 300 characters on one line"),
        ("erase|CA1|--reason|a\nb", "--reason must be 1 to 300 characters on one line"),
        ("hold|x" + "x" * 600 + "|--reason|a", "a call id has 1 to 512 characters"),
        ("audit|--since|noon", "--since must be a date or a time: 2026-11-30, 2026-11-30T10:06"),
        ("audit|--contains|00", "use --contains only with --verify"),
        ("ledger|reapply|none.jsonl", "cannot read none.jsonl"),
    ],
)
def test_mistake_is_one_line(run: Run, arguments: str, line: str) -> None:
    code, _, errors = run(*arguments.split("|"))
    assert (code, errors) == (2, f"run: {line}\n")


def test_file_that_is_no_ledger_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_text("{}\n")
    code, _, errors = run("ledger", "reapply", str(file))
    assert (code, errors) == (2, f"run: {file}: line 1 is not a record of a ledger\n")
