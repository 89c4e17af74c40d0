"""The files of an index: one writer, no trace of what was removed, bounded searches."""

import asyncio
import contextlib
import sqlite3
import stat
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.search.indexes import NOW, TIMEOUT_S, find, said, seen, texts
from workers.search.index import (
    AlertNoted,
    Change,
    DispositionNoted,
    GapNoted,
    Limits,
    Order,
    Search,
    SearchIndexError,
    Size,
)
from workers.search.query import QueryError, parse
from workers.search.sqlite import SqliteIndex
from workers.search.sqlite_reader import SqliteReader, match_of
from workers.search.sqlite_schema import open_to_read, open_to_write
from workers.search.sqlite_tables import Tables

_CANARIES: Final = ("quetzalword", "axolotlrule", "narwhaldisposition", "CAmarmoset", "MZibex")


@contextlib.asynccontextmanager
async def opened(path: Path, wait_s: float = 1.0) -> AsyncIterator[SqliteIndex]:
    index = await SqliteIndex.open(path, TIMEOUT_S, wait_s)
    try:
        yield index
    finally:
        await index.close()


def secrets() -> list[Change]:
    """Return a call with a canary in each text."""
    call, stream = "CAmarmoset", "MZibex"
    return [
        seen(call, tenant="gecko", route="gecko"),
        *(said(f"Quetzalword {n}", n, call, stream_id=stream, rev=n % 2) for n in range(40)),
        said("quetzalword again", 2, call, stream_id=stream, rev=5),
        AlertNoted(call, "a1", "axolotlrule", "info", is_raised=True),
        GapNoted(call, stream, "inbound", 1, 2, "reconnect"),
        DispositionNoted(call, "narwhaldisposition"),
    ]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def found_in(folder: Path) -> dict[str, list[str]]:
    """Return the files with a canary, and which."""
    found = {}
    for path in folder.iterdir():
        content = path.read_bytes().lower()
        if names := [each for each in _CANARIES if each.lower().encode() in content]:
            found[path.name] = names
    return found


async def test_removed_call_leaves_no_word_in_the_files(tmp_path: Path) -> None:
    async with opened(tmp_path / "raw.sqlite") as index:
        others: list[Change] = [seen("CA2"), *(said(f"ordinary {n}", n, "CA2") for n in range(200))]
        await index.add([*others[:100], *secrets(), *others[100:]])
        assert len({name for names in found_in(tmp_path).values() for name in names}) == 5
        assert await index.remove(["CAmarmoset"]) == 1
        await index.purge()
        assert found_in(tmp_path) == {}
        assert len((await find(index, "ordinary", limit=100)).hits) == 100
    assert found_in(tmp_path) == {}


async def test_replaced_words_leave_with_their_call(tmp_path: Path) -> None:
    """Words of an earlier revision, and facets that changed, are in the full-text index, too."""
    async with opened(tmp_path / "raw.sqlite") as index:
        for change in secrets():
            await index.add([change])
        await index.remove(["CAmarmoset"])
        await index.purge()
        assert found_in(tmp_path) == {}


async def test_removal_while_a_search_reads_is_reported_and_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "raw.sqlite"
    async with opened(path) as index:
        await index.add(secrets())
        index._connection.execute("PRAGMA busy_timeout = 50")  # noqa: SLF001 - how long it waits
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT text FROM segments").fetchone()
            await index.remove(["CAmarmoset"])
            with pytest.raises(SearchIndexError, match="a reader"):
                await index.purge()
        await index.purge()
        assert found_in(tmp_path) == {}


async def test_purge_merges_the_index_once(tmp_path: Path) -> None:
    """Symptom: retention merged the whole index for every 200 calls."""
    async with opened(tmp_path / "raw.sqlite") as index:
        await index.add(secrets())
        await index.remove(["CAmarmoset"], keep_out=False)
        ran: list[str] = []
        index._connection.set_trace_callback(ran.append)  # noqa: SLF001 - what it runs
        for _ in range(3):
            await index.purge()
        assert sum("optimize" in each for each in ran) == 1


