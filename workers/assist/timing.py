"""The kinds of rules about who speaks when: talk-over, dead air, monologue, ratio, pace. Pure.

Somebody speaks from the first to the last word of a segment.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from workers.assist.board import Cite
from workers.assist.facts import Missing, Turn
from workers.assist.program import speaks
from workers.assist.rules import DeadAir, Monologue, Pace, TalkOver, TalkRatio
from workers.assist.watch import Measure, Post, Watch

_BACKCHANNEL_MS: Final = 1000  # shorter turns, such as "mhm", are no interruption
_BREAK_MS: Final = 5000  # a longer silence ends a monologue
_MAX_TURNS: Final = 1000  # that a rule keeps
_MAX_OPEN: Final = 64  # pairs of turns that talk over each other and have no finals yet


class TalkOverWatch(Watch):
    """Raises an alert when two turns have overlapped for long enough."""

    def __init__(self, rule: TalkOver, post: Post) -> None:
        self._rule = rule
        self._post = post
        self._raised: dict[str, tuple[Turn, Turn]] = {}

    def overlap(self, turn: Turn, beside: Sequence[Turn]) -> None:
        """Compare a turn with those that it overlaps."""
        for other in beside:
            overlap_ms = _overlap_ms(turn, other)
            if not self._concerns(turn, other):
                continue
            second = max(turn, other, key=lambda each: each.start_ms)
            cite = second.cite(second.start_ms, second.start_ms + overlap_ms)
            if self.best is None or overlap_ms > self.best.value:
                self.best = Measure(overlap_ms, cite)
            if overlap_ms >= self._rule.longer_ms:
                key = "+".join(sorted((turn.key, other.key)))
                self._post.raise_alert(key, cite)
                self._raised[key] = turn, other
                if len(self._raised) > _MAX_OPEN:
                    del self._raised[next(iter(self._raised))]
        if turn.is_final:
            self._correct(turn)

    def _concerns(self, turn: Turn, other: Turn) -> bool:
        return (
            self._rule.role is None
            or self._rule.role == max((turn, other), key=lambda each: each.start_ms).role
        )

    def _correct(self, turn: Turn) -> None:
        """Withdraw alerts about turns whose final is shorter."""
        for key, (one, other) in list(self._raised.items()):
            if turn in (one, other) and _overlap_ms(one, other) < self._rule.longer_ms:
                self._post.withdraw(key)
            if one.is_final and other.is_final:
                del self._raised[key]


def _overlap_ms(one: Turn, other: Turn) -> int:
    return min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)


class DeadAirWatch(Watch):
    """Raises an alert when no one has spoken for long enough.

    It decides when words said in the meantime would have been published, and withdraws an alert if
    such words come nevertheless.
    """

    def __init__(self, rule: DeadAir, post: Post, *, since_ms: int) -> None:
        self._post = post
        self._longer_ms = rule.longer_ms
        self._from_ms = since_ms  # no one has spoken since
        self._after: Turn | None = None  # the turn that ended then
        self._is_paused = False
        self._raised: deque[tuple[int, str]] = deque(maxlen=16)
        self._wait()

    def turn(self, turn: Turn) -> None:
        """Begin to wait again after a turn."""
        for from_ms, key in self._raised:
            if turn.end_ms > from_ms and turn.start_ms < from_ms + self._longer_ms:
                self._post.withdraw(key)
        self._speech(turn.start_ms, turn.end_ms, turn)

    def missing(self, gap: Missing) -> None:
        """Ignore time in which somebody may have spoken without a transcript."""
        if gap.cause != "not_sent":
            self._speech(gap.from_ms, gap.to_ms, None)

    def paused(self, at_ms: int, *, is_paused: bool) -> None:
        """Stop or begin to wait."""
        self._is_paused = is_paused
        self._speech(at_ms, at_ms, None)

    def advance(self, now_ms: int) -> None:
        """Raise an alert if it is due."""
        if self.due_ms is not None and self.due_ms < now_ms:
            self._raise(self._from_ms, self._from_ms + self._longer_ms)
            self.due_ms = None

    def over(self, end_ms: int) -> None:
        """Decide now about the silence at the end."""
        if self.due_ms is not None and end_ms - self._from_ms >= self._longer_ms:
            self._raise(self._from_ms, end_ms)
        self._measure(end_ms)
        self.due_ms = None

    def _speech(self, start_ms: int, end_ms: int, turn: Turn | None) -> None:
        if self.due_ms is not None and start_ms - self._from_ms >= self._longer_ms:
            self._raise(self._from_ms, start_ms)  # the silence is known to its end
        self._measure(start_ms)
        if end_ms >= self._from_ms:
            self._from_ms, self._after = end_ms, turn
            self._wait()

    def _measure(self, until_ms: int) -> None:
        silent_ms = until_ms - self._from_ms
        if not self._is_paused and silent_ms > (self.best.value if self.best else 0):
            self.best = Measure(silent_ms, self._cite(self._from_ms, until_ms))

    def _wait(self) -> None:
        due_ms = self._from_ms + self._longer_ms + self._post.patience_ms
        self.due_ms = None if self._is_paused else due_ms

    def _raise(self, from_ms: int, to_ms: int) -> None:
        key = self._after.key if self._after else str(from_ms)
        self._raised.append((from_ms, key))
        self._post.raise_alert(key, self._cite(from_ms, to_ms))

    def _cite(self, from_ms: int, to_ms: int) -> Cite:
        if self._after:
            return self._after.cite(from_ms, to_ms)
        return Cite(start_ms=from_ms, end_ms=to_ms)


class MonologueWatch(Watch):
    """Raises an alert when one speaks for long enough and no other more than a word."""

    def __init__(self, rule: Monologue, post: Post) -> None:
        self._post = post
        self._role = rule.role
        self._longer_ms = round(rule.longer_s * 1000)
        self._runs: dict[tuple[str, str], list[Turn]] = {}  # first and last turn, per track
        self._broken: set[tuple[str, str]] = set()
        self._longest_ms = 0
        self._longest: tuple[Turn, Turn] | None = None

    def turn(self, turn: Turn) -> None:
        """Extend the speaker's run, and break those of others."""
        track = turn.stream, turn.track
        run = self._runs.get(track)
        if turn.length_ms >= _BACKCHANNEL_MS and len(self._broken) < len(self._runs):
            self._broken |= self._runs.keys() - {track}
        if run is None or (turn is not run[1] and self._begins_again(track, turn, run)):
            run = self._runs[track] = [turn, turn]
            self._broken.discard(track)
        run[1] = turn
        if speaks(turn.role, self._role):
            self._judge(run[0], turn)

    def _begins_again(self, track: tuple[str, str], turn: Turn, run: list[Turn]) -> bool:
        return track in self._broken or turn.start_ms - run[1].end_ms > _BREAK_MS

    def _judge(self, first: Turn, last: Turn) -> None:
        length_ms = last.end_ms - first.start_ms
        if length_ms > self._longest_ms:
            self._longest_ms, self._longest = length_ms, (first, last)
        if length_ms >= self._longer_ms:
            self._post.raise_alert(first.key, last.cite(first.start_ms))
        elif last.is_final:  # it may be shorter than its deltas
            self._post.withdraw(first.key)

    @property
    def best(self) -> Measure | None:  # type: ignore[override]  # made only if somebody asks
        """The longest run."""
        if self._longest is None:
            return None
        first, last = self._longest
        return Measure(self._longest_ms, last.cite(first.start_ms))


