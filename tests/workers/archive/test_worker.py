"""The worker `archive` on real servers: when a call is archived, and what happens after that."""

import asyncio
import contextlib
import gzip
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import encode_id, partition_key, partition_of
from tests.workers.archive.a_worker import Worker, forget
from tests.workers.archive.calls import Fields, Story, alert, publish, whole, wrapup
from workers.archive.archiver import Result
from workers.archive.due import DueCalls
from workers.archive.manifest import Revision
from workers.archive.objects import Item, Objects, StoreError, open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.archive.verify import State
from workers.client import EventError, read_event
from workers.consumer import Received


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    made = create_client(str(request.getfixturevalue(request.param)))
    yield made
    await made.aclose()


@pytest.fixture
async def single(redis_url: str) -> AsyncIterator[RedisClient]:
    made = create_client(redis_url)
    yield made
    await made.aclose()


async def finish(worker: Worker, events: list[Fields], source: str = "events") -> None:
    """Publish and handle events, then archive what is due."""
    await publish(worker.client, *events, source=source)
    await worker.handle(*events)
    await worker.tick()


async def test_call_is_archived_when_it_is_over(client: RedisClient, tmp_path: Path) -> None:
    worker = Worker(client, tmp_path)
    events = whole()
    await finish(worker, events[:-1])
    assert (await worker.due(), await worker.revision()) == ([], 0)
    await finish(worker, events[-1:])
    assert (await worker.due(), await worker.revision()) == ([], 1)
    assert (await worker.verdict()).state is State.COMPLETE
    found = await worker.store.read_call("CA1")
    assert found
    assert [each.text for each in found.record.streams[0].segments] == [
        "hello there",
        "how can I help",
        "my bill",
    ]


async def test_call_waits_for_the_grace(single: RedisClient, tmp_path: Path) -> None:
    worker = Worker(single, tmp_path, grace_s=60)
    await finish(worker, whole())
    assert (await worker.due(), await worker.revision()) == (["CA1"], 0)
    await worker.tick(after_s=59)
    assert await worker.revision() == 0
    await worker.tick(after_s=60)
    assert await worker.revision() == 1


async def test_transfer_within_the_grace_is_the_same_revision(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path, grace_s=60)
    await finish(worker, whole())
    second = Story(stream="MZ2").start().say("inbound", "and then").end().events
    await finish(worker, second[:-1])
    await worker.tick(after_s=60)
    assert (await worker.due(), await worker.revision()) == ([], 0)  # it is live
    assert worker.count(Result.LIVE) == 1
    await finish(worker, second[-1:])
    await worker.tick(after_s=60)
    assert await worker.revision() == 1
    found = await worker.store.read_call("CA1")
    assert found
    assert len(found.record.streams) == 2


async def test_stream_after_the_grace_makes_a_second_revision(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    await finish(worker, Story(stream="MZ2").start().say("inbound", "and then").end().events)
    found = await worker.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, len(found.record.streams)) == (2, 2)
    assert (await worker.verdict()).state is State.COMPLETE


async def test_late_wrapup_and_alert_make_one_more_revision(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    await publish(single, wrapup(), source="redacted-wrapups")
    await publish(single, alert(), source="alerts")
    await worker.add(wrapup(), alert())
    await worker.tick()
    found = await worker.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, len(found.record.alerts)) == (2, 1)
    assert len(found.record.wrapups) == 1


async def test_late_wrapup_of_a_call_that_redis_no_longer_has(
    single: RedisClient, tmp_path: Path
) -> None:
    """The second revision has the events of the first one; nothing is lost."""
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    await forget(single, "CA1")
    await publish(single, wrapup(), source="redacted-wrapups")
    await worker.add(wrapup())
    await worker.tick()
    found = await worker.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, found.manifest.complete) == (2, True)
    assert (found.manifest.counts.finals, found.manifest.counts.wrapups) == (3, 1)
    assert (await worker.verdict()).state is State.COMPLETE


