"""Measure searches in a large index: python -m tests.load.search FOLDER [SEGMENTS].

Fills FOLDER/raw.sqlite once with calls of made-up words, whose frequencies are those of a language
(Zipf's law), then runs each kind of query many times with other words and prints its times.
"""

import asyncio
import itertools
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from workers.search.index import (
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    Limits,
    Order,
    Said,
    Search,
)
from workers.search.query import parse
from workers.search.sqlite_reader import SqliteReader
from workers.search.sqlite_schema import open_to_write
from workers.search.sqlite_tables import Tables

_OF_CALL: Final = 100  # segments
_VOCABULARY: Final = 30_000
_END: Final = datetime(2026, 11, 30, tzinfo=UTC)
_ROUNDS: Final = 40
_BATCH: Final = 50  # calls of one transaction
_SYLLABLES: Final = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el")]
_WORDS: Final = random.Random(1).sample(  # noqa: S311 - reproducible
    ["".join(each) for each in itertools.product(_SYLLABLES, repeat=3)], _VOCABULARY
)
_WEIGHTS: Final = list(itertools.accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))


def words(chance: random.Random, count: int) -> list[str]:
    """Return words as often as a language has them."""
    return chance.choices(_WORDS, cum_weights=_WEIGHTS, k=count)


def call(number: int, calls: int) -> Iterator[Change]:
    """Yield the changes of one call; the calls are spread over 90 days."""
    chance = random.Random(number)  # noqa: S311 - reproducible
    call_id = f"CA{number:08d}"
    start = _END - timedelta(days=90) * (1 - number / calls)
    yield CallSeen(
        call_id,
        f"tenant{number % 20}",
        chance.choice(["twilio", "telnyx", "genesys"]),
        f"route{number % 40}",
    )
    if chance.random() < 0.1:
        yield AlertNoted(call_id, "1", f"rule{chance.randrange(20)}", "warning", is_raised=True)
    yield DispositionNoted(call_id, f"disposition{chance.randrange(8)}")
    for segment in range(_OF_CALL):
        text = " ".join(words(chance, chance.randint(3, 20)))
        role = ("customer", "agent")[segment % 2]
        at_ms = int(start.timestamp() * 1000) + 3000 * segment
        where = 3000 * segment, 3000 * segment + 2500
        yield Said(call_id, "MZ1", 1, role, segment, 0, role, at_ms, *where, text)


def fill(path: Path, calls: int) -> None:
    """Write an index."""
    connection = open_to_write(path)
    tables = Tables(connection)
    begin_s = time.monotonic()
    for first in range(0, calls, _BATCH):
        connection.execute("BEGIN IMMEDIATE")
        for number in range(first, min(calls, first + _BATCH)):
            tables.apply(call(number, calls))
        connection.execute("COMMIT")
    seconds = time.monotonic() - begin_s
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    print(f"{calls * _OF_CALL} segments written in {seconds:.0f} s")  # noqa: T201


_ANY: Final = random.Random(7)  # noqa: S311 - reproducible


def _common() -> str:
    return _WORDS[_ANY.randrange(5)]


def _usual() -> str:
    return _WORDS[_ANY.randrange(20, 2000)]


def _rare() -> str:
    return _WORDS[_ANY.randrange(5000, _VOCABULARY)]


KINDS: Final[dict[str, Callable[[], str]]] = {
    "usual word": _usual,
    "common word": _common,
    "rare word": _rare,
    "two words": lambda: f"{_usual()} {_usual()}",
    "common and rare word": lambda: f"{_common()} {_rare()}",
    "phrase": lambda: f'"{_common()} {_usual()}"',
    "phrase of common words": lambda: f'"{_common()} {_common()}"',
    "prefix": lambda: f"{_usual()[:5]}*",
    "short prefix": lambda: f"{_usual()[:3]}*",
    "without a word": lambda: f"{_usual()} -{_common()}",
    "role": lambda: f"{_usual()} role:agent",
    "tenant and route": lambda: f"{_usual()} tenant:tenant{_ANY.randrange(20)} route:route3",
    "alert": lambda: f"{_usual()} alert:rule{_ANY.randrange(20)}",
    "common word, alert": lambda: f"{_common()} alert:rule{_ANY.randrange(20)} role:agent",
    "disposition": lambda: f"{_usual()} disposition:disposition{_ANY.randrange(8)}",
    "one day": lambda: f"{_usual()} from:2026-10-0{_ANY.randrange(1, 9)} to:2026-10-09",
    "filters only": lambda: f"alert:any role:agent carrier:telnyx route:route{_ANY.randrange(40)}",
    "one call": lambda: f"{_common()} call:CA{_ANY.randrange(9000):08d}",
}


async def measure(path: Path) -> None:
    """Print how long each kind of query takes, by the wall clock and in CPU time."""
    reader = SqliteReader(path, 10.0)
    print(await reader.count())  # noqa: T201
    taken: list[tuple[float, float]] = []
    for name, query in KINDS.items():
        times = [await _time(reader, query(), number) for number in range(_ROUNDS)]
        report(name, times)
        taken += times
    report("ALL", taken)
    best = [await _time(reader, _usual(), number, Order.BEST) for number in range(_ROUNDS)]
    report("usual word, best first", best)
    await reader.close()


async def _time(
    reader: SqliteReader, query: str, number: int, order: Order = Order.NEWEST
) -> tuple[float, float]:
    """Return the milliseconds of one search; every second one is limited to a tenant."""
    limits = Limits(tenant=f"tenant{number % 20}") if number % 2 else Limits()
    search = Search(parse(query, _END), limits, order=order)
    begin_s, cpu_s = time.monotonic(), time.process_time()
    await reader.search(search)
    return 1000 * (time.monotonic() - begin_s), 1000 * (time.process_time() - cpu_s)


def report(name: str, times: list[tuple[float, float]]) -> None:
    """Print percentiles."""
    walls, cpus = (sorted(each) for each in zip(*times, strict=True))
    p50, p95 = (walls[int(len(walls) * share)] for share in (0.5, 0.95))
    cpu = cpus[int(len(cpus) * 0.95)]
    line = f"{name:24} p50 {p50:7.1f}  p95 {p95:7.1f}  max {walls[-1]:7.1f} ms  CPU p95 {cpu:7.1f}"
    print(line)  # noqa: T201


def main() -> None:
    """Fill the index unless it is there; then measure."""
    path = Path(sys.argv[1]) / "raw.sqlite"
    segments = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    if not path.exists():
        fill(path, segments // _OF_CALL)
    print(f"{path.stat().st_size >> 20} MiB")  # noqa: T201
    asyncio.run(measure(path))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB of memory")  # noqa: T201


if __name__ == "__main__":
    main()
