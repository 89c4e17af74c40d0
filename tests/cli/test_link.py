"""`./run link`."""

import time

import pytest

from cli.link import duration_s
from tests.cli.test_commands import Run, run
from workers.relay.sign_in.links import verify
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Scope, Text

__all__ = ["run"]  # the fixture

SECRET = "s" * 40


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_RELAY_SECRET", SECRET)
    monkeypatch.setenv("WORKER_RELAY_PUBLIC_URL", "https://relay.example.com/")


def test_link_shows_redacted_text_for_eight_hours(run: Run) -> None:
    code, out, err = run("link", "--call", "CA1")
    assert code == 0
    url, _, token = out.strip().partition("#")
    assert url == "https://relay.example.com/open"
    viewer = verify(Keyring([SECRET]), token, time.time())
    assert (viewer.role, viewer.text) == (Role.AGENT, Text.REDACTED)
    assert viewer.scope == Scope(call_id="CA1", route=None, tenant=None)
    assert 0 < time.time() + 8 * 3600 - viewer.expires_s < 60
    assert viewer.subject in err
    assert token not in err


def test_options_are_in_the_link(run: Run) -> None:
    arguments = ["--all", "--raw", "--role", "auditor", "--for", "7d", "--name", "ann"]
    _, out, _ = run("link", *arguments)
    viewer = verify(Keyring([SECRET]), out.strip().partition("#")[2], time.time())
    assert (viewer.name, viewer.role, viewer.text) == ("ann", Role.AUDITOR, Text.RAW)
    assert viewer.scope == ALL_CALLS
    assert 0 < time.time() + 7 * 86_400 - viewer.expires_s < 60


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "exactly one of"),
        ("--all --tenant b", "exactly one of"),
        ("--all --for 31d", "the lifetime must be"),
        ("--all --for 8", "the duration must be a number with a unit"),
        ("--all --name <b>", "the name must be"),
        ("--call CA/1", "as in events"),
    ],
)
def test_wrong_options_are_reported_in_one_line(run: Run, arguments: str, line: str) -> None:
    code, out, err = run("link", *arguments.split())
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_secret_is_needed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_RELAY_SECRET", "")
    code, _, err = run("link", "--all")
    assert code == 2
    assert err.startswith("run: WORKER_RELAY_SECRET is not set")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("30m", 1800), ("8h", 28_800), ("7d", 604_800)]
)
def test_duration_has_a_unit(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "h", "-1h", "1.5h", "8H", "99999999h", "8h\n", "٣h"])
def test_wrong_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number with a unit"):
        duration_s(text)
