"""Further places of the ledger and the holds: they remain when Redis is restored from a backup.

<folder>/<xx>/<digest>.json             an erasure; the digest is the SHA-256 of the call id
<folder>/held/<xx>/<digest>/hold.json   a legal hold, until it is lifted

In the archive, the erasures are in the folder `erased`.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, Protocol

from workers.governance.holds import Hold, hold_line, read_hold
from workers.governance.ledger import Erasure, LedgerFileError, line_of, read_lines
from workers.governance.stores import StoreError

_HELD: Final = "held"


class Files(Protocol):
    """Files by path. Methods raise `StoreError` if the place is unavailable."""

    async def create(self, path: str, content: bytes) -> None:
        """Write a file, unless it exists."""

    async def get(self, path: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""

    async def remove(self, path: str) -> None:
        """Delete a file and its folder, if they exist."""

    def paths(self, folder: str) -> AsyncIterator[str]:
        """Yield the paths of the files in a folder and in the folders of it."""


class LedgerCopy:
    """A further place of the ledger and the holds.

    Every method raises `StoreError` if the place is unavailable.

    Args:
        files: the place.
        erased: the folder of the erasures.
    """

    def __init__(self, files: Files, erased: str = "") -> None:
        self._files = files
        self._erased = erased

    async def put(self, call_id: str, erasure: Erasure) -> None:
        """Write a record of the ledger, unless there is one of the call."""
        path = f"{self._erased}/{_digest_path(call_id)}.json".removeprefix("/")
        await self._files.create(path, line_of(call_id, erasure).encode())

    async def all(self) -> AsyncIterator[tuple[str, Erasure]]:
        """Yield all records; a damaged file is skipped, because its call is not known."""
        async for path in self._files.paths(self._erased):
            content = await self._files.get(path) or b""
            with contextlib.suppress(LedgerFileError, UnicodeDecodeError):
                for record in read_lines([content.decode()]):
                    yield record

    async def put_hold(self, call_id: str, hold: Hold) -> None:
        """Write a hold, unless there is one of the call."""
        await self._files.create(_hold_path(call_id), hold_line(call_id, hold))

    async def has_hold(self, call_id: str) -> bool:
        """Return whether there is a hold of a call."""
        return await self._files.get(_hold_path(call_id)) is not None

    async def remove_hold(self, call_id: str) -> None:
        """Delete the hold of a call, if there is one."""
        await self._files.remove(_hold_path(call_id))

    async def holds(self) -> AsyncIterator[tuple[str, Hold]]:
        """Yield all holds; a damaged file is skipped, because its call is not known."""
        async for path in self._files.paths(_HELD):
            if found := read_hold(await self._files.get(path) or b""):
                yield found


def _digest_path(call_id: str) -> str:
    digest = hashlib.sha256(call_id.encode()).hexdigest()
    return f"{digest[:2]}/{digest}"


def _hold_path(call_id: str) -> str:
    return f"{_HELD}/{_digest_path(call_id)}/hold.json"


class Folder:
    """Files on a disk; implements `Files`.

    Args:
        root: is created if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def create(self, path: str, content: bytes) -> None:
        """Write a file, unless it exists."""
        await _run(lambda: _create(self._root / path, content))

    async def get(self, path: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""
        return await _run(lambda: _content(self._root / path))

    async def remove(self, path: str) -> None:
        """Delete a file and its folder, if they exist."""
        await _run(lambda: _remove(self._root / path))

    async def paths(self, folder: str) -> AsyncIterator[str]:
        """Yield the paths of the files in a folder and in the folders of it."""
        root = self._root / folder
        found = await _run(lambda: sorted([*root.glob("??/*.json"), *root.glob("??/*/*.json")]))
        for path in found:
            yield str(path.relative_to(self._root))


async def _run[T](work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError:
        raise StoreError("ledger copy", "unavailable") from None


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return None


def _create(path: Path, content: bytes) -> None:
    """Write a file at once, unless it exists."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another hold was placed meanwhile, or it does not exist
        path.parent.rmdir()
