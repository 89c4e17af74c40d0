"""Governance of an index in PostgreSQL: erasure, retention and the report."""

import time

from tests.workers.search.indexes import TIMEOUT_S, find, said, seen
from workers.governance.search_calls import SearchCalls
from workers.search import indexes
from workers.search.settings import Settings


async def test_erased_calls_stay_out_of_a_database_and_expired_ones_may_come_back(
    database_url: str,
) -> None:
    settings = Settings(_env_file=None, database_url=database_url, text="both", timeout_s=TIMEOUT_S)
    calls = SearchCalls(settings, time.time)
    changes = [each for call in ("CA1", "CA2") for each in (seen(call), said("canary", call=call))]
    for kind in ("raw", "redacted"):
        index = await indexes.open_to_write(settings, kind, 1.0)
        await index.add(changes)
        await index.close()
    assert await calls.find(["CA1", "CA9"]) == 2
    assert await calls.erase(["CA1"]) > 0
    assert await calls.find(["CA1"]) == 0
    assert {each.call_id async for each in calls.calls()} == {"CA2"}
    assert await calls.expire(["CA2"]) > 0
    index = await indexes.open_to_write(settings, "raw", 1.0)
    await index.add(changes)
    assert [hit.call_id for hit in (await find(index, "canary")).hits] == ["CA2"]
    await index.close()
