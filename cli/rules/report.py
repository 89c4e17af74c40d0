"""What `./run rules test` prints about a call."""

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.assist.board import Alert, Cite
from workers.assist.explain import clock
from workers.assist.replay import Replay, raised
from workers.assist.rules import RuleFile
from workers.client import Segment

STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "blue"}
_MARKS: Final = {"critical": "!!", "warning": "! ", "info": "i "}
_MOST_WORDS: Final = 14
_MOST_NAMES: Final = 12


def title(call_id: str, result: Replay) -> Text:
    """Return the line above a call's alerts."""
    transcript = result.transcript
    length = clock(transcript.duration_ms) if transcript.over else "live"
    route = f"  route {result.call.route}" if result.call.route else ""
    return Text.assemble((call_id, "bold"), (f"  {transcript.status}  {length}{route}", "dim"))


def timeline(result: Replay) -> Table:
    """Return the changes of alerts in the order of time, with the words that they cite."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for column in ("time", "severity", "rule", "about"):
        table.add_column(column, no_wrap=column != "about")
    for alert in result.alerts:
        style = STYLES[alert.rule.severity] if alert.state == "raised" else "dim"
        mark = _MARKS[alert.rule.severity] if alert.state == "raised" else "- "
        what = alert.rule.severity if alert.state == "raised" else "withdrawn"
        table.add_row(
            Text(clock(result.after_ms(alert)), "dim"),
            Text(mark + what, style),
            Text(alert.rule.id, "bold" if alert.state == "raised" else "dim"),
            _about(alert, result),
        )
    return table


def _about(alert: Alert, result: Replay) -> RenderableType:
    heading = Text(alert.rule.title)
    cite = alert.cite
    if cite.start_ms is None:
        return heading
    speaker = f"{cite.role or cite.track}  " if cite.track else ""
    times = f"{speaker}{clock(cite.start_ms)}-{clock(cite.end_ms or 0)}"
    return Group(heading, Text(f"{times}  {_words(cite, result)}".rstrip(), "dim"))


def _words(cite: Cite, result: Replay) -> str:
    """Return the beginning of the segment that an alert cites."""
    for segment in result.transcript.segments:
        if _is_cited(segment, cite):
            words = segment.text.split()
            more = " …" if len(words) > _MOST_WORDS else ""
            return f"“{' '.join(words[:_MOST_WORDS])}{more}”"
    return ""


def _is_cited(segment: Segment, cite: Cite) -> bool:
    place = segment.stream_id, segment.track, segment.segment
    return place == (cite.stream_id, cite.track, cite.segment)


def total(file: RuleFile, result: Replay) -> Text:
    """Return the last line of a call: how many alerts, and which rules raised none."""
    alerts = raised(result.alerts)
    count = f"{len(alerts)} alert{'' if len(alerts) == 1 else 's'}"
    fired = {alert.rule.id for alert in result.alerts}
    silent = [rule.id for rule in file.rules if rule.id not in fired]
    return Text.assemble((count, "bold"), (f"; silent: {_listed(silent)}" if silent else "", "dim"))


def as_object(call_id: str, result: Replay) -> dict[str, object]:
    """Return a call's alerts as `--json` prints them."""
    return {
        "call_id": call_id,
        "alerts": [
            {
                "after_ms": result.after_ms(alert),
                "state": alert.state,
                "rule": alert.rule.id,
                "rule_version": alert.rule_version,
                "severity": alert.rule.severity,
                "title": alert.rule.title,
                "alert": alert.id,
                **{
                    name: value
                    for name, value in alert.cite._asdict().items()
                    if value not in (None, "")
                },
            }
            for alert in result.alerts
        ],
    }


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
