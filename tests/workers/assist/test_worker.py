"""The worker `assist` on real servers: each alert once, whatever is replayed or reloaded."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.assist.scripts import beside, event_of, play, ruleset, script, shown
from tests.workers.assist.test_table import CANCEL, GAPS, HEAR, OFFER, OVER, RECORDED, SILENCE
from workers.assist.facts import Missing
from workers.assist.metrics import Metrics
from workers.assist.program import Ruleset
from workers.assist.reload import RulesInForce
from workers.assist.trouble import TroubleWatch
from workers.assist.worker import AssistHandler, group
from workers.client import read_event
from workers.client.events import AssistAlert
from workers.consumer import Append, Consumer, ConsumerMetrics, Received

_PATIENCE_S: Final = 30.0
RULES: Final = (CANCEL, HEAR, RECORDED, SILENCE, OFFER)
LINES: Final = """
    A 0.5 hello | C 1.0 do you hear me | C 3.0 do you hear me now
    C 5.0 please cancel my account now => please cancel my account
    C 8.0 cancel my account today => cancel my amount today
    end 24.0
"""

type Event = tuple[int, dict[str, str]]


class Fixed:
    """Rules in force that a test sets."""

    def __init__(self, current: Ruleset) -> None:
        self.current = current

    def check(self) -> None:
        pass


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    made = create_client(str(request.getfixturevalue(request.param)))
    yield made
    await made.aclose()


@pytest.fixture
async def single(redis_url: str) -> AsyncIterator[RedisClient]:
    async with contextlib.aclosing(create_client(redis_url)) as made:
        yield made


def keys(call: str) -> tuple[str, str]:
    partition = partition_of(call, 64)
    return partition_key(partition, "events"), partition_key(partition, f"call:{call}")


async def write(client: RedisClient, events: Sequence[Event], *, now: bool = False) -> None:
    """Write events as a gateway does, under the times of the script or the server's."""
    last_ms = sequence = 0
    for written_ms, values in events:
        sequence = sequence + 1 if written_ms == last_ms else 0
        last_ms = written_ms
        fields: Any = values
        for key in keys(values["call_id"]):
            await client.xadd(key, fields, id="*" if now else f"{written_ms}-{sequence}")


def handler(
    client: RedisClient, rules: Any, call: str = "CA1", registry: CollectorRegistry | None = None
) -> AssistHandler:
    metrics = Metrics(registry or CollectorRegistry())
    return AssistHandler(client, partition_of(call, 64), rules, "assist-1", metrics)


def measured(client: RedisClient, rules: Any) -> tuple[AssistHandler, CollectorRegistry]:
    registry = CollectorRegistry()
    return handler(client, rules, registry=registry), registry


async def apply(client: RedisClient, each: AssistHandler, events: Sequence[Event]) -> None:
    """Pass events to a handler, and commit the results as the consumer does."""
    for written_ms, values in events:
        event = event_of(written_ms, values)
        await commit(client, await each.handle(Received(event, values)))


async def commit(client: RedisClient, appends: Sequence[Append]) -> None:
    for append in appends:
        fields: Any = append.fields
        await client.xadd(f"{keys(append.call_id)[1]}:alerts", fields)


async def alerts(client: RedisClient, call: str = "CA1") -> list[dict[str, str]]:
    entries: Any = await client.xrange(f"{keys(call)[1]}:alerts")
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]


def brief(found: Sequence[dict[str, str]]) -> list[tuple[str, str, str, str]]:
    return [(each["alert"], each["state"], each["at"], each["n"]) for each in found]


async def test_alerts_are_events_of_the_contract(single: RedisClient) -> None:
    rules = Fixed(ruleset(*RULES))
    events = script(LINES)
    await write(single, events)
    await apply(single, handler(single, rules), events)
    found = [read_event("1-0", each) for each in await alerts(single)]
    assert all(isinstance(each, AssistAlert) and each.route == "support" for each in found)
    expected = play(rules.current, events)
    assert [each.alert for each in found if isinstance(each, AssistAlert)] == [
        each.id for each in expected
    ]
    assert shown(expected) == (
        "hear@4500 cancel@6500 cancel@9300 -cancel@10300 rec@14000 offer@14800 air@17800"
    )


