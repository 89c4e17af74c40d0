"""What rules cost: 200 of them, of all kinds, on 40 live calls."""

import asyncio
import contextlib
import time
from random import Random
from typing import Any, Final

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.assist.scripts import event_of, ruleset, script
from workers.assist.call import Call
from workers.assist.metrics import Metrics
from workers.assist.program import Ruleset
from workers.assist.worker import AssistHandler, group
from workers.client import reading
from workers.client.ids import written_ms
from workers.consumer import Consumer, ConsumerMetrics

CALLS: Final = 40
SECONDS: Final = 60
_WORDS: Final = (
    *("the", "a", "to", "of", "you", "and", "is", "it", "I", "we", "can", "my", "your", "account"),
    *("card", "number", "please", "cancel", "contract", "call", "recorded", "thank", "close"),
    *("order", "help", "right", "price", "offer", "refund", "today", "payment", "question"),
)
# As a gateway does.
_WRITE: Final = """
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV))
return redis.call('XADD', KEYS[2], id, unpack(ARGV))
"""


async def append(client: RedisClient, values: dict[str, str]) -> str:
    """Write an event as a gateway does; return its id."""
    call = values["call_id"]
    partition = partition_of(call, 64)
    keys = partition_key(partition, "events"), partition_key(partition, f"call:{call}")
    fields = (text for pair in values.items() for text in pair)
    entry_id: Any = await client.eval(_WRITE, 2, *keys, *fields)
    return reading.text(entry_id)


def many_rules(count: int = 200) -> Ruleset:
    """Return rules of all kinds, two thirds of them about words."""
    random = Random(7)  # noqa: S311 - reproducible

    def phrase() -> str:
        return " ".join(random.choices(_WORDS, k=random.randint(2, 4)))

    def words() -> str:
        return f"phrases: [{', '.join(phrase() for _ in range(4))}]"

    kinds = (
        lambda: f"kind: said, role: customer, {words()}",
        lambda: f"kind: never, role: agent, {words()}",
        lambda: f"kind: said, patterns: ['{random.choice(_WORDS)} (my|the|a) \\w+{phrase()}']",
        lambda: f"kind: required, role: agent, {words()}, within_s: {random.randint(10, 50)}",
        lambda: f"kind: required, {words()}, within_s: 20, after: [{phrase()}]",
        lambda: f"kind: order, role: agent, {words()}, before: [{phrase()}]",
        lambda: f"kind: repetition, {words()}",
        lambda: f"kind: dead_air, longer_ms: {random.randint(3000, 9000)}",
        lambda: f"kind: talk_over, longer_ms: {random.randint(1000, 5000)}",
        lambda: f"kind: monologue, longer_s: {random.randint(20, 90)}",
        lambda: "kind: talk_ratio, role: agent, above_percent: 70",
        lambda: "kind: pace, faster_than_wpm: 250",
    )
    return ruleset(*(f"id: r{n}, {kinds[n % len(kinds)]()}" for n in range(count)))


def conversation(call: str) -> list[tuple[int, dict[str, str]]]:
    """Return a call in which the speakers take turns without a pause."""
    random = Random(call)  # noqa: S311 - reproducible
    at = 0.2
    lines: list[str] = []
    while at < SECONDS:
        count = random.randint(5, 25)
        who = "CA"[len(lines) % 2]
        lines.append(f"{who} {at:.1f} {' '.join(random.choices(_WORDS, k=count))}")
        at += count * 0.2 + random.uniform(-0.5, 1.0)
    return script(f"{' | '.join(lines)} | end {at + 1:.1f}", call=call)


def test_200_rules_on_40_calls_take_little_cpu() -> None:
    """The aim is 1 CPU-ms per second of a call. A busy machine gets five times as much."""
    rules = many_rules()
    stories = [
        [(at, event_of(at, values)) for at, values in conversation(f"CA{n}")] for n in range(CALLS)
    ]
    begin_s = time.process_time()
    for story in stories:
        call = Call(rules)
        for at_ms, event in story:
            call.apply(event, at_ms)
    spent_ms = (time.process_time() - begin_s) * 1000
    print(f"{spent_ms / CALLS / SECONDS:.3f} CPU-ms per call-second, "  # noqa: T201 - the measure
          f"{spent_ms * 1000 / sum(map(len, stories)):.1f} us per event")  # fmt: skip
    assert spent_ms / (CALLS * SECONDS) < 5


async def latencies(url: str, seconds: float) -> tuple[list[float], float]:
    """Run a worker on live calls in real time.

    Returns:
        Per alert, the milliseconds from the event after which it was raised until it was written;
        and the CPU-ms of the rules per call-second.
    """
    rules: Any = type("Fixed", (), {"current": many_rules(), "check": lambda _: None})()
    stories = {f"CA{n}": conversation(f"CA{n}") for n in range(CALLS)}
    stop = asyncio.Event()
    async with contextlib.aclosing(create_client(url)) as client:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        consumer = Consumer(
            client,
            group(64, 3600, 10),
            "w1",
            lambda partition: AssistHandler(client, partition, rules, "w1", metrics),
            ConsumerMetrics(CollectorRegistry(), "assist"),
        )
        working = asyncio.create_task(consumer.run(stop))
        await asyncio.sleep(0.5)
        begin_s = time.monotonic()
        written: dict[tuple[str, str], int] = {}
        due = [(at, call, v) for call, story in stories.items() for at, v in story]
        due.sort(key=lambda each: each[0])
        for at_ms, call, values in due:
            wait_s = (at_ms - due[0][0]) / 1000 - (time.monotonic() - begin_s)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if time.monotonic() - begin_s > seconds:
                break
            written[call, values["n"]] = written_ms(await append(client, values))
        await asyncio.sleep(0.5)
        stop.set()
        await working
        rules_s = registry.get_sample_value("callscribe_assist_evaluation_seconds_total") or 0
        found = []
        for call in stories:
            key = partition_key(partition_of(call, 64), f"call:{call}:alerts")
            async for page in reading.pages(client, key):
                for entry in page:
                    event_ms = written[call, entry.fields["n"]]
                    if entry.fields["at"] == rfc3339_ms(event_ms / 1000):  # not a time limit
                        found.append(written_ms(entry.id) - event_ms)
    return sorted(found), rules_s * 1000 / (CALLS * seconds)


if __name__ == "__main__":
    import sys

    measured, cpu_ms = asyncio.run(latencies(sys.argv[1], float(sys.argv[2])))
    count = len(measured)
    print(f"{count} alerts: p50 {measured[count // 2]} ms, p99 {measured[int(count * 0.99)]} ms")  # noqa: T201
    print(f"{cpu_ms:.2f} CPU-ms of rules per call-second")  # noqa: T201