async def test_change_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    """Symptom: the events of other calls, written in the same transaction, were dead letters."""
    async with opened(tmp_path / "raw.sqlite") as index:
        first = asyncio.create_task(index.add([seen()]))  # the others wait until it is written
        others = [index.add([said(f"word {n}", n)]) for n in (1, 2)]
        bad = index.add([said("bad", 3, start_ms=2**63)])
        found = await asyncio.gather(others[0], bad, others[1], return_exceptions=True)
        await first
        assert [type(each) for each in found] == [type(None), OverflowError, type(None)]
        assert await texts(index, "word") == ["word 2", "word 1"]


def test_facts_of_a_batch_index_the_segments_of_a_call_once(tmp_path: Path) -> None:
    """Symptom: each alert of a new rule wrote all segments of the call again."""
    with contextlib.closing(open_to_write(tmp_path / "raw.sqlite")) as connection:
        tables = Tables(connection)
        tables.apply([said(f"word {n}", n) for n in range(10)])
        ran: list[str] = []
        connection.set_trace_callback(ran.append)
        rules = [AlertNoted("CA1", f"a{n}", f"r{n}", "info", is_raised=True) for n in range(5)]
        tables.apply([*rules, said("another", 11)])
        written = [each for each in ran if each.startswith("INSERT INTO terms (rowid")]
        assert len(written) == 11


async def test_second_writer_is_refused_until_the_first_stops(tmp_path: Path) -> None:
    path = tmp_path / "raw.sqlite"
    async with opened(path):
        with pytest.raises(SearchIndexError, match="another process"):
            await SqliteIndex.open(path, TIMEOUT_S, 0.01)
    async with opened(path, wait_s=0.01) as index:
        await index.add([seen(), said("word")])


_HOLDER: Final = """
    import asyncio, sys
    from pathlib import Path
    from tests.workers.search.indexes import said, seen
    from workers.search.sqlite import SqliteIndex

    async def main():
        index = await SqliteIndex.open(Path(sys.argv[1]), 2, 1)
        await index.add([seen()])
        for number in range(1_000_000):
            await index.add([said(f"word {number}", number)])
            print(number, flush=True)

    asyncio.run(main())
"""


