"""The alerts of one call: which are raised, and what changed. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from workers.assist.rules import Rule

MAX_ALERTS: Final = 100  # of a rule in a call; further matches are not reported

type State = Literal["raised", "withdrawn"]


class Cite(NamedTuple):
    """What an alert is about: a place in a stream, by its media clock."""

    stream_id: str = ""  # empty: the call as a whole
    track: str | None = None
    role: str | None = None
    segment: int | None = None
    rev: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None


class Alert(NamedTuple):
    """One change of an alert.

    Attributes:
        id: unique in the call.
        change: 0 when it is raised for the first time, 1 when it is withdrawn, and so on.
        rule: the rule that matched, and its version.
        at_ms: when it was raised or withdrawn, in Unix ms.
        cite: what it is about.
    """

    id: str
    change: int
    rule: Rule
    rule_version: str
    at_ms: int
    cite: Cite

    @property
    def state(self) -> State:
        """Whether it is raised or withdrawn by this change."""
        return "withdrawn" if self.change % 2 else "raised"


@dataclass(slots=True)
class _Known:
    cite: Cite
    changes: int = 0

    @property
    def is_raised(self) -> bool:
        return self.changes % 2 == 1


@dataclass(slots=True)
class Board:
    """The alerts of a call.

    Attributes:
        now_ms: the time of the next changes, in Unix ms.
        lag_ms: how long after they were said words are published lately.
        dropped: what exceeded a limit, by the limit.
    """

    now_ms: int = 0
    lag_ms: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    _changes: list[Alert] = field(default_factory=list)
    _known: dict[str, dict[str, _Known]] = field(default_factory=dict)  # by rule and key

    def raise_alert(self, rule: Rule, version: str, key: str, cite: Cite) -> None:
        """Raise an alert unless it is raised, or the rule has had enough of them."""
        alerts = self._known.setdefault(rule.id, {})
        known = alerts.get(key)
        if known is None:
            is_done = rule.once and any(each.is_raised for each in alerts.values())
            if is_done:
                return
            if len(alerts) >= MAX_ALERTS:
                self.dropped["alerts"] += 1
                return
            known = alerts[key] = _Known(cite)
        elif known.is_raised:
            return
        known.cite = cite
        self._change(rule, version, key, known)

    def withdraw(self, rule: Rule, version: str, key: str) -> None:
        """Withdraw an alert if it is raised."""
        known = self._known.get(rule.id, {}).get(key)
        if known and known.is_raised:
            self._change(rule, version, key, known)

    def raised(self, rule_id: str) -> list[Cite]:
        """Return what the alerts of a rule that are raised now cite."""
        return [each.cite for each in self._known.get(rule_id, {}).values() if each.is_raised]

    def take(self) -> list[Alert]:
        """Return the changes since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def _change(self, rule: Rule, version: str, key: str, known: _Known) -> None:
        alert_id = f"{rule.id}:{key}" if key else rule.id
        change = Alert(alert_id, known.changes, rule, version, self.now_ms, known.cite)
        self._changes.append(change)
        known.changes += 1
