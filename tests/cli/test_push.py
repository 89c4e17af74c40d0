"""`./run push` on a real server, with a worker and a receiver in a thread."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli.test_commands import Run, run
from tests.workers.push.pushing import (
    PARTITIONS,
    final,
    running,
    settled,
    started,
    write,
    write_file,
)
from tests.workers.push.receiver import Receiver, accept, hang, receiving, status
from workers.push.delivery import Result

__all__ = ["run"]  # the fixture


class Stage:
    """A worker and its receiver, which run in a thread."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.receiver = Receiver()
        self._folder = folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()

    @property
    def path(self) -> str:
        return str(self._folder / "subscriptions.toml")

    async def _live(self, **own: Any) -> None:
        self._loop = asyncio.get_running_loop()
        async with receiving(self.receiver.respond) as self.receiver:
            path = write_file(self._folder, {"crm": {"url": self.receiver.url}})
            async with running(self.url, path, timeout_s=0.5, **own) as self.client:
                self._ready.set()
                await self._stop.wait()

    @contextlib.contextmanager
    def run(self, **own: Any) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._live(**own)))
        thread.start()
        try:
            assert self._ready.wait(20)
            yield
        finally:
            assert self._loop
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def do(self, work: Any) -> Any:
        assert self._loop
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@pytest.fixture
def stage(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("cli.push.command.PARTITIONS", PARTITIONS)
    monkeypatch.setattr("cli.push.command._POLL_S", 0.02)
    monkeypatch.setattr("workers.push.dispatcher._SCAN_S", 0.05)
    monkeypatch.setattr("workers.push.dispatcher._STATES_S", 0.05)
    monkeypatch.setattr("workers.push.dispatcher._STOP_S", 0.1)
    return Stage(redis_url, tmp_path)


def arguments(stage: Stage, command: str, *more: str) -> list[str]:
    options = ["--redis-url", stage.url, "--subscriptions", stage.path]
    return ["push", command, *more, *options]


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_test_reports_what_the_endpoint_responds(run: Run, stage: Stage) -> None:
    with stage.run():
        code, out, _ = run(*arguments(stage, "test", "crm"))
        assert (code, "crm accepted msg_" in out, "204" in out) == (0, True, True)
        assert stage.receiver.types == ["push.test"]
        stage.receiver.respond = status(418)
        code, _, err = run(*arguments(stage, "test", "crm"))
        assert (code, "did not accept msg_" in err, "status 418" in err) == (2, True, True)
        stage.receiver.respond = status(410)
        code, _, err = run(*arguments(stage, "test", "crm"))
        assert (code, "status 410" in err) == (2, True)
        code, _, err = run(*arguments(stage, "test", "crm"))
        assert (code, "crm is disabled (gone) since 20" in err) == (2, True)
        with redis.Redis.from_url(stage.url) as client:
            assert client.keys("cs:*:push:queue:*") == []


def test_adapter_without_test_messages_is_reported(
    run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reported as accepted, although nothing was sent."""

    async def skip(*_: object) -> Result:
        return Result(reason="no-words", is_skipped=True)

    monkeypatch.setattr("workers.push.webhook.WebhookAdapter.deliver", skip)
    with stage.run():
        code, _, err = run(*arguments(stage, "test", "crm"))
    assert (code, "crm is not tested: its adapter sends no test messages" in err) == (2, True)


def test_test_without_a_worker_says_so(run: Run, stage: Stage, tmp_path: Path) -> None:
    write_file(tmp_path, {"crm": {"url": "https://crm.example.com/secret-path"}})
    code, _, err = run(*arguments(stage, "test", "crm", "--wait-s", "1"))
    assert (code, "no worker push has tried it within 1 s" in err) == (2, True)
    code, out, _ = run(*arguments(stage, "list"))
    assert code == 0
    assert "https://crm.example.com " in out
    assert "secret-path" not in out


def test_history_list_and_enable(run: Run, stage: Stage) -> None:
    stage.receiver.respond = status(410)
    with stage.run():
        stage.do(write(stage.client, final("CA1", 2, text="canary")))
        stage.do(settled(stage.client, "crm", 1))
        (row,) = rows(run(*arguments(stage, "list", "--json"))[1])
        assert (row["subscription"], row["text"], row["calls waiting"]) == ("crm", "raw", 1)
        assert row["state"].startswith("disabled (gone) since 20")
        stage.receiver.respond = accept
        code, out, _ = run(*arguments(stage, "enable", "crm"))
        assert (code, out) == (0, "enabled crm; calls with messages that wait: 1\n")
        stage.do(settled(stage.client, "crm", 2))
        code, out, _ = run(*arguments(stage, "history", "crm", "--json"))
        found = rows(out)
        assert [(each["outcome"], each["status"]) for each in found] == [
            ("gone", "410"),
            ("delivered", "204"),
        ]
        assert {each["call"] for each in found} == {"CA1"}
        assert (
            rows(run(*arguments(stage, "history", "crm", "--json", "--limit", "1"))[1]) == found[1:]
        )
        other = run(*arguments(stage, "history", "crm", "--json", "--call", "CA2"))
        assert other[:2] == (0, "")
        table = run(*arguments(stage, "history", "crm"))[1]
        assert "canary" not in out + table
        assert found[0]["message"] in table
        (row,) = rows(run(*arguments(stage, "list", "--json"))[1])
        assert (row["state"], row["calls waiting"]) == ("enabled", 0)
        assert row["last delivery"].startswith("20")


def test_attempt_of_a_crashed_worker_is_unfinished(run: Run, stage: Stage, tmp_path: Path) -> None:
    path = write_file(tmp_path, {"crm": {"url": "https://crm.example.com"}})
    assert str(path) == stage.path
    with redis.Redis.from_url(stage.url) as client:
        client.xadd("cs:{p01}:push:history:crm", {"message": "msg_1", "type": "call.ended",
                    "call_id": "CA1", "source": "events", "entry": "5-0", "attempt": 1,
                    "worker": "w\x1b1"})  # fmt: skip
    (row,) = rows(run(*arguments(stage, "history", "crm", "--json"))[1])
    assert (row["outcome"], row["status"], row["ms"]) == ("unfinished", "", None)
    assert "\x1b" not in run(*arguments(stage, "history", "crm"))[1]


def test_replay_from_a_time_an_entry_and_a_message(run: Run, stage: Stage) -> None:
    with stage.run():
        stage.do(write(stage.client, started("CA1")))
        for call, n in (("CA1", 2), ("CA2", 2), ("CA1", 3)):
            stage.do(write(stage.client, final(call, n)))
        stage.do(settled(stage.client, "crm", 3))
        ids = {each.id for each in stage.receiver.requests}
        first = stage.receiver.of("CA1")[0]

        def replayed(*more: str) -> list[tuple[str, int]]:
            stage.receiver.requests.clear()
            code, out, err = run(*arguments(stage, "replay", "crm", *more))
            assert code == 0, err
            count = int(out.removeprefix("to be sent again to crm: "))
            while len(stage.receiver.requests) < count:
                stage.do(asyncio.sleep(0.01))
            assert {each.id for each in stage.receiver.requests} <= ids
            assert all(each.attempt == 1 for each in stage.receiver.requests)
            return sorted(
                (each.call, each.message["data"]["n"]) for each in stage.receiver.requests
            )

        everything = [("CA1", 2), ("CA1", 3), ("CA2", 2)]
        assert replayed("--since", "2026-01-01T00:00:00Z") == everything
        assert replayed("--since", "2026-01-01T00:00:00Z", "--call", "CA2") == [("CA2", 2)]
        assert replayed("--since", "2199-01-01T00:00:00Z") == []
        assert replayed("--from", first.id) == everything[:2]
        assert replayed("--from", first.message["data"]["id"]) == everything
        last = stage.receiver.of("CA1")[-1].message["data"]["id"]
        assert ("CA1", 3) in replayed("--from", last)
        later = f"{int(last.partition('-')[0]) + 1}-0"
        assert replayed("--from", later) == []


def test_dead_letters_are_listed_and_sent_again(run: Run, stage: Stage) -> None:
    stage.receiver.respond = status(500)
    with stage.run(budget_s=0.01):
        for n in (2, 3):
            stage.do(write(stage.client, final("CA1", n, text="canary")))
        stage.do(settled(stage.client, "crm", 2))
        found = rows(run(*arguments(stage, "history", "crm", "--dead", "--json"))[1])
        assert [(each["why"], each["status"], each["attempts"]) for each in found] == [
            ("budget", "500", 1)
        ] * 2
        assert "canary" not in str(found)
        stage.receiver.respond = accept
        code, out, _ = run(*arguments(stage, "replay", "crm", "--dead"))
        assert (code, out) == (0, "to be sent again to crm: 2\n")
        stage.do(settled(stage.client, "crm", 4))
        assert [each.message["data"]["n"] for each in stage.receiver.requests] == [2, 3, 2, 3]
        assert run(*arguments(stage, "history", "crm", "--dead", "--json"))[:2] == (0, "")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("history none", "no subscription none in the file; it has crm"),
        ("replay crm", "use one of --since, --from and --dead"),
        ("replay crm --dead --call CA1", "use --call only with --since and --from"),
        ("replay crm --since yesterday", "the time must be like"),
        ("replay crm --since 2026-01-01T00:00:00", "the time must be like"),
        ("replay crm --from msg_0", "no message msg_0 in the history of crm"),
    ],
)
def test_mistake_is_reported_in_one_line(
    run: Run, stage: Stage, tmp_path: Path, command: str, line: str
) -> None:
    write_file(tmp_path, {"crm": {"url": "https://crm.example.com"}})
    name, *more = command.split()
    code, out, err = run(*arguments(stage, name, *more))
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_file_must_be_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKER_PUSH_SUBSCRIPTIONS", raising=False)
    code, _, err = run("push", "list")
    assert (code, "name the file: --subscriptions FILE" in err) == (2, True)


def test_hang_is_reported_as_a_timeout(run: Run, stage: Stage) -> None:
    stage.receiver.respond = hang
    with stage.run():
        code, _, err = run(*arguments(stage, "test", "crm"))
    assert (code, "timeout" in err) == (2, True)