class TalkRatioWatch(Watch):
    """Raises an alert when a role's part of the speaking time passes a limit, each time."""

    def __init__(self, rule: TalkRatio, post: Post) -> None:
        self._rule = rule
        self._post = post
        self._turns: deque[Turn] = deque(maxlen=_MAX_TURNS)
        self._totals = {True: 0, False: 0}  # ms of speech, by whether it is the role's
        self._is_beyond = False

    def final(self, turn: Turn) -> None:
        """Add a turn, and compare."""
        self._turns.append(turn)
        self._count(turn, 1)
        window_s = self._rule.window_s
        while window_s and self._turns[0].end_ms < turn.end_ms - window_s * 1000:
            self._count(self._turns.popleft(), -1)
        if len(self._turns) == _MAX_TURNS:
            self._count(self._turns.popleft(), -1)
        total_ms = sum(self._totals.values())
        if total_ms >= self._rule.after_s * 1000:
            self._judge(100 * self._totals[True] / total_ms, turn)

    def _count(self, turn: Turn, sign: int) -> None:
        self._totals[turn.role == self._rule.role] += sign * turn.length_ms

    def _judge(self, percent: float, turn: Turn) -> None:
        rule = self._rule
        self.best = _further(
            self.best, percent, turn.cite(), upwards=rule.above_percent is not None
        )
        is_beyond = (rule.above_percent is not None and percent > rule.above_percent) or (
            rule.below_percent is not None and percent < rule.below_percent
        )
        if is_beyond and not self._is_beyond:
            self._post.raise_alert(turn.key, turn.cite())
        self._is_beyond = is_beyond


class PaceWatch(Watch):
    """Raises an alert when somebody's words per minute of speech pass a limit, each time."""

    def __init__(self, rule: Pace, post: Post) -> None:
        self._rule = rule
        self._post = post
        self._tracks: dict[tuple[str, str], deque[Turn]] = {}
        self._beyond: set[tuple[str, str]] = set()

    def final(self, turn: Turn) -> None:
        """Add a turn, and compare."""
        if not speaks(turn.role, self._rule.role):
            return
        track = turn.stream, turn.track
        turns = self._tracks.setdefault(track, deque(maxlen=_MAX_TURNS))
        turns.append(turn)
        window_ms = self._rule.window_s * 1000
        spoken_ms = sum(each.length_ms for each in turns)
        while len(turns) > 1 and spoken_ms - turns[0].length_ms >= window_ms:
            spoken_ms -= turns.popleft().length_ms
        if spoken_ms >= window_ms:
            self._judge(sum(each.words for each in turns) * 60_000 / spoken_ms, turn, track)

    def _judge(self, wpm: float, turn: Turn, track: tuple[str, str]) -> None:
        slow, fast = self._rule.slower_than_wpm, self._rule.faster_than_wpm
        self.best = _further(self.best, wpm, turn.cite(), upwards=fast is not None)
        if (slow is not None and wpm < slow) or (fast is not None and wpm > fast):
            if track not in self._beyond:
                self._post.raise_alert(turn.key, turn.cite())
            self._beyond.add(track)
        else:
            self._beyond.discard(track)


def _further(best: Measure | None, value: float, cite: Cite, *, upwards: bool) -> Measure:
    """Return the value that is nearer to the limit."""
    if best is None or (value > best.value if upwards else value < best.value):
        return Measure(value, cite)
    return best
