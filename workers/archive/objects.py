"""The operations of a directory or an object store that the archive uses.

Every object is created once: a second creation is reported, and changes nothing. Every operation
has a timeout. The text of an error of a store may quote URLs, so only a reason is kept.

The operations run in threads. The asynchronous ones of obstore call Python from threads of their
own, which may still do so while the interpreter ends: the process then aborts (measured with
obstore 0.12.1 and Python 3.13: 1 of 8 short processes, exit code 134).
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, ObjectStore, from_url

from workers.archive.settings import Settings

_TIMEOUT_S: Final = 60.0  # of an operation, with the retries of the store's client
_CLIENT: Final = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=20)}
_RETRIES: Final = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_PAGE: Final = 1000
_THREADS: Final = 8
_MOST_BYTES: Final = 512 << 20  # of an object to read


class StoreError(Exception):
    """An operation of the store failed.

    Attributes:
        reason: `unavailable`, `timeout`, `refused` (credentials or permissions), `no-bucket`,
            `too-big`, or `unsupported` (the store can't create an object only once).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the archive's store: {reason}")
        self.reason = reason


class Item(NamedTuple):
    """An object of a listing."""

    path: str
    size: int
    modified: datetime


class Objects:
    """Objects by path, such as `raw/3f/CA1/1/call.json`.

    Every method raises `StoreError` if the operation fails.

    Args:
        store: of obstore.
        timeout_s: of an operation.
        root: the folder, if the store is a directory.
    """

    def __init__(
        self, store: ObjectStore, timeout_s: float = _TIMEOUT_S, root: Path | None = None
    ) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._root = root
        self._threads = ThreadPoolExecutor(_THREADS, "archive")

    async def create(self, path: str, content: bytes) -> bool:
        """Create an object; return False, and change nothing, if there is one."""
        try:
            async with self._failures():
                create = partial(obstore.put, mode="create", use_multipart=False)
                await self._run(create, self._store, path, content)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            return False
        except FileNotFoundError:
            raise StoreError("no-bucket") from None
        return True

    async def get(self, path: str) -> bytes | None:
        """Return an object's content; None if there is no such object."""
        try:
            async with self._failures():
                return await self._run(self._read, path)
        except FileNotFoundError:
            return None

    def _read(self, path: str) -> bytes:
        found = obstore.get(self._store, path)
        if found.meta["size"] > _MOST_BYTES:
            raise StoreError("too-big")
        return bytes(found.bytes())

    async def listing(self, folder: str) -> AsyncIterator[Item]:
        """Yield the objects in a folder and the folders in it."""
        pages = obstore.list(self._store, folder, chunk_size=_PAGE)
        while page := await self._next(pages):
            for each in page:
                yield Item(each["path"], each["size"], each["last_modified"])

    async def _next(self, pages: Any) -> Sequence[Any]:  # noqa: ANN401 - the type of obstore is not importable
        with contextlib.suppress(FileNotFoundError):
            async with self._failures():
                return await self._run(next, pages, ())
        return ()

    async def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        try:
            async with self._failures():
                found = await self._run(obstore.list_with_delimiter, self._store, folder)
        except FileNotFoundError:
            return []
        return sorted(each.rpartition("/")[2] for each in found["common_prefixes"])

    async def delete(self, folder: str, first: str = "") -> int:
        """Delete all objects in a folder; return how many there were.

        Args:
            folder: the folder.
            first: the name of the objects that are deleted before the others.
        """
        paths = [each.path async for each in self.listing(folder)]
        for path in sorted(paths, key=lambda path: not path.endswith(f"/{first}")):
            with contextlib.suppress(FileNotFoundError):
                async with self._failures():
                    await self._run(obstore.delete, self._store, path)
        if self._root:
            async with self._failures():
                await self._run(_remove, self._root / folder)
        return len(paths)

    async def _run[T](self, operation: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, operation, *arguments
        )

    @contextlib.asynccontextmanager
    async def _failures(self) -> AsyncIterator[None]:
        """Limit the time of an operation, and translate its failure."""
        with _translated():
            async with asyncio.timeout(self._timeout_s):
                yield


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError):
        raise
    except TimeoutError:
        raise StoreError("timeout") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError):
        raise StoreError("refused") from None
    except (exceptions.NotSupportedError, NotImplementedError):
        raise StoreError("unsupported") from None
    except (exceptions.BaseError, OSError):
        raise StoreError("unavailable") from None


def open_objects(settings: Settings, timeout_s: float = _TIMEOUT_S) -> Objects:
    """Open the store of the settings; it is contacted when it is used.

    Args:
        settings: the settings.
        timeout_s: of an operation.

    Raises:
        StoreError: the store's own settings in the environment are not valid, or a folder can't be
            created.
    """
    parts = urlsplit(settings.url)
    with _translated():
        if parts.scheme == "file":
            root = Path(unquote(parts.path) or "/")
            return Objects(_directory(root), timeout_s, root)
        try:
            config: Any = _encryption(settings)
            # Options of the client replace this variable, which is for servers without TLS.
            allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
            client: Any = {**_CLIENT, "allow_http": allow_http}
            retries: Any = _RETRIES
            store = from_url(
                settings.url, config=config, client_options=client, retry_config=retries
            )
        except ValueError:
            raise StoreError("unavailable") from None
        return Objects(store, timeout_s)


def _directory(folder: Path) -> ObjectStore:
    """Open a folder, which is created for the owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Empty folders are deleted, because their names contain call ids.
    return LocalStore(folder, automatic_cleanup=True)


def _remove(folder: Path) -> None:
    """Delete a folder with the unfinished files of writers that were killed, which no list has."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _encryption(settings: Settings) -> Mapping[str, str]:
    config = {
        "server_side_encryption": str(settings.encryption),
        "sse_kms_key_id": settings.kms_key,
    }
    return {name: value for name, value in config.items() if value}
