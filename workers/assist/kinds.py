"""The table of kinds: which class watches a call for a rule. Pure."""

from collections.abc import Iterable

from workers.assist import rules, spoken, timing
from workers.assist.trouble import TroubleWatch
from workers.assist.watch import Post, Watch


def watch(rule: rules.Rule, post: Post, others: Iterable[Watch], *, since_ms: int) -> Watch:
    """Return what watches for a rule: one of its own, or one that its kind shares.

    Args:
        rule: the rule.
        post: where it raises its alerts.
        others: the watches that began with it.
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
            dead_air = _shared(timing.DeadAirWatch, others) or timing.DeadAirWatch(since_ms)
            dead_air.add(rule, post)
            return dead_air
        case rules.TalkOver():
            talk_over = _shared(timing.TalkOverWatch, others) or timing.TalkOverWatch()
            talk_over.add(rule, post)
            return talk_over
        case rules.Monologue():
            monologue = _shared(timing.MonologueWatch, others) or timing.MonologueWatch()
            monologue.add(rule, post)
            return monologue
        case rules.TalkRatio():
            return timing.TalkRatioWatch(rule, post)
        case rules.Pace():
            return timing.PaceWatch(rule, post)
        case rules.Trouble():
            return TroubleWatch(rule, post)


def _shared[W: Watch](kind: type[W], watches: Iterable[Watch]) -> W | None:
    return next((each for each in watches if isinstance(each, kind)), None)
