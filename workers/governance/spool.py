"""The store `spool`: batches that gateways keep on disk while Redis is unavailable.

A gateway that runs writes its batches to Redis, which refuses those of erased calls, and deletes
the file: there is nothing to do but to wait. Files of gateways that no longer run wait for the
next one, which may never start. They are rewritten here without the batches of erased calls.

A batch names the carrier's id of its call, its tenant and its carrier. If another tenant or carrier
owns the id, Redis writes the batch as a call with a longer one: see `append.lua`.
"""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.publishing.spool.records import pack_record, parse_records
from gateway.transcript.encode import rfc3339_ms
from workers.governance.stores import Holding, StoreError

_FOLDERS: Final = "callscribe-*"
_ALL: Final = 1 << 30  # records
_WITH_OWNER: Final = 11  # fields of a batch that names tenant and carrier, as its last ones
_LONGER: Final = 3  # how often an id may be made longer

type Owners = Mapping[str, str | None]


class SpoolFiles:
    """The spools in some folders; implements `Store`.

    Args:
        parents: as GATEWAY_SPOOL_DIR of the gateways.
        owners: returns who owns the ids of some calls, `<tenant> <carrier>`; None if unknown.
    """

    name = "spool"

    def __init__(
        self, parents: Sequence[Path], owners: Callable[[Collection[str]], Awaitable[Owners]]
    ) -> None:
        self._parents = parents
        self._owners = owners

    async def erase(self, calls: Collection[str]) -> int:
        """Rewrite files of gateways that do not run; see `Store`."""
        owners = await self._owners(calls)
        return await _in_thread(lambda: sum(_erase(lock, owners) for lock in self._locks()))

    async def find(self, calls: Collection[str]) -> int:
        """Return how many batches of some calls there are; see `Store`."""
        owners = await self._owners(calls)
        return await _in_thread(lambda: _count(self._segments(), owners))

    async def describe(self) -> list[Holding]:
        """Return how many files there are; see `Store`."""
        return await _in_thread(self._describe)

    def _describe(self) -> list[Holding]:
        what, until = "events that Redis could not take", "until Redis has them, or the retention"
        return [
            Holding("spool", str(parent), what, until, entries=len(files), oldest=_oldest(files))
            for parent in self._parents
            if (files := sorted(parent.glob(f"{_FOLDERS}/*.spool"))) or parent.exists()
        ]

    def _segments(self) -> Iterator[Path]:
        for parent in self._parents:
            yield from sorted(parent.glob(f"{_FOLDERS}/*.spool"))

    def _locks(self) -> Iterator[Path]:
        for parent in self._parents:
            yield from sorted(parent.glob(f"{_FOLDERS}/*.lock"))


async def _in_thread[T](work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError:
        raise StoreError("spool", "unavailable") from None


def _oldest(files: Collection[Path]) -> str | None:
    times = [path.stat().st_mtime for path in files]
    return rfc3339_ms(min(times)) if times else None


def _count(segments: Iterator[Path], owners: Owners) -> int:
    count = 0
    for path in segments:
        try:
            records, _ = _read(path)
        except FileNotFoundError:  # it was written to Redis meanwhile
            continue
        count += sum(_is_of(header, owners) for header, _, _ in records)
    return count


def _erase(lock: Path, owners: Owners) -> int:
    """Rewrite the files of one owner, unless it runs; return how many batches were removed."""
    try:
        fd = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in lock.parent.glob(f"{_temporary(lock.stem)}*"):  # of an eraser that crashed
            path.unlink(missing_ok=True)
        segments = sorted(lock.parent.glob(f"{lock.stem}-*.spool"))
        return sum(_rewrite(path, lock.stem, owners) for path in segments)
    except BlockingIOError:  # the gateway runs
        return 0
    finally:
        os.close(fd)


def _temporary(owner: str) -> str:
    """Return how the names of the files begin that replace those of an owner."""
    return f".{owner}-"


def _rewrite(path: Path, owner: str, owners: Owners) -> int:
    """Rewrite a file without the batches of some calls, and without a damaged end."""
    records, is_whole = _read(path)
    kept = [record for record in records if not _is_of(record[0], owners)]
    if len(kept) == len(records) and is_whole:
        return 0
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=_temporary(owner))
    with os.fdopen(fd, "wb") as file:
        file.writelines(pack_record(*record) for record in kept)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
    return len(records) - len(kept)


def _read(path: Path) -> tuple[list[tuple[bytes, bytes, int]], bool]:
    """Return the records of a file, and whether these are the whole file."""
    data = path.read_bytes()
    if not data:
        return [], True
    try:
        records, end = parse_records(data, _ALL)
    except ValueError:
        return [], False
    return records, end == len(data)


def _is_of(stream_header: bytes, owners: Owners) -> bool:
    """Return whether Redis would write a batch as one of the calls whose owners are given."""
    try:
        fields: Any = msgspec.msgpack.decode(stream_header)
        call_id = str(fields[1])
    except (msgspec.DecodeError, IndexError, TypeError):
        return False
    if len(fields) < _WITH_OWNER:  # of a former version: its call owns the id
        return call_id in owners
    tenant, carrier = fields[_WITH_OWNER - 2 : _WITH_OWNER]
    ids = [f"{tenant}.{carrier}." * n + call_id for n in range(_LONGER + 1)]
    owner = f"{tenant} {carrier}"
    return any(each in owners and owners[each] in (None, owner) for each in ids)
