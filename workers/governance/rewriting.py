"""Rewrites a stream after entries were deleted from it, so that their content is gone.

Redis marks a deleted entry of a stream, and keeps its content in memory and in snapshots until all
entries of the same node are deleted. The other entries keep their ids, consumer groups keep their
positions and pending entries, and writers and readers continue meanwhile.
"""

import secrets
from pathlib import Path
from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key
from workers.governance.stores import StoreError
from workers.governance.table import TIMEOUT_S, text

_FOLDER: Final = Path(__file__).parent
_COPY, _SWAP = ((_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in ("copy", "swap"))
_PAGE: Final = 100  # entries that one script copies: about a millisecond
_LIFETIME_S: Final = 600  # of a copy that is abandoned
_TRIES: Final = 5
# Whether an entry was deleted from the stream since it was created or rewritten. Trimming does not
# count: it is approximate everywhere, and then deletes whole nodes.
_HAS_RESIDUE: Final = """
local reply = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #reply, 2 do
  if reply[i] == 'max-deleted-entry-id' then
    return reply[i + 1] ~= '0-0' and 1 or 0
  end
end
return 1
"""


class Rewriter:
    """Rewrites streams of one partition.

    Args:
        client: from `create_client`.
        partition: the partition.
    """

    def __init__(self, client: RedisClient, partition: int) -> None:
        self._client = client
        self._partition = partition

    async def has_residue(self, key: str) -> bool:
        """Return whether a stream may contain the content of deleted entries."""
        return bool(await self._eval(_HAS_RESIDUE, [key]))

    async def rewrite(self, key: str) -> None:
        """Rewrite a stream.

        Raises:
            PublishError: Redis is unavailable or refuses a command.
            StoreError: erasures and deletions interrupted it again and again.
        """
        for _ in range(_TRIES):
            copy = partition_key(self._partition, f"rewrite:{secrets.token_hex(8)}")
            if await self._rewrite(key, copy):
                return
        raise StoreError("redis", "erasures-in-progress")

    async def _rewrite(self, key: str, copy: str) -> bool:
        ledger = partition_key(self._partition, "erased")
        erased = int(await self._execute("HLEN", ledger))
        last, copied = "0", 0
        while True:
            count, last_id = await self._eval(_COPY, [key, copy], last, _PAGE, _LIFETIME_S)
            copied += int(count)
            last = text(last_id)
            if int(count) == _PAGE:
                continue
            done = await self._eval(_SWAP, [key, copy, ledger], last, copied, erased, _PAGE)
            if done:
                return int(done) > 0

    async def _eval(self, script: str, keys: list[str], *arguments: str | int) -> Any:  # noqa: ANN401 - depends on the script
        return await self._execute("EVAL", script, len(keys), *keys, *arguments)

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=TIMEOUT_S)