async def test_alert_about_another_stream_than_its_events_names_it(single: RedisClient) -> None:
    """Symptom: the page marked words of the stream whose event had raised the alert."""
    one, other = script("C 1.0 a b c d e f g h i"), script("A 1.1 a b c d e f g h i")
    events = beside(one, other)
    await write(single, events)
    await apply(single, handler(single, Fixed(ruleset(OVER, RECORDED))), events)
    over, recorded = await alerts(single)
    assert (over["stream_id"], over["cited_stream_id"], over["track"]) == ("MZ1", "MZ2", "outbound")
    assert "cited_stream_id" not in recorded, "it is about the whole call"


async def test_takeover_at_any_event_writes_each_alert_once(client: RedisClient) -> None:
    rules = Fixed(ruleset(*RULES))
    events = script(LINES)
    await write(client, events)
    await apply(client, handler(client, rules), events)
    expected = brief(await alerts(client))
    for position in range(0, len(events), 3):
        await client.delete(f"{keys('CA1')[1]}:alerts")
        await apply(client, handler(client, rules), events[:position])
        await apply(client, handler(client, rules), events[position:])
        assert brief(await alerts(client)) == expected


async def test_replay_from_the_start_writes_nothing(single: RedisClient) -> None:
    rules = Fixed(ruleset(*RULES))
    events = script(LINES)
    await write(single, events)
    await apply(single, handler(single, rules), events)
    before = await alerts(single)
    await apply(single, handler(single, rules), events)
    await apply(single, handler(single, rules), events[10:])
    assert await alerts(single) == before


@pytest.mark.parametrize("crashes", [False, True])
async def test_silent_call_raises_alerts_by_ticks(single: RedisClient, crashes: bool) -> None:
    """A takeover changes nothing, although the call has no event that would bring it to memory."""
    rules = Fixed(ruleset(*RULES))
    events = script(LINES)
    await write(single, events[:-1])
    await apply(single, handler(single, rules), events)
    expected = brief(await alerts(single))
    await single.delete(f"{keys('CA1')[1]}:alerts")
    await single.zadd(partition_key(partition_of("CA1", 64), "live"), {"CA1 MZ1": 1e13})
    working = handler(single, rules)
    await apply(single, working, events[:-1])
    last_ms = events[-2][0]
    for passed_ms in range(0, 12_000, 1000):
        if crashes and passed_ms % 3000 == 0:
            working = handler(single, rules)
        await commit(single, await working.tick(last_ms + passed_ms))
    assert brief(await alerts(single)) == expected
    await apply(single, working, events[-1:])
    assert brief(await alerts(single)) == expected