async def test_writer_that_is_killed_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """`add` returns when the words are stored; the lock of a killed process is free at once."""
    path = tmp_path / "raw.sqlite"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(_HOLDER), str(path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout
    for _ in range(20):
        acknowledged = int(await holder.stdout.readline())
    holder.kill()
    rest = await holder.stdout.read()
    await holder.wait()
    acknowledged = int((rest.split(b"\n")[-2:-1] or [b"%d" % acknowledged])[0])
    async with opened(path, wait_s=TIMEOUT_S) as index:
        size = await index.count()
        assert size.segments in (acknowledged + 1, acknowledged + 2)
        found = await texts(index, f'"word {acknowledged}"')
        assert found == [f"word {acknowledged}"]


async def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    async with opened(tmp_path / "made" / "raw.sqlite") as index:
        await index.add([seen(), said("word")])
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").iterdir()}
        assert modes == {0o600}
        assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


async def test_each_file_has_an_id_that_it_keeps(tmp_path: Path) -> None:
    ids = []
    for name in ("a", "a", "b"):
        async with opened(tmp_path / name / "raw.sqlite") as index:
            ids.append(index.group)
    assert ids[0] == ids[1] != ids[2]


async def test_index_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.sqlite"
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    with pytest.raises(SearchIndexError, match="--rebuild"):
        await SqliteIndex.open(path, TIMEOUT_S, 1.0)
    with pytest.raises(SearchIndexError, match="--rebuild"):
        await texts(SqliteReader(path, TIMEOUT_S), "word")


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
async def test_file_that_is_no_index_is_refused_by_readers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.sqlite"
    path.write_bytes(content)
    with pytest.raises(SearchIndexError) as refused:
        await texts(SqliteReader(path, TIMEOUT_S), "canary")
    assert "canary" not in str(refused.value)


async def test_reader_finds_what_was_written_since_and_a_file_that_was_replaced(
    tmp_path: Path,
) -> None:
    reader = SqliteReader(tmp_path / "raw.sqlite", TIMEOUT_S)
    with pytest.raises(SearchIndexError, match="no search index yet"):
        await reader.count()
    async with opened(tmp_path / "raw.sqlite") as index:
        for number in range(3):
            await index.add([seen(), said(f"word {number}", number)])
            assert len(await texts(reader, "word")) == number + 1
    async with opened(tmp_path / "new" / "raw.sqlite") as index:
        await index.add([seen(), said("new word")])
    (tmp_path / "new" / "raw.sqlite").replace(tmp_path / "raw.sqlite")
    assert await texts(reader, "word") == ["new word"]
    await reader.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """An index with a few segments, open to read."""
    path = tmp_path_factory.mktemp("small") / "raw.sqlite"
    with contextlib.closing(open_to_write(path)) as connection:
        connection.execute("BEGIN")
        Tables(connection).apply([seen(), said("a b c"), said("refund role agent", 2)])
        connection.execute("COMMIT")
    with contextlib.closing(open_to_read(path)) as connection:
        yield connection


_TERMS: Final = st.sampled_from(
    [
        "a",
        "-b",
        '"a b"',
        "ref*",
        "role:x",
        "-gap:any",
        "'",
        "\\",
        "(",
        "NEAR(",
        "^a",
        "*",
        "+",
        "ß",
        "の",
    ]
)


@given(
    st.one_of(st.text(max_size=40), st.lists(_TERMS).map(" ".join)),
    st.one_of(st.none(), st.text(max_size=5)),
)
def test_any_query_is_a_valid_expression(
    small: sqlite3.Connection, text: str, tenant: str | None
) -> None:
    """Whatever a user writes, and whatever a tenant is called."""
    try:
        query = parse(text, NOW)
    except QueryError:
        return
    match = match_of(Search(query, Limits(tenant=tenant)))
    if match:
        small.execute("SELECT rowid FROM terms WHERE terms MATCH ?", (match,)).fetchall()
    assert bool(match) or (query.from_ms, query.to_ms) != (None, None)


async def test_search_that_takes_too_long_returns_what_it_has(tmp_path: Path) -> None:
    async with opened(tmp_path / "raw.sqlite") as index:
        await index.add([seen(), *(said("a b " * 30, number) for number in range(3000))])
    hasty = SqliteReader(tmp_path / "raw.sqlite", 1e-9)
    page = await find(hasty, '"a b a" -"b b"', order=Order.BEST)
    assert not page.is_complete
    assert page.hits == []
    patient = SqliteReader(tmp_path / "raw.sqlite", TIMEOUT_S)
    assert (await find(patient, '"a b a" -"b b"')).is_complete
    for each in (hasty, patient):
        await each.close()


async def test_too_many_searches_at_once_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "raw.sqlite") as index:
        await index.add([seen(), said("word")])
        searches = [texts(index, "word") for _ in range(40)]
        found = await asyncio.gather(*searches, return_exceptions=True)
        assert [each for each in found if isinstance(each, SearchIndexError)]
        assert found[0] == ["word"]
        assert await texts(index, "word") == ["word"]


async def test_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with opened(tmp_path / "raw.sqlite") as index:
        await index.add([seen(), said("word")])
        index._connection.execute("PRAGMA max_page_count = 1")  # noqa: SLF001 - the page count now
        with pytest.raises(SearchIndexError, match="SQLITE_FULL"):
            await index.add([said("x " * 100_000, 2)])
        assert await texts(index, "word") == ["word"]
        index._connection.execute("PRAGMA max_page_count = 1000000")  # noqa: SLF001
        await index.add([said("another word", 3)])
        assert await index.count() == Size(1, 2)
