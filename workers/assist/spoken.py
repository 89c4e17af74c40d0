"""The kinds of rules about words: said, never, repetition, required, order. Pure.

They keep the matches of their words, and derive from them which alerts there must be. So a match
that is found late, or taken back, changes the alerts as if it had been known from the beginning.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from workers.assist.board import Cite
from workers.assist.facts import Spoken, Turn
from workers.assist.program import Part, speaks
from workers.assist.rules import Never, Order, Repetition, Required, Said
from workers.assist.watch import Post, Watch

_MAX_MATCHES: Final = 500  # that a rule keeps of a call
_FAR_MS: Final = 1 << 62


class SaidWatch(Watch):
    """Raises an alert per match."""

    def __init__(self, rule: Said | Never, post: Post) -> None:
        self._post = post
        self._rule = rule

    def found(self, spoken: Spoken) -> None:
        """Raise."""
        self._post.raise_alert(spoken.key, spoken.cite())

    def retracted(self, spoken: Spoken) -> None:
        """Withdraw."""
        self._post.withdraw(spoken.key)


class RepetitionWatch(Watch):
    """Raises an alert when a speaker has said a phrase often enough in the time.

    The next alert needs as many new matches.
    """

    def __init__(self, rule: Repetition, post: Post) -> None:
        self._post = post
        self._times = rule.times
        self._within_ms = round(rule.within_s * 1000)
        self._matches: defaultdict[str, list[Spoken]] = defaultdict(list)
        self._raised: defaultdict[str, set[str]] = defaultdict(set)

    def found(self, spoken: Spoken) -> None:
        """Count a match."""
        series = self._series(spoken)
        matches = self._matches[series]
        matches.append(spoken)
        matches.sort(key=lambda each: each.start_ms)
        self._compare(series)
        if len(matches) > _MAX_MATCHES:
            self._drop_oldest(series)

    def retracted(self, spoken: Spoken) -> None:
        """Count without a match."""
        series = self._series(spoken)
        self._matches[series] = [each for each in self._matches[series] if each.key != spoken.key]
        self._compare(series)

    def _series(self, spoken: Spoken) -> str:
        """Return what is counted together: a phrase on a track."""
        return f"{spoken.match.slot.number}:{spoken.turn.stream}:{spoken.turn.track}"

    def _drop_oldest(self, series: str) -> None:
        """Drop the matches up to the first one that completes a series, and keep its alert."""
        matches = self._matches[series]
        complete = self._complete(series)
        last = matches.index(complete[0]) if complete else 0
        self._raised[series] -= {_key(each) for each in complete[:1]}
        del matches[: last + 1]
        self._post.note_dropped(last + 1)

    def _compare(self, series: str) -> None:
        wanted = {_key(each): each for each in self._complete(series)}
        for key in self._raised[series] - wanted.keys():
            self._post.withdraw(key)
        for key, spoken in wanted.items():
            self._post.raise_alert(key, spoken.cite())
        self._raised[series] = set(wanted)

    def _complete(self, series: str) -> list[Spoken]:
        """Return the matches that complete a series of enough in the time."""
        complete = []
        recent: list[Spoken] = []
        for spoken in self._matches[series]:
            recent = [each for each in recent if spoken.start_ms - each.start_ms <= self._within_ms]
            recent.append(spoken)
            if len(recent) == self._times:
                complete.append(spoken)
                recent = []
        return complete


def _key(spoken: Spoken) -> str:
    return f"{spoken.match.slot.number}:{spoken.key}"


@dataclass(slots=True)
class _Duty:
    """Something that has to be said, in a part of the call.

    Attributes:
        from_ms: words that begin earlier do not count.
        until_ms: words that begin later do not count.
        judged_ms: words that were said before this time decide.
        cite: what an alert cites.
        is_certain: whether no such words can come any longer.
    """

    from_ms: int
    until_ms: int
    judged_ms: int
    cite: Cite
    is_certain: bool = field(default=False)

    def allows(self, spoken: Spoken) -> bool:
        """Return whether words were said in its part of the call."""
        return self.from_ms <= spoken.start_ms <= self.until_ms


class DutyWatch(Watch):
    """Raises an alert for each duty whose words were not said in its part of the call.

    Words that are published after the alert, but were said in time, withdraw it.
    """

    def __init__(self, rule: Required | Order, post: Post, *, since_ms: int) -> None:
        self._post = post
        self._rule = rule
        self._said: dict[str, Spoken] = {}
        self._duties: dict[str, _Duty] = {}
        self._end_ms = -1
        if isinstance(rule, Required) and not rule.after:
            until_ms = _FAR_MS
            if rule.within_s is not None:
                until_ms = since_ms + round(rule.within_s * 1000)
            self._add("", _Duty(-_FAR_MS, until_ms, until_ms, Cite()))
            self._compare()

    def found(self, spoken: Spoken) -> None:
        """Receive the words of the rule, or what they have to follow or precede."""
        if spoken.match.slot.part is Part.CUE:
            self._add(spoken.key, self._duty(spoken))
        else:
            self._said[spoken.key] = spoken
        self._compare()
        self._drop()

    def retracted(self, spoken: Spoken) -> None:
        """Do as if the words had not been said."""
        if spoken.match.slot.part is Part.CUE:
            self._duties.pop(spoken.key, None)
            self._post.withdraw(spoken.key)
        else:
            self._said.pop(spoken.key, None)
        self._compare()

    def began(self, turn: Turn) -> None:
        """Conclude that words were not said in time from later words of the same speaker."""
        if turn.role == self._rule.role:
            late = [
                each
                for each in self._duties.values()
                if not each.is_certain and turn.start_ms > each.until_ms
            ]
            for duty in late:
                duty.is_certain = True
            if late:
                self._compare()

    def advance(self, now_ms: int) -> None:
        """Raise what is due."""
        for duty in self._duties.values():
            due_ms = duty.judged_ms + self._post.patience_ms
            duty.is_certain = duty.is_certain or due_ms < now_ms
        self._compare()

    def over(self, end_ms: int) -> None:
        """Decide now what had to be said before the end; the words of the call are complete."""
        for duty in self._duties.values():
            is_open = duty.until_ms == _FAR_MS
            duty.is_certain = duty.is_certain or is_open or duty.until_ms <= end_ms
        self._compare()

    @property
    def is_open(self) -> bool:
        """Whether there is something that is neither said nor certain not to be said."""
        return any(
            not duty.is_certain and not any(map(duty.allows, self._said.values()))
            for duty in self._duties.values()
        )

    def _duty(self, cue: Spoken) -> _Duty:
        if isinstance(self._rule, Required):
            until_ms = cue.end_ms + round((self._rule.within_s or 0) * 1000)
            return _Duty(cue.start_ms, until_ms, until_ms, cue.cite())
        same = speaks(cue.turn.role, self._rule.role) or self._rule.role is None
        # Words of one track are published in order; those of another one may come later.
        return _Duty(-_FAR_MS, cue.start_ms, cue.end_ms, cue.cite(), is_certain=same)

    def _drop(self) -> None:
        """Drop what exceeds the limit, so that no duty seems to be neglected.

        Where words have to follow a cue, the oldest decide nothing that is still open. Otherwise
        the earliest decide.
        """
        if len(self._duties) > _MAX_MATCHES:
            self._post.note_dropped()
            del self._duties[next(iter(self._duties))]
        if len(self._said) > _MAX_MATCHES:
            self._post.note_dropped()
            is_after = isinstance(self._rule, Required) and bool(self._rule.after)
            choose = min if is_after else max
            dropped = choose(self._said.values(), key=lambda each: each.start_ms)
            del self._said[dropped.key]
            if is_after:  # what it has fulfilled stays so
                done = [key for key, duty in self._duties.items() if duty.allows(dropped)]
                for key in done:
                    del self._duties[key]

    def _add(self, key: str, duty: _Duty) -> None:
        self._duties[key] = duty

    def _compare(self) -> None:
        pending = []
        for key, duty in self._duties.items():
            if any(map(duty.allows, self._said.values())):
                self._post.withdraw(key)
            elif duty.is_certain:
                self._post.raise_alert(key, duty.cite)
            else:
                pending.append(duty.judged_ms)
        judged_ms = min(pending, default=_FAR_MS)
        self.due_ms = judged_ms + self._post.patience_ms if judged_ms < _FAR_MS else None
