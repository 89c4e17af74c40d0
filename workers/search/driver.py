"""The driver of PostgreSQL, which only those have who installed the extra `search-postgres`."""

from typing import Any, Final

from common.settings import SettingsError

try:
    import asyncpg
except ModuleNotFoundError:
    asyncpg = None

type Connection = Any  # asyncpg.Connection
type Pool = Any  # asyncpg.Pool

FAILURES: Final[tuple[type[BaseException], ...]] = (
    (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) if asyncpg else ()
)
OPENING_FAILURES: Final[tuple[type[BaseException], ...]] = (*FAILURES, ValueError)  # a bad URL
CANCELLED: Final[tuple[type[BaseException], ...]] = (asyncpg.QueryCanceledError,) if asyncpg else ()

UNSTORABLE: Final[tuple[type[BaseException], ...]] = (  # a value that no column can store
    (asyncpg.DataError, ValueError) if asyncpg else ()
)


async def create_pool(url: str, **options: object) -> Pool:
    """Return a pool of connections.

    Raises:
        SettingsError: the driver is not installed.
    """
    if asyncpg is None:
        raise SettingsError(
            "WORKER_SEARCH_DATABASE_URL needs the packages of the extra search-postgres"
        )
    return await asyncpg.create_pool(url, **options)
