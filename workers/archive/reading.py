"""Reads the entries of a call from Redis, beside those that are archived already."""

from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import homes, partition_key
from workers.archive.evidence import SOURCES, Evidence
from workers.archive.record import Text
from workers.client import reading

_TIMEOUT_S: Final = 5.0


async def read_into(evidence: Evidence, client: RedisClient, partition: int, text: Text) -> int:
    """Add the entries of a call that follow those read before; return their number.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    before = sum(each.entries for each in evidence.read.values())
    for source, suffix in SOURCES[text].items():
        key = partition_key(partition, f"call:{evidence.fold.call_id}{suffix}")
        while page := await reading.history(client, key, after=evidence.read[source].last_id):
            for entry in page:
                evidence.add(source, entry)
    return sum(each.entries for each in evidence.read.values()) - before


async def locate(client: RedisClient, call_id: str, text: Text, partitions: int) -> int:
    """Return the partition of a call; see "Two calls with one id" in docs/events.md.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    suffix = next(iter(SOURCES[text].values()))
    found = homes(call_id, partitions)
    for partition in found if len(found) > 1 else ():
        key = partition_key(partition, f"call:{call_id}{suffix}")
        if await execute(client, "XLEN", key, timeout_s=_TIMEOUT_S):
            return partition
    return found[0]
