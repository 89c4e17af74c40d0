"""Explain why a rule raised no alert in a call, in sentences for the person who wrote it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from workers.assist import rules
from workers.assist.board import Alert, Cite
from workers.assist.program import Ruleset
from workers.assist.replay import Replay, raised, replay
from workers.assist.rules import Rule, RuleFile, SpokenRule
from workers.assist.spoken import DutyWatch
from workers.assist.watch import Measure
from workers.assist.words import normalized
from workers.client.events import AnyEvent

_SIMILAR: Final = 0.5  # part of a phrase's words that a text must have, in order
_MOST: Final = 3  # places that are listed
_UNDECIDED: Final = "The call has not ended; it is not decided yet."


class _Near(NamedTuple):
    share: float  # of the words of the phrase
    phrase: str
    text: str
    who: str
    start_ms: int


def explain(
    file: RuleFile, rule_id: str, events: Sequence[AnyEvent], until_ms: int | None = None
) -> list[str]:
    """Return sentences: what the rule raised, or why it raised nothing.

    Args:
        file: the rules.
        rule_id: the rule.
        events: the events of a call.
        until_ms: as in `replay`.

    Raises:
        KeyError: there is no such rule.
    """
    found = [rule for rule in file.rules if rule.id == rule_id]
    if not found:
        raise KeyError(rule_id)
    rule = found[0]
    result = _replay(file, rule, events, until_ms)
    if result.alerts:
        return [_of_alert(result, alert) for alert in result.alerts]
    return list(_reasons(file, rule, result, events))


def clock(ms: float) -> str:
    """Return a time of a call as minutes and seconds."""
    minutes, seconds = divmod(max(0, ms) / 1000, 60)
    return f"{int(minutes):02d}:{seconds:04.1f}"


def _of_alert(result: Replay, alert: Alert) -> str:
    place = f", about {_where(alert.cite)}" if alert.cite.start_ms is not None else ""
    return f"It was {alert.state} at {clock(result.after_ms(alert))}{place}."


def _reasons(
    file: RuleFile, rule: Rule, result: Replay, events: Sequence[AnyEvent]
) -> Iterator[str]:
    if not result.call.watches:
        yield from _not_applied(rule, result)
        return
    match rule:
        case rules.Required():
            yield from _required(file, rule, events, result)
        case rules.Order():
            yield from _order(file, rule, events, result)
        case rules.Repetition():
            yield from _repetition(file, rule, events)
        case rules.Said() | rules.Never():
            yield from _not_said(file, rule, events)
        case rules.DeadAir():
            yield _longest(result, rule.longer_ms / 1000, "silence")
        case rules.TalkOver():
            yield _longest(result, rule.longer_ms / 1000, "talk-over")
        case rules.Monologue():
            yield _longest(result, rule.longer_s, "monologue")
        case rules.Trouble():
            yield _longest(result, rule.longer_ms / 1000, "gap with one of its causes")
            if rule.ends:
                yield f"No stream ended as {_or(rule.ends)}."
        case rules.TalkRatio():
            yield from _ratio(rule, result)
        case rules.Pace():
            yield from _pace(rule, result)


def _not_applied(rule: Rule, result: Replay) -> Iterator[str]:
    route, tenant = result.call.route, result.call.tenant
    if rule.routes and route not in rule.routes:
        yield f"The call has the route {route or '(none)'}; the rule is for {_or(rule.routes)}."
    if rule.tenants and tenant not in rule.tenants:
        yield f"The call is of the tenant {tenant}; the rule is for {_or(rule.tenants)}."
    if rule.applies_to(route, tenant):
        roles = _or(sorted(result.roles)) if result.roles else "unknown"
        yield f"No track of the call has the role {rule.role}. Its roles: {roles}."


def _required(
    file: RuleFile, rule: rules.Required, events: Sequence[AnyEvent], result: Replay
) -> Iterator[str]:
    if rule.after:
        cues = _matches(file, rule.after, (), rule.after_role, events)
        if not cues:
            yield "Nothing in `after` was said, so nothing was required."
            yield from _not_said_phrases(file, rule.after, (), rule.after_role, events)
            return
        yield f"What it comes after was said at {_times(cues)}."
    if _is_undecided(result):
        yield _UNDECIDED
        return
    said = _matches(file, rule.phrases, rule.patterns, rule.role, events)
    if said:
        limit = f", within {rule.within_s:g} s" if rule.within_s is not None else ""
        yield f"It was said at {_times(said)}{limit}: the rule is fulfilled."
    elif rule.within_s is not None:
        length_ms = result.transcript.duration_ms
        yield f"The call ended at {clock(length_ms)}, before the {rule.within_s:g} s had passed."


def _order(
    file: RuleFile, rule: rules.Order, events: Sequence[AnyEvent], result: Replay
) -> Iterator[str]:
    role = rule.before_role or rule.role
    cues = _matches(file, rule.before, (), role, events)
    if not cues:
        yield "Nothing in `before` was said."
        yield from _not_said_phrases(file, rule.before, (), role, events)
        return
    if _is_undecided(result):
        yield _UNDECIDED
        return
    said = _matches(file, rule.phrases, rule.patterns, rule.role, events)
    yield f"It was said at {_times(said)}, before {_times(cues[:1])}: the rule is fulfilled."


def _repetition(
    file: RuleFile, rule: rules.Repetition, events: Sequence[AnyEvent]
) -> Iterator[str]:
    found = False
    for phrase in (*rule.phrases, *rule.patterns):
        is_phrase = phrase in rule.phrases
        phrases, patterns = ((phrase,), ()) if is_phrase else ((), (phrase,))
        said = _matches(file, phrases, patterns, rule.role, events)
        if said:
            found = True
            times = f"“{phrase}” was said at {_times(said)}"
            yield f"{times}; the rule needs {rule.times} by one speaker within {rule.within_s:g} s."
    if not found:
        yield from _not_said(file, rule, events)


def _not_said(file: RuleFile, rule: SpokenRule, events: Sequence[AnyEvent]) -> Iterator[str]:
    yield from _not_said_phrases(file, rule.phrases, rule.patterns, rule.role, events)


def _not_said_phrases(
    file: RuleFile,
    phrases: tuple[str, ...],
    patterns: tuple[str, ...],
    role: rules.Role | None,
    events: Sequence[AnyEvent],
) -> Iterator[str]:
    if role and (anyone := _matches(file, phrases, patterns, None, events)):
        who = _or(sorted({alert.cite.role or "" for alert in anyone}))
        yield f"It was said at {_times(anyone)} by {who}; the rule is for {role}."
        return
    yield "None of the phrases was said." if not patterns else "Nothing that was said matches."
    for near in _nearest(phrases, replay(Ruleset(file), events)):
        yield f"Similar to “{near.phrase}”: “{near.text}”, by {near.who} at {clock(near.start_ms)}."


def _ratio(rule: rules.TalkRatio, result: Replay) -> Iterator[str]:
    best = _best(result)
    if best is None:
        yield f"There was less than {rule.after_s:g} s of speech."
        return
    high = rule.above_percent is not None
    limit = rule.above_percent if high else rule.below_percent
    side = "highest" if high else "lowest"
    yield f"The {side} part of {rule.role} was {best.value:.0f} %; the limit is {limit:g} %."


def _pace(rule: rules.Pace, result: Replay) -> Iterator[str]:
    best = _best(result)
    if best is None:
        yield f"No track has {rule.window_s:g} s of speech."
        return
    fast = rule.faster_than_wpm is not None
    limit = rule.faster_than_wpm if fast else rule.slower_than_wpm
    side = "fastest" if fast else "slowest"
    yield f"The {side} was {best.value:.0f} words per minute; the limit is {limit}."


def _is_undecided(result: Replay) -> bool:
    """Return whether later words of the call can still fulfill the rule."""
    watches = result.call.watches.values()
    is_open = any(isinstance(each, DutyWatch) and each.is_open for each in watches)
    return is_open and not result.transcript.over


def _best(result: Replay) -> Measure | None:
    return next(iter(result.call.watches.values())).best


def _longest(result: Replay, limit_s: float, what: str) -> str:
    best = _best(result)
    if best is None:
        return f"There was no {what}."
    where = f" ({_where(best.cite)})" if best.cite else ""
    length = f"{best.value / 1000:.1f} s"
    return f"The longest {what} took {length}{where}; the limit is {limit_s:g} s."


def _matches(
    file: RuleFile,
    phrases: tuple[str, ...],
    patterns: tuple[str, ...],
    role: rules.Role | None,
    events: Iterable[AnyEvent],
) -> list[Alert]:
    """Return where any of the phrases was said."""
    if not phrases and not patterns:
        return []
    probe = rules.Said(
        kind="said", id="probe", title="probe", phrases=phrases, patterns=patterns, role=role
    )
    return raised(_replay(file, probe, events).alerts)


def _replay(
    file: RuleFile, rule: Rule, events: Iterable[AnyEvent], until_ms: int | None = None
) -> Replay:
    return replay(Ruleset(file.model_copy(update={"rules": (rule,)})), events, until_ms)


def _nearest(phrases: Iterable[str], result: Replay) -> list[_Near]:
    """Return the places whose words resemble a phrase most."""
    near: list[_Near] = []
    for segment in result.transcript.segments:
        said = normalized(segment.text)
        for phrase in phrases:
            words = normalized(phrase)
            matcher = SequenceMatcher(None, words, said, autojunk=False)
            blocks = [block for block in matcher.get_matching_blocks() if block.size]
            share = sum(block.size for block in blocks) / len(words)
            if share >= _SIMILAR:
                first, last = blocks[0].b, blocks[-1].b + blocks[-1].size
                text = " ".join(said[first:last][:20])
                near.append(_Near(share, phrase, text, segment.speaker, segment.start_ms))
    return sorted(near, key=lambda each: (-each.share, each.start_ms))[:_MOST]


def _where(cite: Cite) -> str:
    speaker = f"{cite.role or cite.track} " if cite.track else ""
    return f"{speaker}{clock(cite.start_ms or 0)}-{clock(cite.end_ms or 0)}"


def _times(alerts: Sequence[Alert]) -> str:
    shown = [clock(alert.cite.start_ms or 0) for alert in alerts[:_MOST]]
    more = f" and {len(alerts) - _MOST} more times" if len(alerts) > _MOST else ""
    return ", ".join(shown) + more


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
