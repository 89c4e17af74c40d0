"""The jobs of a partition in Redis, so that another worker can continue with them.

    cs:{pNN}:jobs:<group>   hash: the key of a job -> the job, JSON

A job is stored before the position of the event that created it, and deleted after its wrap-up was
written. So a crash repeats a job, and never loses one; the wrap-up's id shows that it was written.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.client.events import AssistWrapup, EventError, read_event
from workers.consumer import Group
from workers.wrapup import jobs
from workers.wrapup.conversation import Conversation
from workers.wrapup.jobs import Failure, Job

_TIMEOUT_S: Final = 5.0
_DEAD_LETTERS: Final = 10_000  # kept per partition and group, as commit.lua
# The ledger is not among the keys, because a user needs permission to write to each of these.
_IS_ERASED: Final = """
local ledger = string.match(KEYS[1], '^cs:{p%d+}:') .. 'erased'
local is_erased = redis.call('HGET', ledger, ARGV[1])
"""
_PUT: Final = f"""{_IS_ERASED}
if is_erased then
  redis.call('HDEL', KEYS[1], ARGV[2])
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
"""
# Delete a job and write its dead letter, once: another worker may have done so.
_BURY: Final = f"""{_IS_ERASED}
if redis.call('HDEL', KEYS[1], ARGV[2]) == 1 and not is_erased then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
end
"""


class Store:
    """The Redis operations of one partition.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        group: of the workers.
        partition: the partition.
        source: suffix of the calls' streams that are read; empty for raw text.
    """

    def __init__(self, client: RedisClient, group: Group, partition: int, source: str) -> None:
        self._client = client
        self._group = group
        self._partition = partition
        self._source = source and f":{source}"
        self._jobs_key = partition_key(partition, f"jobs:{group.name}")

    async def load(self) -> list[Job]:
        """Return all jobs, also those of a worker that crashed."""
        reply = await self._execute("HGETALL", self._jobs_key)
        stored = reply.values() if isinstance(reply, dict) else reply[1::2]
        return [job for each in stored if (job := jobs.decode(each))]

    async def put(self, job: Job) -> bool:
        """Store a job, or its new state; delete it and return False if its call was erased."""
        values = job.call_id, job.key, jobs.encode(job)
        return bool(await self._execute("EVAL", _PUT, 1, self._jobs_key, *values))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete jobs that are done."""
        if keys:
            await self._execute("HDEL", self._jobs_key, *keys)

    async def bury(self, failure: Failure) -> None:
        """Delete a job; write its entry as a dead letter, unless the call was erased."""
        job = failure.job
        dead = {
            **job.fields,
            "dead_id": job.wrapup,
            "dead_error": failure.reason.value,
            "dead_tries": str(job.tries),
        }
        flat = [text for pair in dead.items() for text in pair]
        keys = self._jobs_key, self._group.dead_letters_key(self._partition)
        values = job.call_id, job.key, _DEAD_LETTERS
        await self._execute("EVAL", _BURY, len(keys), *keys, *values, *flat)

    async def is_written(self, job: Job) -> bool:
        """Return whether the wrap-up of a job was written."""
        key = partition_key(self._partition, f"call:{job.call_id}:{self._group.suffix}")
        async for entries in reading.pages(self._client, key):
            for entry in entries:
                if entry.fields.get("wrapup") == job.wrapup:
                    return True
        return False

    async def conversation(self, call_id: str) -> Conversation:
        """Return a call so far, without the entries that are not events."""
        conversation = Conversation.read(call_id, ())
        key = partition_key(self._partition, f"call:{call_id}{self._source}")
        async for entries in reading.pages(self._client, key):
            for entry in entries:
                try:
                    conversation.apply(read_event(entry.id, entry.fields))
                except EventError:
                    continue
        return conversation

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=_TIMEOUT_S)


async def wrapups(client: RedisClient, call_key: str, text: str) -> list[AssistWrapup]:
    """Return the wrap-ups of a call, the oldest first.

    Args:
        client: from `create_client`.
        call_key: the key of its raw events.
        text: the kind of text that they were made from.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    found: list[AssistWrapup] = []
    async for entries in reading.pages(client, f"{call_key}:{suffix_of(text)}"):
        for entry in entries:
            try:
                event = read_event(entry.id, entry.fields)
            except EventError:
                continue
            if isinstance(event, AssistWrapup):
                found.append(event)
    return found


def suffix_of(text: str) -> str:
    """Return the suffix of the streams of wrap-ups that are made from a kind of text."""
    return "wrapups" if text == "raw" else "redacted-wrapups"


def group_name(text: str) -> str:
    """Return the name of the group of workers that receive a kind of text."""
    return "wrapup-raw" if text == "raw" else "wrapup"
