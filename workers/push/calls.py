"""What messages need to know about a call: the routes of its streams, and which of them are open.

The state of a call is in memory. Where it is missing, it is read from the call's own stream: for
the first event of a call, after a takeover, and for calls that were evicted.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.consumer import Identity
from workers.push.messages import StreamEnd

_MAX_CALLS: Final = 5000  # of a partition, in memory
_STARTED, _ENDED = "stream.started", "stream.ended"


@dataclass(slots=True)
class CallState:
    """The streams of one call, up to an event."""

    routes: dict[str, str] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)  # when each stream started, RFC 3339
    ends: dict[str, StreamEnd | None] = field(default_factory=dict)  # None: the stream is open

    def apply(self, fields: Mapping[str, str]) -> None:
        """Note an event."""
        stream_id = fields.get("stream_id", "")
        match fields.get("type"):
            case "stream.started":
                self.ends[stream_id] = None
                self.starts.setdefault(stream_id, fields.get("at", ""))
                if "route" in fields:
                    self.routes[stream_id] = fields["route"]
            case "stream.ended":
                self.ends[stream_id] = StreamEnd(
                    stream_id,
                    fields.get("status", ""),
                    fields.get("reason", ""),
                    int(fields.get("duration_ms") or 0),
                    self.routes.get(stream_id),
                )
            case _:
                pass

    @property
    def has_ended(self) -> bool:
        """Whether all streams that started have ended."""
        return all(self.ends.values())

    @property
    def stream_ends(self) -> list[StreamEnd]:
        """How the streams ended, in the order of their starts."""
        return [end for end in self.ends.values() if end]


class Calls:
    """The states of the calls of a partition.

    Args:
        client: from `create_client`.
        partition: the partition.
        suffix: of the calls' streams that are read: empty for raw events, or `redacted`.
    """

    def __init__(self, client: RedisClient, partition: int, suffix: str) -> None:
        self._client = client
        self._partition = partition
        self._suffix = suffix
        self._states: OrderedDict[str, CallState] = OrderedDict()

    async def apply(self, fields: Mapping[str, str]) -> CallState:
        """Note an event of a call; return the state after it.

        Raises:
            PublishError: Redis is unavailable.
        """
        call_id = fields["call_id"]
        state = self._states.get(call_id)
        if state is None:
            state = await self._read(call_id, until=Identity.of(fields))
        state.apply(fields)
        self._keep(call_id, state)
        return state

    def _keep(self, call_id: str, state: CallState) -> None:
        self._states[call_id] = state
        self._states.move_to_end(call_id)
        if len(self._states) > _MAX_CALLS:
            self._states.popitem(last=False)

    async def _read(self, call_id: str, *, until: Identity) -> CallState:
        """Read the state of a call before an event."""
        suffix = f":{self._suffix}" if self._suffix else ""
        key = partition_key(self._partition, f"call:{call_id}{suffix}")
        state = CallState()
        async for entries in reading.pages(self._client, key):
            for entry in entries:
                if Identity.of(entry.fields) == until:
                    return state
                if entry.fields.get("type") in (_STARTED, _ENDED):
                    state.apply(entry.fields)
        return state
