"""Reads the entries of a call from Redis, beside those that are archived already."""

from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key, partition_of
from workers.archive.evidence import SOURCES, Evidence
from workers.archive.record import Text
from workers.client import reading

_TIMEOUT_S: Final = 5.0
_LONG_ID_DOTS: Final = 2  # of `<tenant>.<carrier>.<id>`


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
    partition = partition_of(call_id, partitions)
    parts = call_id.split(".", _LONG_ID_DOTS)
    suffix = next(iter(SOURCES[text].values()))
    key = partition_key(partition, f"call:{call_id}{suffix}")
    if len(parts) <= _LONG_ID_DOTS or await execute(client, "XLEN", key, timeout_s=_TIMEOUT_S):
        return partition
    return partition_of(parts[-1], partitions)
