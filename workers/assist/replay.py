"""Apply rules to a recorded call, as the worker would have. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workers.assist.board import Alert
from workers.assist.call import Call
from workers.assist.program import Ruleset
from workers.client.events import DERIVED_EVENTS, AnyEvent, StreamStarted
from workers.client.ids import written_ms
from workers.client.transcript import CallTranscript


@dataclass(slots=True)
class Replay:
    """A call to which rules were applied.

    Attributes:
        call: the state of the rules after the last event.
        transcript: its text.
        alerts: the changes of alerts, in order.
        began_ms: when its first event was written, in Unix ms.
        roles: who speaks, on any of its tracks.
    """

    call: Call
    transcript: CallTranscript
    alerts: list[Alert] = field(default_factory=list)
    began_ms: int = 0
    roles: set[str] = field(default_factory=set)

    def after_ms(self, alert: Alert) -> int:
        """Return when an alert changed, in milliseconds since the call began."""
        return alert.at_ms - self.began_ms


def replay(ruleset: Ruleset, events: Iterable[AnyEvent], until_ms: int | None = None) -> Replay:
    """Apply rules to the events of one call.

    Args:
        ruleset: the rules.
        events: the events.
        until_ms: the time, in Unix ms, to which a call that has not ended is followed.
    """
    known = [each for each in events if not isinstance(each, DERIVED_EVENTS)]
    result = Replay(Call(ruleset), CallTranscript(known[0].call_id if known else ""))
    for event in known:
        at_ms = written_ms(event.id)
        result.began_ms = result.began_ms or at_ms
        if result.transcript.apply(event):
            result.alerts += result.call.apply(event, at_ms)
        if isinstance(event, StreamStarted):
            result.roles |= {track.role for track in event.tracks}
    if until_ms is not None and not result.transcript.over:
        result.alerts += result.call.advance(until_ms)
    return result


def raised(alerts: Sequence[Alert]) -> list[Alert]:
    """Return the alerts that are raised at the end, each as it was raised last."""
    last = {alert.id: alert for alert in alerts}
    return [alert for alert in last.values() if alert.state == "raised"]
