"""The open alerts of calls: how many, and how severe the worst one is. Pure."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from workers.client.events import AssistAlert
from workers.relay.messages import Order

_MAX_ALERTS: Final = 1000  # of a call; later ones are not counted
_MAX_CALLS: Final = 10_000  # as many as the list has
_RANKS: Final = {"info": 1, "warning": 2, "critical": 3}
_NEVER: Final = Order(-1, 0, 0)


@dataclass(slots=True)
class CallAlerts:
    """The alerts of one call.

    They may be applied in any order, and repeatedly: of each, the newest entry counts.
    """

    _newest: dict[str, tuple[Order, str | None]] = field(default_factory=dict)  # by alert
    _open: Counter[str] = field(default_factory=Counter)  # by severity

    def apply(self, event: AssistAlert) -> bool:
        """Apply an event; return whether the open alerts have changed."""
        order = Order.of(event.id, 0)
        severity = event.severity if event.state == "raised" else None
        known_order, known = self._newest.get(event.alert, (_NEVER, None))
        is_full = len(self._newest) >= _MAX_ALERTS and event.alert not in self._newest
        if order <= known_order or is_full:
            return False
        self._newest[event.alert] = order, severity
        if severity == known:
            return False
        self._open.update([] if severity is None else [severity])
        self._open.subtract([] if known is None else [known])
        return True

    @property
    def count(self) -> int:
        """The number of open alerts."""
        return self._open.total()

    @property
    def severity(self) -> str | None:
        """The highest severity of the open alerts; None if none is open."""
        return max(+self._open, key=lambda each: (_RANKS.get(each, 0), each), default=None)


class AlertBook:
    """The alerts of the calls of the list; of too many calls, those alerted last."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, CallAlerts] = OrderedDict()

    def apply(self, event: AssistAlert) -> bool:
        """Apply an event; return whether its call's counts have changed."""
        call = self._calls.setdefault(event.call_id, CallAlerts())
        self._calls.move_to_end(event.call_id)
        if len(self._calls) > _MAX_CALLS:
            self._calls.popitem(last=False)
        return call.apply(event)

    def of(self, call_id: str) -> CallAlerts:
        """Return the alerts of a call; none if it is not known."""
        return self._calls.get(call_id) or CallAlerts()