async def test_failed_tick_loses_no_alert(
    single: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = Fixed(ruleset(SILENCE))
    events = script(LINES)
    await write(single, events)
    working = handler(single, rules)
    await apply(single, working, events[:-1])
    with monkeypatch.context() as patch:
        patch.setattr("workers.assist.worker.execute", None)
        with pytest.raises(TypeError):
            await working.tick(events[-1][0])
    appends = await working.tick(events[-1][0])
    assert [each.fields["rule"] for each in appends] == ["air"]


async def test_new_rules_apply_to_calls_in_progress(single: RedisClient) -> None:
    """Alerts of the rules before stay; the new rules see the call from its beginning."""
    rules = Fixed(ruleset(HEAR))
    events = script(LINES)
    await write(single, events)
    working = handler(single, rules)
    half = next(n for n, (_, each) in enumerate(events) if "today" in each.get("text", ""))
    await apply(single, working, events[:half])
    assert [each["rule"] for each in await alerts(single)] == ["hear"]
    rules.current = ruleset(CANCEL, HEAR)
    await apply(single, working, events[half:])
    assert [(each["alert"], each["state"]) for each in await alerts(single)] == [
        ("hear:0:MZ1:inbound:2:1", "raised"),
        ("cancel:MZ1:inbound:3:1", "raised"),
        ("cancel:MZ1:inbound:4:1", "raised"),
        ("cancel:MZ1:inbound:4:1", "withdrawn"),
    ]


async def test_rules_that_change_within_a_commit_repeat_no_alert(single: RedisClient) -> None:
    """The alerts of earlier events of the commit are not on the stream yet."""
    rules = Fixed(ruleset(HEAR))
    events = script(LINES)
    await write(single, events)
    working = handler(single, rules)
    appends: list[Append] = []
    for written_ms, values in events:
        event = event_of(written_ms, values)
        appends += await working.handle(Received(event, values))
        if appends:
            rules.current = ruleset(HEAR)
    assert [each.fields["alert"] for each in appends] == ["hear:0:MZ1:inbound:2:1"]


_LATE: Final = f"A 1.0 {'w ' * 70} => call is recorded {'w ' * 67}"
# The rules before and after a change in the middle of a call, the call, and the states of its one
# alert: each with the position of the rules that wrote it.
CHANGED: Final = {
    "raised and withdrawn before, raised now": (
        RECORDED,
        RECORDED.replace("call is recorded", "never said"),
        f"{_LATE} | C 17.0 a b c d",
        [("raised", 0), ("withdrawn", 0), ("raised", 1)],
    ),
    "raised by other words of the same segment": (
        "id: never, kind: never, phrases: [one two]",
        "id: never, kind: never, phrases: [three four]",
        "C 1.0 one two three four five | C 5.0 a b c d",
        [("raised", 0), ("raised", 1)],
    ),
    "raised before, not now": (
        CANCEL,
        CANCEL.replace("cancel my account", "never said"),
        "C 1.0 cancel my account now | C 5.0 a b c d",
        [("raised", 0), ("withdrawn", 1)],
    ),
}


def states(found: Sequence[dict[str, str]], *rules: Ruleset) -> list[tuple[str, int]]:
    """Return the states of one alert, and the position of the rules that wrote each."""
    assert len({each["alert"] for each in found}) == 1
    versions = [each.labels[0] for each in rules]
    return [(each["state"], versions.index(each["rule_version"])) for each in found]


@pytest.mark.parametrize("name", CHANGED)
async def test_changed_rule_replaces_its_alerts(single: RedisClient, name: str) -> None:
    """Symptom: its alerts were dropped, because as many had been written by the rule before."""
    *texts, lines, expected = CHANGED[name]
    before, after = (ruleset(str(each)) for each in texts)
    events = script(str(lines))
    await write(single, events)
    half = next(n for n, (_, each) in enumerate(events) if each.get("text") == " b")
    rules = Fixed(before)
    working = handler(single, rules)
    await apply(single, working, events[:half])
    rules.current = after
    await apply(single, working, events[half:])
    found = await alerts(single)
    assert states(found, before, after) == expected
    for position in (0, half // 2, half, half + 1, len(events) - 1):  # a takeover or replay
        await apply(single, handler(single, rules), events[position:])
        assert await alerts(single) == found
    rules.current = before  # restored
    await apply(single, handler(single, rules), events[half:])
    last = states(await alerts(single), before, after)[-1]
    assert last == [state for state in expected if state[1] == 0][-1]


async def test_rules_that_change_after_the_newest_event_see_it(single: RedisClient) -> None:
    """Symptom: a tick's time is a little before the event, and dead air was raised in a pause."""
    rules = Fixed(ruleset(HEAR))
    events = script("C 1.0 hello | pause 2.9 | end 20.0")[:-1]
    assert events[-1][1]["type"] == "stream.paused"
    await write(single, events)
    working = handler(single, rules)
    await apply(single, working, events)
    rules.current = ruleset(SILENCE)
    assert await working.tick(events[-1][0] - 5) == []
    assert await working.tick(events[-1][0] + 60_000) == []


class _Broken(TroubleWatch):
    """A rule that can't process a gap, and fails when it is due after it."""

    def missing(self, gap: Missing) -> None:
        super().missing(gap)
        if gap.cause == "reconnect":
            raise ValueError("content")
        self.due_ms = gap.to_ms

    def advance(self, now_ms: int) -> None:
        raise ZeroDivisionError("content")


def _count(registry: CollectorRegistry, error: str) -> float | None:
    return registry.get_sample_value("callscribe_assist_errors_total", {"error": error})


async def test_event_that_a_rule_cannot_process_does_not_stop_its_call(
    single: RedisClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Symptom: each later event of the call became a dead letter, and no tick succeeded."""
    monkeypatch.setattr("workers.assist.kinds.TroubleWatch", _Broken)
    rules = Fixed(ruleset(CANCEL, GAPS))
    events = script("C 1 hello | gap C 2 4 reconnect | C 6 cancel my account now")
    await write(single, events)
    working, registry = measured(single, rules)
    gap = next(n for n, (_, each) in enumerate(events) if each["type"] == "transcript.gap")
    await apply(single, working, events[:gap])
    with pytest.raises(ValueError, match="content"):
        await apply(single, working, events[gap:])
    await apply(single, working, events[gap + 1 :])
    assert [each["rule"] for each in await alerts(single)] == ["gaps", "cancel"]
    assert _count(registry, "ValueError") == 1
    assert "content" not in caplog.text


async def test_call_whose_tick_fails_costs_no_alert_of_another(
    single: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: alerts of the calls before were discarded, and counted as written."""
    monkeypatch.setattr("workers.assist.kinds.TroubleWatch", _Broken)
    rules = Fixed(ruleset(SILENCE, GAPS))
    broken = "CB45"
    assert partition_of(broken, 64) == partition_of("CA1", 64)
    working, registry = measured(single, rules)
    healthy = script("C 1 hello")[:-1]
    failing = script("C 1 hello | gap C 2 4 model_mute", call=broken)[:-1]
    events = sorted([*healthy, *failing], key=lambda each: each[0])
    await write(single, events)
    await apply(single, working, events)
    last_ms = events[-1][0]
    appends = await working.tick(last_ms + 60_000)
    assert [(each.call_id, each.fields["rule"]) for each in appends] == [("CA1", "air")]
    assert _count(registry, "ZeroDivisionError") == 1
    assert await working.tick(last_ms + 61_000) == []


def write_rules(path: Path, *rules: str) -> None:
    listed = "\n".join(f"  - {{title: a title, {rule}}}" for rule in rules)
    path.write_text(f"version: 1\nrules:\n{listed}\n", encoding="utf-8")


def test_bad_file_keeps_the_rules_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.yaml"
    write_rules(path, HEAR)
    registry = CollectorRegistry()
    rules = RulesInForce(path, Metrics(registry))
    first = rules.current
    path.write_text("version: 1\nrules: [", encoding="utf-8")
    with caplog.at_level(logging.INFO, "workers.assist"):
        for _ in range(3):
            rules.reload()
        assert rules.current is first
        path.unlink()
        for _ in range(3):
            rules.reload()
        assert rules.current is first
        write_rules(path, HEAR, CANCEL)
        rules.reload()
    assert len(rules.current.rules) == 2
    assert [each.message.partition(" ")[0] for each in caplog.records] == [
        "assist-rules-refused",
        "assist-rules-refused",
        "assist-rules-loaded",
    ]
    assert "3:1: is not YAML" in caplog.records[0].message
    name = "callscribe_assist_rule_reloads_total"
    assert registry.get_sample_value(name, {"result": "refused"}) == 2
    assert registry.get_sample_value(name, {"result": "loaded"}) == 1


@pytest.mark.parametrize("text", [None, "rules: 3", "x" * 1_000_001])
def test_bad_file_prevents_startup(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rules.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="WORKER_ASSIST_RULES"):
        RulesInForce(path, Metrics(CollectorRegistry()))


async def test_workers_that_share_calls_raise_each_alert_once(single: RedisClient) -> None:
    """Two consumers; one stops in mid-call, and a third one begins."""
    rules: Any = Fixed(ruleset(CANCEL, HEAR))
    stories = {call: script(LINES, call=call) for call in (f"CB{number}" for number in range(8))}
    expected = {call: [each.id for each in play(rules.current, stories[call])] for call in stories}

    def consumer(name: str) -> Consumer:
        metrics = Metrics(CollectorRegistry())
        return Consumer(
            single,
            group(64, 3600, 0.6),
            name,
            lambda partition: AssistHandler(single, partition, rules, name, metrics),
            ConsumerMetrics(CollectorRegistry(), "assist"),
        )

    async def found() -> dict[str, list[str]]:
        return {call: [each["alert"] for each in await alerts(single, call)] for call in stories}

    stops = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as running:
        for number in (0, 1):
            running.create_task(consumer(f"w{number}").run(stops[number]))
        for events in stories.values():
            await write(single, events[: len(events) // 2], now=True)
        stops[0].set()
        running.create_task(consumer("w2").run(stops[2]))
        for events in stories.values():
            await write(single, events[len(events) // 2 :], now=True)
        async with asyncio.timeout(_PATIENCE_S):
            while await found() != expected:  # noqa: ASYNC110  # Redis sends no event
                await asyncio.sleep(0.02)
        for stop in stops:
            stop.set()
    assert await found() == expected