async def test_alert_in_a_live_call_does_not_read_it(single: RedisClient, tmp_path: Path) -> None:
    worker = Worker(single, tmp_path)
    events = whole(at=rfc3339_ms(time.time()))  # not written late
    await finish(worker, events[:-1])
    await publish(single, alert(), source="alerts")
    await worker.add(alert())
    assert await worker.due() == []
    await finish(worker, events[-1:])
    found = await worker.store.read_call("CA1")
    assert found
    assert len(found.record.alerts) == 1


async def test_replay_from_the_start_changes_nothing(client: RedisClient, tmp_path: Path) -> None:
    worker = Worker(client, tmp_path)
    events = whole()
    await finish(worker, events)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}  # noqa: ASYNC240
    for _ in range(2):
        other = Worker(client, tmp_path)
        await other.handle(*events)
        await other.tick()
        assert other.count(Result.UNCHANGED) == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}  # noqa: ASYNC240
    assert await worker.due() == []


async def test_expired_call_that_is_archived_is_not_touched(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    await forget(single, "CA1")
    await worker.handle(whole()[-1])
    await worker.tick()
    assert (await worker.revision(), worker.count(Result.UNCHANGED)) == (1, 1)


async def test_call_that_was_deleted_before_is_counted(
    single: RedisClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(single, tmp_path)
    await worker.handle(whole()[-1])
    await worker.tick()
    assert (await worker.revision(), worker.count(Result.GONE)) == (0, 1)
    assert caplog.messages == ["archive-gone call_id=CA1 text=raw"]
    assert await worker.due() == []


async def test_erased_call_is_not_archived(client: RedisClient, tmp_path: Path) -> None:
    worker = Worker(client, tmp_path)
    await client.hset("cs:{p53}:erased", "CA1", "{}")
    await finish(worker, whole())
    assert (await worker.revision(), worker.count(Result.ERASED)) == (0, 1)
    assert await worker.due() == []


async def test_call_that_is_erased_while_it_is_archived_leaves_no_file(
    single: RedisClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ArchiveStore.write

    async def write_and_erase(store: ArchiveStore, revision: Revision, number: int) -> bool:
        await single.hset("cs:{p53}:erased", "CA1", "{}")
        return await write(store, revision, number)

    monkeypatch.setattr(ArchiveStore, "write", write_and_erase)
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    assert worker.count(Result.ERASED) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240


async def test_hole_is_in_the_manifest_and_in_the_log(
    single: RedisClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(single, tmp_path)
    await finish(worker, [each for each in whole() if each["n"] != "3"])
    assert (await worker.verdict()).state is State.INCOMPLETE
    assert worker.count(Result.INCOMPLETE) == 1
    assert caplog.messages == ["archive-incomplete call_id=CA1 text=raw revision=1 problems=hole"]


async def test_damaged_revision_is_superseded_by_what_redis_has(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    for path in tmp_path.rglob("manifest.json"):  # noqa: ASYNC240
        path.write_bytes(b"{}")
    await worker.handle(whole()[-1])
    await worker.tick()
    found = await worker.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, found.manifest.complete) == (2, True)


async def test_redacted_folder_has_no_raw_word(single: RedisClient, tmp_path: Path) -> None:
    """The canary is in everything that a redacted scope must not read."""
    raw = whole(words=[("inbound", "canary")])
    redacted = whole(words=[("inbound", "[name]")])
    await publish(single, *raw)
    await publish(single, wrapup(made_from="raw", text="canary"), source="wrapups")
    await publish(single, wrapup(made_from="raw", text="canary"), source="redacted-wrapups")
    await publish(single, wrapup(text="[name]"), source="redacted-wrapups")
    await publish(single, alert(), source="alerts")
    both = [Worker(single, tmp_path, text=text) for text in Text]
    for worker in both:
        await worker.handle(raw[-1])
    await finish(both[1], redacted, "redacted")
    await both[0].tick()
    for worker, words in zip(both, ("canary", "[name]"), strict=True):
        found = await worker.store.read_call("CA1")
        assert found
        assert found.record.streams[0].segments[0].text == words
        assert len(found.record.alerts) == 1
        packed = await worker.store.read_file(found.manifest, "events.jsonl.gz")
        contents = gzip.decompress(packed) + b"".join(
            path.read_bytes() for path in (tmp_path / worker.text).rglob("*.*") if path.is_file()
        )
        assert (b"canary" in contents) is (worker.text is Text.RAW)


async def test_retried_dead_letter_of_redaction_is_archived(
    single: RedisClient, tmp_path: Path
) -> None:
    """It is appended after the end of the redacted copy, long after it happened."""
    worker = Worker(single, tmp_path, text=Text.REDACTED)
    story = Story().start().say("inbound", "one").end(segments=2)
    await finish(worker, story.events, "redacted")
    assert await worker.revision() == 1
    late = story.say("inbound", "two").events[-1]
    await publish(single, late, source="redacted")
    entry_id = f"{1795255616265 + 10**9}-0"
    await worker.main.handle(Received(read_event(entry_id, late), late))
    await worker.tick()
    assert await worker.revision() == 2


async def test_addition_after_a_retried_dead_letter_is_archived(
    single: RedisClient, tmp_path: Path
) -> None:
    """Symptom: it never was, because the newest entry of the call is not its end."""
    worker = Worker(single, tmp_path, text=Text.REDACTED)
    story = Story().start().say("inbound", "one").end(segments=2)
    await finish(worker, story.events, "redacted")
    late = {**story.say("inbound", "two").events[-1], "at": "2026-01-01T00:00:00.000Z"}
    await publish(single, late, source="redacted")
    await worker.add(alert())
    assert await worker.due() == ["CA1"]


async def test_worker_that_catches_up_makes_a_call_due_once(
    single: RedisClient, tmp_path: Path
) -> None:
    """Symptom: one write to Redis for each delta."""
    times = itertools.chain(range(100, 105), [131])  # 131: half of the grace later
    worker = Worker(single, tmp_path, grace_s=60)
    worker.main._monotonic_s = lambda: float(next(times))  # noqa: SLF001 - the clock
    added: list[str] = []

    async def add(_: DueCalls, __: int, call_id: str, ___: float) -> None:
        added.append(call_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DueCalls, "add", add)
        for _ in range(5):
            await worker.main.handle(late_received(whole()[1]))
        assert added == ["CA1"]
        await worker.main.handle(late_received(whole()[1]))
        assert added == ["CA1", "CA1"]


async def test_end_makes_a_call_due_in_any_case(single: RedisClient, tmp_path: Path) -> None:
    worker = Worker(single, tmp_path, grace_s=60)
    await worker.main.handle(late_received(whole()[1]))
    await forget_due(worker)
    await worker.main.handle(late_received(whole()[-1]))
    assert await worker.due() == ["CA1"]


def late_received(event: Fields) -> Received:
    return Received(read_event(f"{1795255616265 + 10**9}-0", event), event)


async def forget_due(worker: Worker) -> None:
    await worker.client.delete(partition_key(worker.partition, "due:archive-raw"))


async def test_store_that_does_not_respond_does_not_delay_the_stop(
    single: RedisClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.archive.worker._CLOSE_S", 0.01)
    worker, released = Worker(single, tmp_path), asyncio.Event()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await released.wait()

    task = worker.main._tasks["CA1"] = asyncio.create_task(stubborn())  # noqa: SLF001 - a store's
    await asyncio.sleep(0)
    await worker.main.close()
    assert not task.done()
    released.set()
    await task


@pytest.mark.parametrize("call", ["a/b", ".", "..", "é", "x" * 300])
async def test_hostile_call_ids_are_archived(
    single: RedisClient, tmp_path: Path, call: str
) -> None:
    call = encode_id(call)
    worker = Worker(single, tmp_path / "in", call=call)
    events = [{**each, "call_id": call} for each in whole()]
    await finish(worker, events)
    assert (await worker.verdict()).state is State.COMPLETE
    assert [each.name for each in tmp_path.iterdir()] == ["in"]  # noqa: ASYNC240


async def test_entry_whose_call_id_is_not_encoded_becomes_a_dead_letter(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path)
    with pytest.raises(EventError):
        await worker.handle({**whole()[-1], "call_id": "../x"})
    with pytest.raises(EventError):
        await worker.add({**alert(), "call_id": "a b"})


async def test_call_with_the_longer_id_is_archived(single: RedisClient, tmp_path: Path) -> None:
    """Of two calls with one id, one has a longer id in the partition of the other."""
    worker = Worker(single, tmp_path)
    longer = "default.talkdesk.CA1"
    events = [{**each, "call_id": longer} for each in whole()]
    for each in events:
        values = dict[Any, Any](each)
        await single.xadd(partition_key(partition_of("CA1", 64), f"call:{longer}"), values)
    await worker.handle(*events)
    await worker.tick()
    found = await worker.store.read_call(longer)
    assert found
    assert found.manifest.complete


async def test_revision_begun_with_other_events_is_superseded(
    single: RedisClient, tmp_path: Path
) -> None:
    """Symptom: a worker killed after the first file blocked a call to which an event was added."""
    store = Failing(tmp_path)
    worker = Worker(single, tmp_path, objects=store)
    store.reason, store.only = "unavailable", "call.json"  # as if it was killed after the events
    await finish(worker, whole())
    store.reason = ""
    await publish(single, alert(), source="alerts")
    await worker.tick(after_s=10)
    found = await worker.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, len(found.record.alerts)) == (2, 1)
    assert (await worker.verdict()).state is State.COMPLETE


class Failing(Objects):
    """A store that fails as long as `reason` is set."""

    def __init__(self, folder: Path) -> None:
        self.real = open_objects(Settings(_env_file=None, url=f"file://{folder}"))
        self.reason = ""
        self.only = ""
        self.created = 0

    async def create(self, path: str, content: bytes) -> bool:
        if self.reason and self.only in path:
            raise StoreError(self.reason)
        self.created += 1
        return await self.real.create(path, content)

    async def get(self, path: str) -> bytes | None:
        return await self.real.get(path)

    async def listing(self, folder: str) -> AsyncIterator[Item]:
        async for each in self.real.listing(folder):
            yield each


async def test_store_that_is_down_delays_the_call(
    single: RedisClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing(tmp_path)
    worker = Worker(single, tmp_path, objects=store)
    store.reason, store.only = "unavailable", "transcript.vtt"  # in the middle of a revision
    await finish(worker, whole())
    for after_s in (400, 800, 1000):
        await worker.tick(after_s)
    assert (await worker.due(), await worker.revision()) == (["CA1"], 0)
    assert worker.failures("unavailable") == 4
    assert 900 < worker.overdue_s() < 1100  # since it was due, not since the last attempt
    store.reason = ""
    await worker.tick(after_s=1000)
    assert (await worker.due(), await worker.revision()) == ([], 1)
    await worker.tick(after_s=1000)
    assert worker.overdue_s() == 0
    assert (await worker.verdict()).state is State.COMPLETE
    assert caplog.messages == ["archive-postponed call_id=CA1 reason=unavailable"]


async def test_call_that_is_erased_while_it_fails_is_not_overdue(
    single: RedisClient, tmp_path: Path
) -> None:
    store = Failing(tmp_path)
    worker = Worker(single, tmp_path, objects=store)
    store.reason = "unavailable"
    await finish(worker, whole())
    await single.delete(partition_key(worker.partition, "due:archive-raw"))
    await worker.tick(after_s=600)
    assert worker.overdue_s() > 0
    await worker.tick(after_s=1000)
    assert worker.overdue_s() == 0


async def test_other_calls_are_archived_while_one_fails(
    single: RedisClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing(tmp_path)
    worker = Worker(single, tmp_path, objects=store)
    store.reason, store.only = "refused", "/CA1/"
    other = "default.talkdesk.CA1"  # in the same partition
    for each in (other_events := [{**each, "call_id": other} for each in whole()]):
        values = dict[Any, Any](each)
        await single.xadd(partition_key(worker.partition, f"call:{other}"), values)
    await worker.handle(*other_events)
    await finish(worker, whole())
    assert await worker.due() == ["CA1"]
    assert await worker.store.read_call(other)


async def test_bug_in_one_call_is_logged_without_its_text(
    single: RedisClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr("workers.archive.manifest.to_vtt", fail)
    worker = Worker(single, tmp_path)
    await finish(worker, whole())
    assert (await worker.due(), worker.failures("failed")) == (["CA1"], 1)
    assert "archive-failed call_id=CA1 error=ValueError" in caplog.messages
    assert "canary" not in caplog.text


async def test_two_workers_archive_a_call_at_the_same_time(
    single: RedisClient, tmp_path: Path
) -> None:
    """Leases do not prevent it: a worker may be suspended while another one takes over."""
    both = [Worker(single, tmp_path) for _ in range(2)]
    await publish(single, *whole())
    await both[0].handle(*whole())
    await asyncio.gather(*(each.tick() for each in both))
    assert await both[0].revision() == 1
    assert (await both[0].verdict()).state is State.COMPLETE


class Paused(Failing):
    """A store whose first creation waits until it may continue."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reached, self.may_continue = asyncio.Event(), asyncio.Event()

    async def create(self, path: str, content: bytes) -> bool:
        if not self.reached.is_set():
            self.reached.set()
            await self.may_continue.wait()
        return await super().create(path, content)


async def test_worker_that_was_suspended_never_hides_what_another_wrote(
    single: RedisClient, tmp_path: Path
) -> None:
    """It has read the call before a stream was added, and continues after another worker's end."""
    suspended = Worker(single, tmp_path, objects=(store := Paused(tmp_path)))
    await publish(single, *whole())
    await suspended.handle(*whole())
    ticking = asyncio.create_task(suspended.tick())
    await store.reached.wait()
    other = Worker(single, tmp_path)
    await finish(other, Story(stream="MZ2").start().say("inbound", "and then").end().events)
    assert await other.revision() == 1
    store.may_continue.set()
    await ticking
    found = await other.store.read_call("CA1")
    assert found
    assert (found.manifest.revision, len(found.record.streams)) == (1, 2)
    assert await other.due() == []
    assert (await other.verdict()).state is State.COMPLETE


async def test_addition_while_a_call_is_archived_keeps_it_due(
    single: RedisClient, tmp_path: Path
) -> None:
    """Symptom to prevent: the call is taken out of the due ones, and the addition is lost."""
    worker = Worker(single, tmp_path, objects=(store := Paused(tmp_path)))
    await publish(single, *whole())
    await worker.handle(*whole())
    ticking = asyncio.create_task(worker.tick())
    await store.reached.wait()
    second = Story(stream="MZ2").start().end().events
    await publish(single, *second)
    await worker.handle(*second)
    store.may_continue.set()
    await ticking
    assert (await worker.due(), await worker.revision()) == (["CA1"], 1)
    await worker.tick()
    assert (await worker.due(), await worker.revision()) == ([], 2)


async def test_lease_that_ends_stops_the_work_and_loses_nothing(
    single: RedisClient, tmp_path: Path
) -> None:
    worker = Worker(single, tmp_path, objects=(store := Paused(tmp_path)))
    await publish(single, *whole())
    await worker.handle(*whole())
    with contextlib.suppress(asyncio.CancelledError):
        ticking = asyncio.create_task(worker.tick())
        await store.reached.wait()
        await worker.main.close()
        await ticking
    assert await worker.due() == ["CA1"]
    assert worker.metrics.waiting_calls.labels("raw")._value.get() == 0  # noqa: SLF001
    other = Worker(single, tmp_path)
    await other.tick()
    assert (await other.due(), await other.revision()) == ([], 1)


async def test_call_that_redis_refuses_to_read_is_tried_again(
    single: RedisClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key of another type, or a missing permission; other calls continue."""
    worker = Worker(single, tmp_path)
    key = partition_key(worker.partition, "call:CA1:alerts")
    await single.set(key, "1")
    await finish(worker, whole())
    assert (await worker.due(), worker.failures("redis-refused")) == (["CA1"], 1)
    assert caplog.messages == ["archive-postponed call_id=CA1 reason=redis-refused"]
    await single.delete(key)
    await worker.tick(after_s=1000)
    assert (await worker.due(), await worker.revision()) == ([], 1)
