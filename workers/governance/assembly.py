"""Creates governance from the settings: here the stores register themselves."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.settings import load
from gateway.redis_client.client import RedisClient
from workers.archive.settings import Settings as ArchiveSettings
from workers.governance.append_only import AppendOnlyFile
from workers.governance.copies import Folder, LedgerCopy
from workers.governance.eraser import Governance
from workers.governance.families import Kind
from workers.governance.holds import Holds
from workers.governance.ledger import Ledger
from workers.governance.redis_calls import RedisCalls
from workers.governance.redis_retention import RedisRetention
from workers.governance.retention import Place
from workers.governance.search_calls import SearchCalls
from workers.governance.settings import Settings
from workers.governance.spool import SpoolFiles
from workers.governance.stores import Expiring, Store
from workers.governance.trail import Trail
from workers.search.settings import Settings as SearchSettings


@dataclass(frozen=True, slots=True)
class Governed:
    """Governance with all stores of an installation.

    Attributes:
        governance: erases and holds.
        places: the stores that limit how long they keep calls.
        redis: those of them that are in Redis.
        file: the append-only file of Redis.
    """

    governance: Governance
    places: Mapping[Place, Expiring]
    redis: tuple[RedisRetention, ...]
    file: AppendOnlyFile


def relay_governance(client: RedisClient, partitions: int) -> Governance:
    """Create governance for a process that records erasures and deletes nothing itself."""
    ledger, holds, trail = _parts(client, partitions)
    return Governance(ledger, holds, trail, stores=(), copies=(), wall_s=time.time)


def _parts(client: RedisClient, partitions: int) -> tuple[Ledger, Holds, Trail]:
    return Ledger(client, partitions), Holds(client, partitions), Trail(client)


def govern(client: RedisClient, partitions: int, settings: Settings) -> Governed:
    """Create governance with all stores of an installation.

    Args:
        client: from `create_client`; its creator closes it.
        partitions: the number of partitions, fixed at installation.
        settings: of governance; those of the archive and of search are read here.

    Raises:
        SettingsError: a setting of the archive or of search is invalid.
    """
    ledger, holds, trail = _parts(client, partitions)
    raw, redacted = (RedisRetention(client, partitions, kind) for kind in (Kind.RAW, Kind.REDACTED))
    stores: list[Store] = [RedisCalls(client, partitions)]
    places: dict[Place, Expiring] = {Place.STREAMS: raw, Place.REDACTED: redacted}
    copies = [LedgerCopy(Folder(settings.ledger_dir))] if settings.ledger_dir else []
    if settings.spool_dirs:
        folders = [Path(each) for each in settings.spool_dirs]
        stores.append(SpoolFiles(folders, ledger.owners))
    archive_settings = load(ArchiveSettings)
    if archive_settings.url:
        # Other workers import this module, and do not need obstore.
        from workers.governance.archive_calls import open_archive

        archive, copy = open_archive(archive_settings)
        stores.append(archive)
        places[Place.ARCHIVE] = archive
        copies.append(copy)
    search = SearchCalls(load(SearchSettings), time.time)
    stores.append(search)
    places[Place.INDEX] = search
    governance = Governance(ledger, holds, trail, stores, copies, time.time)
    return Governed(governance, places, (raw, redacted), AppendOnlyFile(client))
