"""The table of kinds: which class watches a call for a rule. Pure."""

from workers.assist import rules, spoken, timing
from workers.assist.trouble import TroubleWatch
from workers.assist.watch import Post, Watch


def watch(rule: rules.Rule, post: Post, *, since_ms: int) -> Watch:
    """Return a new watch of a rule.

    Args:
        rule: the rule.
        post: where it raises its alerts.
        since_ms: when it begins to apply, since the call began.
    """
    match rule:
        case rules.Said() | rules.Never():
            return spoken.SaidWatch(rule, post)
        case rules.Repetition():
            return spoken.RepetitionWatch(rule, post)
        case rules.Required() | rules.Order():
            return spoken.DutyWatch(rule, post, since_ms=since_ms)
        case rules.DeadAir():
            return timing.DeadAirWatch(rule, post, since_ms=since_ms)
        case rules.TalkOver():
            return timing.TalkOverWatch(rule, post)
        case rules.Monologue():
            return timing.MonologueWatch(rule, post)
        case rules.TalkRatio():
            return timing.TalkRatioWatch(rule, post)
        case rules.Pace():
            return timing.PaceWatch(rule, post)
        case rules.Trouble():
            return TroubleWatch(rule, post)
