"""`./run search`: results for people and programs, and errors that name what to do."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cli.__main__ import main
from gateway.redis_client.client import create_client
from tests.workers.archive.calls import entries, whole
from tests.workers.search.indexes import TIMEOUT_S, said, seen
from tests.workers.search.test_worker import Writer
from workers.archive.evidence import Evidence
from workers.archive.manifest import make_revision
from workers.archive.objects import open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.search.index import AlertNoted, DispositionNoted, GapNoted
from workers.search.indexes import file_of
from workers.search.sqlite import SqliteIndex

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKER_SEARCH_PATH", str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "index"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `./run search`; return code, stdout and stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["run", "search", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return command


def fill(folder: Path) -> None:
    async def write() -> None:
        index = await SqliteIndex.open(file_of(folder, "redacted"), TIMEOUT_S, 1.0)
        await index.add(
            [
                seen(),
                said("I want a refund", 1),
                said("your refund \x1b[31m takes three days", 62, role="agent"),
                AlertNoted("CA1", "1", "no-refund", "warning", is_raised=True),
                GapNoted("CA1", "MZ1", "inbound", 0, 1500, "reconnect"),
                DispositionNoted("CA1", "sale closed"),
                seen("CA2", route="paris"),
                said("no refund", 70, "CA2", role="unknown"),
            ]
        )
        await index.close()

    asyncio.run(write())


def test_results_are_grouped_by_call(run: Run, folder: Path) -> None:
    fill(folder)
    code, out, _ = run("refund")
    assert (code, [line.rstrip() for line in out.splitlines()]) == (
        0,
        [
            "CA2  2026-11-30 12:01 · twilio · route paris · tenant acme",
            "  01:10  inbound  no refund",
            "",
            "CA1  2026-11-30 12:01 · twilio · route berlin · tenant acme  sale closed  ! no-refund"
            "  1.5 s without a transcript",
            "  01:02  agent     your refund  [31m takes three days",
            "  00:01  customer  I want a refund",
            "",
        ],
    )


def test_pages_continue(run: Run, folder: Path) -> None:
    fill(folder)
    _, out, _ = run("refund", "--limit", "2")
    assert "CA1" in out
    after = out.rpartition("--after ")[2].strip()
    _, out, _ = run("refund", "--limit", "2", "--after", after)
    assert out.splitlines()[1].split() == ["00:01", "customer", "I", "want", "a", "refund"]
    assert "--after" not in out


def test_json_has_positions_of_the_matches(run: Run, folder: Path) -> None:
    fill(folder)
    _, out, _ = run('"three days"', "--json")
    report = msgspec.json.decode(out)
    (result,) = report["results"]
    ((begin, end),) = result["highlights"]
    assert result["text"][begin:end] == "three days"
    assert (result["call_id"], result["at"]) == ("CA1", "2026-11-30T12:01:02.000Z")
    assert (report["next"], report["complete"]) == (None, True)


def test_nothing_found_is_said(run: Run, folder: Path) -> None:
    fill(folder)
    assert run("refund", "-q")[0] != 0  # no such option
    code, out, _ = run("unheard-of")
    assert (code, out) == (0, "Nothing was found.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (['refund "bank'], 'the quotation mark is not closed\n     refund "bank\n            ^'),
        (["refund", "--after", "x"], "--after must be"),
        ([], "name a query, or use --rebuild or --remove"),
        (["refund", "--rebuild"], "name a query, or use --rebuild or --remove"),
        (["refund", "--raw"], "there is no search index yet"),
    ],
)
def test_errors_name_what_to_do(run: Run, folder: Path, arguments: list[str], message: str) -> None:
    fill(folder)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_call_is_removed(run: Run, folder: Path) -> None:
    fill(folder)
    code, _, err = run("--remove", "CA1", "--remove", "CA9")
    assert (code, err) == (0, "removed from the redacted index: 1 of 2 calls\n")
    assert "CA1" not in run("refund")[1]


def test_call_is_removed_by_the_id_of_its_carrier(run: Run, folder: Path) -> None:
    async def write() -> None:
        index = await SqliteIndex.open(file_of(folder, "redacted"), TIMEOUT_S, 1.0)
        await index.add([seen("v3%3Aab"), said("secret", call="v3%3Aab")])
        await index.close()

    asyncio.run(write())
    _, _, err = run("--remove", "v3:ab")
    assert err == "removed from the redacted index: 1 of 1 calls\n"


def test_archive_that_cannot_be_opened_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: a traceback."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKER_ARCHIVE_URL", f"file://{tmp_path}/file/calls")
    code, _, err = run("--rebuild")
    assert code == 2
    assert err.startswith("run: WORKER_ARCHIVE_URL can't be opened")


def test_index_is_rebuilt_from_redis(run: Run, redis_url: str) -> None:
    async def write() -> None:
        client = create_client(redis_url)
        writer = Writer(client)
        await writer.start("CA5", "redacted")
        await writer.say("CA5", "a word", suffix="redacted")
        await client.aclose()

    asyncio.run(write())
    code, _, err = run("--rebuild", "--redis-url", redis_url)
    assert (code, err) == (0, "built the redacted index anew from Redis: 2 changes\n")
    assert "a word" in run("word")[1]


def test_index_is_rebuilt_from_the_archive(
    run: Run, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/calls"
    monkeypatch.setenv("WORKER_ARCHIVE_URL", url)
    store = ArchiveStore(open_objects(Settings(_env_file=None, url=url)), Text.REDACTED)

    async def write() -> None:
        for call in ("CA1", "CA2"):
            made = Evidence(call, Text.REDACTED)
            for entry in entries(whole(call)):
                made.add("redacted", entry)
            assert await store.write(make_revision(made), 1)

    asyncio.run(write())
    (record,) = sorted((tmp_path / "calls").rglob("call.json"))[:1]
    record.write_text("{}")
    code, _, err = run("--rebuild", "--redis-url", redis_url)
    assert code == 0
    expected = "anew from the archive and Redis: 4 changes; 1 calls are damaged"
    assert err.splitlines()[-1] == f"built the redacted index {expected}"
    assert len(json.loads(run("hello route:sales", "--json")[1])["results"]) == 1


def test_unreachable_redis_is_named(run: Run) -> None:
    code, _, err = run("--rebuild", "--redis-url", "redis://127.0.0.1:1/0")
    assert code == 2
    assert err.startswith("run: ")
