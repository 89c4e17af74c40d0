"""Name the Redis keys of a call's events. Pure; docs/events.md is the reference.

All keys of a call share the hash tag of its partition. So on a Redis Cluster they are on one node,
and one script can use all of them.
"""

import hashlib
import re
import zlib
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

DEFAULT_TENANT: Final = "default"  # of routes without a tenant

MAX_ID_CHARACTERS = 128
_DIGEST_CHARACTERS = 32
_CUT_ESCAPE = re.compile("%.?$")


class CallKeys(NamedTuple):
    """The keys that a batch of a call's events uses, in the order that `append.lua` expects."""

    writers: str
    call: str
    events: str
    live: str


def encode_id(carrier_id: str) -> str:
    """Encode a carrier's call or stream id for use in keys, fields and members.

    Everything outside `[A-Za-z0-9._~-]` is percent-encoded as UTF-8. A result of more than 128
    characters is cut to 95, or less so that no character is cut; `~` and 32 hex digits of its
    SHA-256 follow, so that different ids stay different.
    """
    encoded = quote(carrier_id, safe="", errors="surrogatepass")
    if len(encoded) <= MAX_ID_CHARACTERS:
        return encoded
    digest = hashlib.sha256(encoded.encode("ascii")).hexdigest()[:_DIGEST_CHARACTERS]
    cut = _CUT_ESCAPE.sub("", encoded[: MAX_ID_CHARACTERS - _DIGEST_CHARACTERS - 1])
    return f"{quote(unquote_to_bytes(cut).decode(errors='ignore'), safe='')}~{digest}"


def partition_of(call_id: str, partitions: int) -> int:
    """Return the partition of an encoded call id: CRC-32 (zlib) modulo `partitions`."""
    return zlib.crc32(call_id.encode("ascii")) % partitions


def homes(call_id: str, partitions: int) -> list[int]:
    """Return the partitions that may contain the keys of a call.

    It is one, unless the id may be the longer one, `<tenant>.<carrier>.<id>`, of a call whose plain
    id another call has: its keys are in the partition of the plain id.
    """
    found = {partition_of(call_id, partitions): None}
    tail = call_id.partition(".")[2]
    while tail := tail.partition(".")[2]:
        found[partition_of(tail, partitions)] = None
    return list(found)


def partition_key(partition: int, name: str) -> str:
    """Return the key `events` or `live`, which all calls of a partition share."""
    return f"cs:{{p{partition:02d}}}:{name}"


def call_keys(call_id: str, partitions: int) -> CallKeys:
    """Return the keys of an encoded call id."""
    return keys_in(partition_of(call_id, partitions), call_id)


def keys_in(partition: int, call_id: str) -> CallKeys:
    """Return the keys of an encoded call id in a given partition."""
    return CallKeys(
        writers=partition_key(partition, f"writers:{call_id}"),
        call=partition_key(partition, f"call:{call_id}"),
        events=partition_key(partition, "events"),
        live=partition_key(partition, "live"),
    )
