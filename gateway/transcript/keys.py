"""Where a call's events lie in Redis. Pure; docs/events.md is the reference.

All keys of one call share the hash tag of its partition, so on a Redis Cluster they lie on one node
and one script may touch them all.
"""

import hashlib
import zlib
from typing import Final, NamedTuple
from urllib.parse import quote

DEFAULT_TENANT: Final = "default"  # of a route that names none

MAX_ID_CHARACTERS = 128
_DIGEST_CHARACTERS = 32


class CallKeys(NamedTuple):
    """The keys that one batch of a call's events touches, in the order `append.lua` takes them."""

    writers: str
    call: str
    events: str
    live: str


def encode_id(carrier_id: str) -> str:
    """Encode a carrier's call or stream id as keys, fields and members hold it.

    Everything outside `[A-Za-z0-9._~-]` is percent-encoded as UTF-8. A result past 128 characters
    is cut and closed by `~` and 32 hex digits of the id's SHA-256, so different ids stay different.
    """
    encoded = quote(carrier_id, safe="", errors="surrogatepass")
    if len(encoded) <= MAX_ID_CHARACTERS:
        return encoded
    digest = hashlib.sha256(encoded.encode("ascii")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{encoded[: MAX_ID_CHARACTERS - _DIGEST_CHARACTERS - 1]}~{digest}"


def partition_of(call_id: str, partitions: int) -> int:
    """Number the partition of an encoded call id, 0 .. partitions - 1: CRC-32 (zlib) modulo."""
    return zlib.crc32(call_id.encode("ascii")) % partitions


def partition_key(partition: int, name: str) -> str:
    """Name a key that all calls of a partition share: `events` or `live`."""
    return f"cs:{{p{partition:02d}}}:{name}"


def call_keys(call_id: str, partitions: int) -> CallKeys:
    """Name the keys of an encoded call id."""
    return keys_in(partition_of(call_id, partitions), call_id)


def keys_in(partition: int, call_id: str) -> CallKeys:
    """Name the keys of an encoded call id in a partition."""
    return CallKeys(
        writers=partition_key(partition, f"writers:{call_id}"),
        call=partition_key(partition, f"call:{call_id}"),
        events=partition_key(partition, "events"),
        live=partition_key(partition, "live"),
    )
