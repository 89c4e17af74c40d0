"""Spools of gateways that run, and of those that crashed."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from gateway.publishing.spool.spool import Spool
from gateway.transcript.encode import pack_batch, pack_event, pack_stream
from tests.workers.governance.planting import ANN, canary, client_of, governed
from workers.governance.spool import SpoolFiles


async def unknown(calls: Collection[str]) -> dict[str, str | None]:
    return dict.fromkeys(calls)


def put(spool: Spool, *call_ids: str, owner: tuple[str, ...] = ("t", "twilio")) -> None:
    for call_id in call_ids:
        header = pack_stream("1", call_id, "MZ1", 5, "g1", 30_000, 500, 1000, 500_000, *owner)
        event = pack_event(["transcript.final", "at", "text", canary(call_id)])
        assert spool.append(header, pack_batch(1, [event], ends_stream=False), 1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, "here", 1 << 20, print, segment_bytes=300)
    spool.adopt()
    put(spool, "CA1", "CA2", "CA1", "CA3", "CA1")
    yield spool
    spool.close()


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in files(folder))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_files_of_a_running_gateway_are_counted_and_left(
    spool: Spool, tmp_path: Path
) -> None:
    store = SpoolFiles([tmp_path], unknown)
    before = content(tmp_path)
    assert await store.find(["CA1", "CA9"]) == 3
    assert await store.erase(["CA1"]) == 0
    assert content(tmp_path) == before


async def test_files_of_a_crashed_gateway_lose_only_the_erased_call(
    spool: Spool, tmp_path: Path
) -> None:
    spool.close()
    store = SpoolFiles([tmp_path], unknown)
    assert await store.erase(["CA1"]) == 3
    assert await store.find(["CA1"]) == 0
    assert await store.erase(["CA1"]) == 0
    assert canary("CA1").encode() not in content(tmp_path)
    assert await store.find(["CA2", "CA3"]) == 2
    (described,) = await store.describe()
    assert "CA" not in repr(described)
    again = Spool(tmp_path, "here", 1 << 20, print)
    again.adopt()
    found = [record for _ in range(9) for record in again.read(9)]
    assert len(found) == 2, "the next gateway writes them"
    again.close()


@pytest.mark.parametrize(
    ("erased", "owner", "header", "is_erased"),
    [
        ("CA1", "t twilio", ("t", "twilio"), True),
        ("CA1", None, ("t", "twilio"), True),
        ("CA1", "t twilio", (), True),  # of a former version
        ("CA1", "a twilio", ("t", "twilio"), False),  # another call, t.twilio.CA1
        ("CA1", "t genesys", ("t", "twilio"), False),
        ("t.twilio.CA1", "t twilio", ("t", "twilio"), True),
        ("t.twilio.t.twilio.CA1", "t twilio", ("t", "twilio"), True),
        ("t.twilio.CA1", "t twilio", ("a", "twilio"), False),
        ("t.twilio.CA1", "t twilio", (), False),
        ("CA2", "t twilio", ("t", "twilio"), False),
    ],
)
async def test_batch_belongs_to_the_call_as_which_redis_would_write_it(
    tmp_path: Path, erased: str, owner: str | None, header: tuple[str, ...], *, is_erased: bool
) -> None:
    """Symptom: words of the longer id stayed, and batches of another tenant were destroyed."""

    async def owners(_: Collection[str]) -> dict[str, str | None]:
        return {erased: owner}

    spool = Spool(tmp_path, "here", 1 << 20, print)
    put(spool, "CA1", owner=header)
    spool.close()
    store = SpoolFiles([tmp_path], owners)
    assert await store.find([erased]) == is_erased
    assert await store.erase([erased]) == is_erased
    assert (canary("CA1").encode() not in content(tmp_path)) == is_erased


async def test_file_of_an_eraser_that_was_killed_is_removed(spool: Spool, tmp_path: Path) -> None:
    lock = next(each for each in files(tmp_path) if each.suffix == ".lock")
    left = lock.with_name(f".{lock.stem}-abcdefgh")
    left.write_bytes(canary("CA1").encode())
    store = SpoolFiles([tmp_path], unknown)
    await store.erase(["CA9"])
    assert left in files(tmp_path), "the gateway runs"
    spool.close()
    await store.erase(["CA9"])
    assert left not in files(tmp_path)


async def test_damaged_end_is_removed_with_the_call(spool: Spool, tmp_path: Path) -> None:
    """The damaged record may be the call's."""
    spool.close()
    damage(tmp_path)
    await SpoolFiles([tmp_path], unknown).erase(["CA1"])
    assert canary("CA1").encode()[:-1] not in content(tmp_path)


def damage(folder: Path) -> None:
    """Cut the last byte of the newest file."""
    last = sorted(folder.rglob("*.spool"))[-1]
    last.write_bytes(last.read_bytes()[:-1])


async def test_folders_without_spools_are_fine(tmp_path: Path) -> None:
    store = SpoolFiles([tmp_path, tmp_path / "none"], unknown)
    assert await store.find(["CA1"]) == await store.erase(["CA1"]) == 0


async def test_erasure_waits_for_the_spool(spool: Spool, tmp_path: Path, redis_url: str) -> None:
    async with client_of(redis_url) as client:
        governance = governed(client, spool_dirs=(str(tmp_path),)).governance
        await governance.request("CA1", ANN, "r")
        walked = await governance.carry_out(["CA1"], ANN)
        assert walked.left == {"spool": 3}
        assert set(await governance.ledger.pending()) == {"CA1"}
        spool.close()
        walked = await governance.carry_out(["CA1"], ANN)
        assert not walked.left
        assert await governance.ledger.pending() == {}
