"""Lines of the audit log."""

import logging
from collections.abc import Mapping

import pytest

from workers.relay.sign_in.audit import Action, Audit
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Text, Viewer


def viewer(name: str = "ann") -> Viewer:
    return Viewer(name, "user:7", Role.AGENT, Text.REDACTED, ALL_CALLS, 9, "s1")


def _ignore(_: object) -> None:
    """Write no trail."""


def test_line_names_viewer_and_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.audit")
    audit = Audit(lambda: 0.0, _ignore, lambda: 0.0)
    audit.note(Action.CALL_OPENED, viewer(), "10.0.0.7", call_id="CA1", tenant="b")
    assert caplog.messages == [
        "call-opened who=ann subject=user:7 role=agent text=redacted ip=10.0.0.7 call_id=CA1 "
        "tenant=b"
    ]


@pytest.mark.parametrize("name", ["Ann B", 'x" role=admin', "a\nsigned-in who=root", "ann=1", "é"])
def test_name_cannot_forge_fields_or_lines(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.audit")
    Audit(lambda: 0.0, _ignore, lambda: 0.0).note(Action.SIGNED_IN, viewer(name), None)
    (line,) = caplog.messages
    assert "\n" not in line
    assert line.startswith('signed-in who="')
    assert line.endswith('" subject=user:7 role=agent text=redacted')


def test_repeated_refusals_are_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.audit")
    clock = [0.0]
    audit = Audit(lambda: clock[0], _ignore, lambda: 0.0)
    for clock[0] in (0.0, 1.0, 2.0, 60.0):
        audit.refuse("expired", "10.0.0.7")
    audit.refuse("expired", "10.0.0.8")
    audit.refuse("out-of-scope", "10.0.0.7", viewer(), "CA1")
    assert caplog.messages == [
        "refused reason=expired ip=10.0.0.7",
        "refused reason=expired ip=10.0.0.7 suppressed=2",
        "refused reason=expired ip=10.0.0.8",
        "refused reason=out-of-scope who=ann subject=user:7 role=agent text=redacted ip=10.0.0.7 "
        "call_id=CA1",
    ]


def test_trail_has_the_fields_of_the_line() -> None:
    entries: list[Mapping[str, str | None]] = []
    audit = Audit(lambda: 0.0, entries.append, lambda: 1_795_255_616.0)
    audit.note(Action.CALL_OPENED, viewer(), "10.0.0.7", call_id="CA1", tenant="b")
    audit.refuse("expired", "10.0.0.7")
    assert [each["action"] for each in entries] == ["call-opened", "refused"]
    assert {name: value for name, value in entries[0].items() if value} == {
        "at": "2026-11-21T10:06:56.000Z",
        "action": "call-opened",
        "who": "ann",
        "subject": "user:7",
        "role": "agent",
        "text": "redacted",
        "ip": "10.0.0.7",
        "call_id": "CA1",
        "tenant": "b",
    }
