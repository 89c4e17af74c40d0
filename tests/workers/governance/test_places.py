"""The archive and the search index as stores: erasure, retention, the report and failures."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.workers.governance.planting import ANN, canary, client_of, governed
from workers.archive.objects import open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings as ArchiveSettings
from workers.archive.store import ArchiveStore
from workers.governance.archive_calls import ArchiveCalls, open_archive
from workers.governance.holds import Hold
from workers.governance.ledger import Erasure
from workers.governance.retention import Place
from workers.governance.search_calls import SearchCalls
from workers.governance.stores import Kept, StoreError
from workers.search import indexes
from workers.search.index import CallSeen, Page, Said
from workers.search.settings import Settings as SearchSettings
from workers.search.sqlite import SqliteIndex
from workers.search.sqlite_reader import SqliteReader
from workers.settings import Texts

_FILES: Final = ("call.json", "transcript.txt", "manifest.json")
_MANIFEST: Final = (
    '{"call_id":"%s","text":"%s","revision":1,"complete":true,"problems":[],"epochs":[],'
    '"sources":{},"counts":{"streams":0,"segments":0,"finals":0,"gaps":0,"alerts":0,"wrapups":0},'
    '"files":{},"v":1,"tenant":"acme","route":"sales","ended":"2026-11-30T10:00:00Z"}'
)
_ENDED_MS: Final = 1_796_032_800_000


def archive_settings(folder: Path) -> ArchiveSettings:
    return ArchiveSettings(_env_file=None, url=f"file://{folder}/archive")


@pytest.fixture
async def archive(tmp_path: Path) -> ArchiveCalls:
    calls, _ = open_archive(archive_settings(tmp_path))
    objects = open_objects(archive_settings(tmp_path))
    for store in (ArchiveStore(objects, text) for text in Text):
        for call_id in ("CA1", "CA2", ".."):
            for name in _FILES:
                is_manifest = name == "manifest.json"
                text = _MANIFEST % (call_id, store.text) if is_manifest else canary(call_id)
                await objects.create(f"{store.folder(call_id)}/1/{name}", text.encode())
    return calls


def content(folder: Path) -> bytes:
    paths = list(folder.rglob("*"))
    names = "\n".join(str(path) for path in paths).encode()
    return names + b"".join(path.read_bytes() for path in paths if path.is_file())


def manifests(folder: Path, call_id: str) -> list[Path]:
    return list(folder.rglob(f"{call_id}/1/manifest.json"))


async def all_of(place: ArchiveCalls | SearchCalls) -> list[Kept]:
    return [each async for each in place.calls()]


async def test_archived_calls_are_erased_in_all_kinds_of_text(
    archive: ArchiveCalls, tmp_path: Path
) -> None:
    assert await archive.find(["CA1", "..", "CA9", "x" * 500]) == 12
    assert await archive.erase(["CA1", "..", "CA9", "x" * 500]) == 12
    assert await archive.find(["CA1", ".."]) == 0
    assert await archive.erase(["CA1"]) == 0
    found = content(tmp_path)
    assert canary("CA1").encode() not in found
    assert b"CA1" not in found
    assert await archive.find(["CA2"]) == 6


async def test_archived_calls_are_listed_for_retention(archive: ArchiveCalls) -> None:
    kept = Kept("CA2", "acme", "sales", _ENDED_MS)
    assert (await all_of(archive)).count(kept) == 2
    assert await archive.expire(["CA2", "CA9"]) == 2
    assert kept not in await all_of(archive)
    assert [each.calls for each in await archive.describe()] == [2, 2]


async def test_rest_of_an_interrupted_deletion_expires(
    archive: ArchiveCalls, tmp_path: Path
) -> None:
    """Symptom: files without a manifest, which is deleted first, stayed forever."""
    for path in manifests(tmp_path, "CA2"):
        path.unlink()
    found = [each for each in await all_of(archive) if each.call_id == "CA2"]
    assert [each[:3] for each in found] == [("CA2", "default", "")] * 2
    assert all(abs(each.last_ms / 1000 - time.time()) < 60 for each in found)


async def test_call_with_a_damaged_manifest_does_not_expire(
    archive: ArchiveCalls, tmp_path: Path
) -> None:
    """Its tenant, which may keep its calls longer than others, is not known."""
    for path in manifests(tmp_path, "CA2"):
        path.write_text("{")
    assert "CA2" not in {each.call_id for each in await all_of(archive)}


async def test_holds_are_copied_beside_the_archive(tmp_path: Path, archive: ArchiveCalls) -> None:
    _, copy = open_archive(archive_settings(tmp_path))
    for call_id in ("CA1", "CA2"):
        await copy.put_hold(call_id, Hold("t", "ann", "case 7"))
    await copy.remove_hold("CA1")
    await copy.remove_hold("CA9")
    assert not await copy.has_hold("CA1")
    assert await copy.has_hold("CA2")
    assert [each async for each in copy.holds()] == [("CA2", Hold("t", "ann", "case 7"))]
    assert [each async for each in copy.all()] == []
    assert {each.call_id for each in await all_of(archive)} == {"CA1", "CA2", ".."}


async def test_ledger_is_copied_beside_the_archive(tmp_path: Path, archive: ArchiveCalls) -> None:
    _, copy = open_archive(archive_settings(tmp_path))
    await copy.put("CA1", Erasure("t", "ann", "first"))
    await copy.put("CA1", Erasure("t", "ann", "second"))
    objects = open_objects(archive_settings(tmp_path))
    await objects.create("erased/00/damaged.json", b"\xff")
    assert [each async for each in copy.all()] == [("CA1", Erasure("t", "ann", "first"))]
    assert {each.call_id for each in await all_of(archive)} == {"CA1", "CA2", ".."}


async def test_archive_that_fails_is_reported(tmp_path: Path) -> None:
    objects = open_objects(archive_settings(tmp_path), timeout_s=0.0)
    archive = ArchiveCalls([ArchiveStore(objects, Text.RAW)])
    for operation in (archive.erase(["CA1"]), archive.find(["CA1"]), all_of(archive)):
        with pytest.raises(StoreError, match="archive: timeout"):
            await operation


def search_settings(folder: Path) -> SearchSettings:
    return SearchSettings(_env_file=None, path=folder / "search", text=Texts.BOTH)


def said(call_id: str, segment: int, at_ms: int) -> Said:
    position = (0, "inbound", segment, 0, "customer", at_ms, 0, 80)
    return Said(call_id, "MZ1", *position, canary(call_id))


@pytest.fixture
async def search(tmp_path: Path) -> AsyncIterator[SearchCalls]:
    """Two indexes, which workers hold open."""
    settings = search_settings(tmp_path)
    opened = [await indexes.open_to_write(settings, kind, 1.0) for kind in ("raw", "redacted")]
    for index in opened:
        for call_id in ("CA1", "ca1", "CA2"):
            changes = [CallSeen(call_id, "acme", "twilio", "sales")]
            texts: Sequence[Said] = [said(call_id, n, _ENDED_MS + n) for n in (1, 2)]
            await index.add([*changes, *texts])
    yield SearchCalls(settings, time.time)
    for index in opened:
        await index.close()


async def test_indexed_calls_are_erased_while_a_worker_writes(
    search: SearchCalls, tmp_path: Path
) -> None:
    assert await search.find(["CA1", "CA9"]) == 4
    assert await search.erase(["CA1", "CA9"]) > 0
    assert await search.find(["CA1"]) == 0
    found = content(tmp_path)
    assert canary("CA1").encode() not in found
    assert canary("CA2").encode() in found
    assert await search.find(["ca1", "CA2"]) == 8


async def test_indexed_calls_are_listed_with_their_newest_segment(search: SearchCalls) -> None:
    kept = [Kept(call_id, "acme", "sales", _ENDED_MS + 2) for call_id in ("CA1", "CA2", "ca1")]
    assert sorted(await all_of(search)) == sorted([*kept, *kept])
    assert await search.expire(["CA2"]) == 1
    assert [(each.calls, each.entries) for each in await search.describe()] == [(2, 4), (2, 4)]


async def test_words_of_expired_calls_are_overwritten_by_the_next_sweep(
    search: SearchCalls, tmp_path: Path
) -> None:
    assert await search.expire(["CA2"]) == 1
    assert "CA2" not in {each.call_id for each in await all_of(search)}
    found = content(tmp_path)
    assert canary("CA2").encode() not in found
    assert canary("CA1").encode() in found


async def test_index_that_was_never_finished_is_erased(tmp_path: Path) -> None:
    settings = search_settings(tmp_path)
    index = await SqliteIndex.open(settings.path / "new-raw.sqlite", 1.0, 1.0)
    await index.add([CallSeen("CA1", "acme", "twilio", "sales"), said("CA1", 1, _ENDED_MS)])
    await index.close()
    await SearchCalls(settings, time.time).erase(["CA1"])
    assert canary("CA1").encode() not in content(tmp_path)


async def test_search_that_was_cut_proves_nothing(
    search: SearchCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: an erasure was reported as done because the time limit ended the search."""

    async def cut(*_: object) -> Page:
        return Page([], is_complete=False)

    monkeypatch.setattr(SqliteReader, "search", cut)
    for operation in (search.find(["CA1"]), all_of(search)):
        with pytest.raises(StoreError, match="search: timeout"):
            await operation


async def test_index_that_was_never_created_has_nothing(tmp_path: Path) -> None:
    search = SearchCalls(search_settings(tmp_path), time.time)
    assert await search.find(["CA1"]) == await search.erase(["CA1"]) == 0
    assert await all_of(search) == []
    assert await search.describe() == []
    assert not content(tmp_path)


async def test_stores_of_the_settings_are_walked(
    redis_url: str, tmp_path: Path, archive: ArchiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_ARCHIVE_URL", archive_settings(tmp_path).url)
    monkeypatch.setenv("WORKER_SEARCH_PATH", str(tmp_path / "search"))
    async with client_of(redis_url) as client:
        of_server = governed(client)
        governance = of_server.governance
        assert [store.name for store in governance.stores] == ["redis", "archive", "search"]
        assert [*of_server.places] == [*Place]
        await governance.request("CA1", ANN, "r")
        walked = await governance.carry_out(["CA1"], ANN)
        assert walked.is_done
        assert walked.removed["archive"] == 6
        assert (tmp_path / "archive" / "erased").is_dir()
