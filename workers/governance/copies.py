"""A second place of the ledger: it remains when Redis is restored from an older backup.

<folder>/<xx>/<digest>.json   one record of the ledger; the digest is the SHA-256 of the call id
"""

import asyncio
import functools
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from workers.governance.ledger import Erasure, LedgerFileError, line_of, read_lines
from workers.governance.stores import StoreError


class LedgerCopy(Protocol):
    """A second place of the ledger. Methods raise `StoreError` if it is unavailable."""

    async def put(self, call_id: str, erasure: Erasure) -> None:
        """Write a record, unless there is one of the call."""

    def all(self) -> AsyncIterator[tuple[str, Erasure]]:
        """Yield all records."""


def path_of(call_id: str) -> str:
    """Return the path of a record."""
    digest = hashlib.sha256(call_id.encode()).hexdigest()
    return f"{digest[:2]}/{digest}.json"


class FolderCopy:
    """A copy of the ledger in a folder; implements `LedgerCopy`.

    Args:
        folder: is created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, call_id: str, erasure: Erasure) -> None:
        """Write a record, unless there is one of the call."""
        path = self._folder / path_of(call_id)
        await self._run(lambda: _create(path, line_of(call_id, erasure)))

    async def all(self) -> AsyncIterator[tuple[str, Erasure]]:
        """Yield all records; a damaged file is skipped, because its call is not known."""
        for path in await self._run(lambda: sorted(self._folder.glob("??/*.json"))):
            content = await self._run(functools.partial(path.read_text, encoding="utf-8"))
            try:
                for record in read_lines([content]):
                    yield record
            except LedgerFileError:
                continue

    async def _run[T](self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (OSError, UnicodeDecodeError):
            raise StoreError("ledger copy", "unavailable") from None


def _create(path: Path, content: str) -> None:
    """Write a file at once, unless it exists."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
