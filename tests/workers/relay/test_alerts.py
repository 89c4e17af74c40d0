"""Which alerts of a call are open, whatever is repeated, out of order, or too much."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.client.stories import fields
from workers.client import AssistAlert, read_event
from workers.relay.alerts import AlertBook, CallAlerts

_OWN = {"rule": "r", "rule_version": "1", "title": "t"}


def alert(
    entry_id: str, name: str, severity: str = "warning", state: str = "raised", **more: Any
) -> AssistAlert:
    own = {**_OWN, "alert": name, "severity": severity, "state": state, **more}
    event = read_event(entry_id, fields("assist.alert", 1, **own))
    assert isinstance(event, AssistAlert)
    return event


def counts(*events: AssistAlert) -> tuple[int, str | None]:
    call = CallAlerts()
    for event in events:
        call.apply(event)
    return call.count, call.severity


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (0, None)),
        ([alert("1-0", "a", "info")], (1, "info")),
        ([alert("1-0", "a", "info"), alert("1-1", "b", "critical")], (2, "critical")),
        ([alert("1-0", "a", "critical"), alert("2-0", "b", "warning")], (2, "critical")),
        ([alert("1-0", "a"), alert("1-0", "a")], (1, "warning")),
        ([alert("1-0", "a"), alert("2-0", "a", state="withdrawn")], (0, None)),
        ([alert("2-0", "a", state="withdrawn"), alert("1-0", "a")], (0, None)),
        (
            [alert("1-0", "a"), alert("2-0", "a", state="withdrawn"), alert("3-0", "a")],
            (1, "warning"),
        ),
        ([alert("1-0", "a", "new"), alert("2-0", "b", "info")], (2, "info")),
        ([alert("1-0", "a", "new")], (1, "new")),
        ([alert("10-0", "a"), alert("9-5", "a", state="withdrawn")], (1, "warning")),
    ],
)  # fmt: skip
def test_open_alerts_are_counted(
    events: list[AssistAlert], expected: tuple[int, str | None]
) -> None:
    assert counts(*events) == expected


_EVENTS = st.lists(
    st.builds(
        alert,
        st.integers(0, 30).map(lambda ms: f"{ms}-0"),
        st.sampled_from("abc"),
        st.sampled_from(["info", "critical"]),
        st.sampled_from(["raised", "withdrawn"]),
    ),
    unique_by=lambda event: event.id,
    max_size=12,
)


@given(_EVENTS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(events: list[AssistAlert], random: Any) -> None:
    """An alert is published while the call's history, which has it too, is loaded."""
    shuffled = [*events, *events[: len(events) // 2]]
    random.shuffle(shuffled)
    assert counts(*shuffled) == counts(*sorted(events, key=lambda event: int(event.id[:-2])))


def test_change_is_told_from_repetition() -> None:
    call = CallAlerts()
    raised, withdrawn = alert("1-0", "a"), alert("2-0", "a", state="withdrawn")
    assert [call.apply(each) for each in (raised, raised, withdrawn, withdrawn, raised)] == [
        *(True, False),
        *(True, False, False),
    ]


def test_alerts_of_a_call_and_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.relay.alerts._MAX_ALERTS", 3)
    monkeypatch.setattr("workers.relay.alerts._MAX_CALLS", 2)
    book = AlertBook()
    for number in range(5):
        book.apply(alert(f"{number}-0", f"a{number}"))
    assert book.of("CA1").count == 3
    assert book.apply(alert("9-0", "a0", state="withdrawn"))
    for call in ("CA2", "CA3"):
        book.apply(alert("1-0", "a", call=call))
    assert [book.of(call).count for call in ("CA1", "CA2", "CA3")] == [0, 1, 1]
