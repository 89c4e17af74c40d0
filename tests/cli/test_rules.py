"""`./run rules`: what it prints, for files and for calls in Redis."""

import json
import sys
import time
from pathlib import Path

import msgspec
import pytest
import redis

from cli.__main__ import main
from tests.workers.assist.scripts import BEGAN_MS, event_of, script

RULES = """\
version: 1
rules:
  - {id: hear, kind: repetition, title: Asks again, phrases: [do you hear me]}
  - {id: cancel, kind: said, title: Wants to cancel, role: customer, phrases: [cancel my account]}
"""
CALL = "C 1 Do you hear me? | C 4 Do you hear me? | A 6 cancel my account ok | end 9"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "call.jsonl"
    lines = [msgspec.json.encode(event_of(*each)) for each in script(CALL)]
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["run", "rules", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_check(run, rules: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert run("check", rules) == (0, f"{rules}: 2 rules are valid (1 repetition, 1 said)\n", "")
    rules.write_text("version: 1\nrules:\n  - {id: A, kind: sad}\n", encoding="utf-8")
    code, out, err = run("check", rules)
    assert (code, out) == (2, "")
    assert f"{rules}:3:19: rules[0].kind must be one of said, " in err
    assert err.endswith(f"run: {rules}: 1 mistake\n")
    code, _, err = run("check", rules.with_name("other"))
    assert (code, err) == (2, f"run: {rules.with_name('other')}: No such file or directory\n")


def test_test_shows_alerts_and_words(run, rules: Path, recorded: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    code, out, _ = run("test", rules, recorded)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines[:4] == [
        "CA1 completed 00:09.0 route support",
        "00:05.3 ! warning hear Asks again",
        "customer 00:04.0-00:04.7 “Do you hear me?”",
        "1 alert; silent: cancel",
    ]


def test_test_as_json_of_a_call_in_redis(run, rules: Path, redis_url: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with redis.Redis.from_url(redis_url) as client:
        for written_ms, values in script(CALL):
            client.xadd("cs:{p53}:call:CA1", values, id=f"{written_ms}-{values['n']}")
    code, out, _ = run("test", rules, "CA1", "--json", "--redis-url", redis_url)
    (call,) = json.loads(out)["calls"]
    (alert,) = call["alerts"]
    assert (code, call["call_id"], alert["rule"], alert["after_ms"]) == (0, "CA1", "hear", 5300)
    code, _, err = run("test", rules, "CA2", "--redis-url", redis_url)
    assert (code, err) == (2, "run: Redis has no call CA2, and there is no such file\n")


def test_test_as_json_has_zeros(run, rules: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    path = tmp_path / "zero.jsonl"
    lines = [msgspec.json.encode(event_of(*each)) for each in script("C 0 cancel my account now")]
    path.write_bytes(b"\n".join(lines))
    _, out, _ = run("test", rules, path, "--json")
    (alert,) = json.loads(out)["calls"][0]["alerts"]
    assert (alert["start_ms"], alert["end_ms"], alert["rev"]) == (0, 600, 0)


def test_live_call_in_redis_is_followed_to_now(run, rules: Path, redis_url: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Symptom: what was due since the newest event was missing."""
    rules.write_text(
        "version: 1\nrules: [{id: air, kind: dead_air, title: x, longer_ms: 5000}]", "utf-8"
    )
    with redis.Redis.from_url(redis_url) as client:
        began_ms = round(time.time() * 1000) - 60_000
        for written_ms, values in script("C 1 hello")[:-1]:
            entry_id = f"{began_ms + written_ms - BEGAN_MS}-0"
            client.xadd("cs:{p53}:call:CA1", values, id=entry_id)
    _, out, _ = run("test", rules, "CA1", "--json", "--redis-url", redis_url)
    (alert,) = json.loads(out)["calls"][0]["alerts"]
    assert (alert["rule"], alert["after_ms"]) == ("air", 10_200)


def test_explain(run, rules: Path, recorded: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert run("explain", rules, recorded, "cancel") == (
        0,
        "cancel in CA1\n  It was said at 00:06.0 by agent; the rule is for customer.\n",
        "",
    )
    code, _, err = run("explain", rules, recorded, "other")
    assert (code, err) == (2, "run: the file has no rule other; it has hear, cancel\n")


def test_file_that_is_no_recording(run, rules: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    code, _, err = run("test", rules, rules)
    assert (code, err) == (
        2,
        f"run: {rules}:1: is not an event as ./run tail --json prints them\n",
    )
