"""The kinds of rules about who speaks when: talk-over, dead air, monologue, ratio, pace. Pure.

Somebody speaks from the first to the last word of a segment. What the rules of a kind compare with
their limits, for each delta, is measured once for all of them.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from workers.assist.board import Cite
from workers.assist.facts import Missing, Turn
from workers.assist.program import speaks
from workers.assist.rules import DeadAir, Monologue, Pace, TalkOver, TalkRatio
from workers.assist.watch import Measure, Post, Watch

_BACKCHANNEL_MS: Final = 1000  # shorter turns, such as "mhm", are no interruption
_BREAK_MS: Final = 5000  # a longer silence ends a monologue
_MAX_TURNS: Final = 1000  # that a rule keeps
_MAX_OPEN: Final = 64  # pairs of turns that talk over each other and have no finals yet
_MAX_SILENCES: Final = 16  # whose alerts can be withdrawn


class _Limit(NamedTuple):
    """The length of time at which a rule raises an alert."""

    length_ms: int
    role: str | None
    post: Post


def _length(limit: _Limit) -> int:
    return limit.length_ms


def _reached(limits: list[_Limit], length_ms: int) -> list[_Limit]:
    """Return the limits that a length has reached; the shortest is first."""
    return limits[: bisect_right(limits, length_ms, key=_length)]


class TalkOverWatch(Watch):
    """Raises an alert when two turns have overlapped for long enough."""

    def __init__(self) -> None:
        self._limits: list[_Limit] = []
        self._raised: dict[str, tuple[Turn, Turn]] = {}

    def add(self, rule: TalkOver, post: Post) -> None:
        """Watch for one more rule."""
        insort(self._limits, _Limit(rule.longer_ms, rule.role, post), key=_length)

    def overlap(self, turn: Turn, beside: Sequence[Turn]) -> None:
        """Compare a turn with those that it overlaps."""
        for other in beside:
            self._compare(turn, other)
        if turn.is_final:
            self._correct(turn)

    def _compare(self, turn: Turn, other: Turn) -> None:
        overlap_ms = _overlap_ms(turn, other)
        second = max(turn, other, key=lambda each: each.start_ms)
        concerned = [each for each in self._limits if each.role in (None, second.role)]
        if not concerned:
            return
        cite = second.cite(second.start_ms, second.start_ms + overlap_ms)
        if self.best is None or overlap_ms > self.best.value:
            self.best = Measure(overlap_ms, cite)
        key = "+".join(sorted((turn.key, other.key)))
        for limit in _reached(concerned, overlap_ms):
            limit.post.raise_alert(key, cite)
            self._raised[key] = turn, other
        if len(self._raised) > _MAX_OPEN:
            del self._raised[next(iter(self._raised))]

    def _correct(self, turn: Turn) -> None:
        """Withdraw alerts about turns whose final is shorter."""
        for key, (one, other) in list(self._raised.items()):
            if turn in (one, other):
                overlap_ms = _overlap_ms(one, other)
                for limit in self._limits[len(_reached(self._limits, overlap_ms)) :]:
                    limit.post.withdraw(key)
            if one.is_final and other.is_final:
                del self._raised[key]


def _overlap_ms(one: Turn, other: Turn) -> int:
    return min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)


@dataclass(slots=True)
class _Silence:
    """A silence that was long enough for a rule.

    Attributes:
        key: what identifies it in the call.
        limits: those of the rules that raised an alert.
    """

    from_ms: int
    key: str
    limits: list[_Limit] = field(default_factory=list)

    def withdraw(self, turn: Turn) -> None:
        """Withdraw alerts if a turn interrupts the silence."""
        if turn.end_ms > self.from_ms and turn.start_ms < self.from_ms + self.limits[-1].length_ms:
            for limit in self.limits[len(_reached(self.limits, turn.start_ms - self.from_ms)) :]:
                limit.post.withdraw(self.key)


class DeadAirWatch(Watch):
    """Raises an alert when no one has spoken for long enough.

    It decides when words said in the meantime would have been published, and withdraws an alert if
    such words come nevertheless.
    """

    def __init__(self, since_ms: int) -> None:
        self._limits: list[_Limit] = []
        self._awaited = 0  # the first limit that this silence has not reached
        self._from_ms = since_ms  # no one has spoken since
        self._after: Turn | None = None  # the turn that ended then
        self._patience_ms = 0
        self._is_paused = False
        self._is_waiting = False
        self._raised: deque[_Silence] = deque(maxlen=_MAX_SILENCES)

    @property
    def due_ms(self) -> int | None:  # type: ignore[override]  # follows from the rest
        """When the silence reaches the next limit, and words said in the meantime are published."""
        if not self._is_waiting or self._awaited == len(self._limits):
            return None
        return self._from_ms + self._limits[self._awaited].length_ms + self._patience_ms

    def add(self, rule: DeadAir, post: Post) -> None:
        """Watch for one more rule."""
        insort(self._limits, _Limit(rule.longer_ms, None, post), key=_length)
        self._wait()

    def turn(self, turn: Turn) -> None:
        """Begin to wait again after a turn."""
        for silence in self._raised:
            silence.withdraw(turn)
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
        """Raise the alerts that are due."""
        while (due_ms := self.due_ms) is not None and due_ms < now_ms:
            limit = self._limits[self._awaited]
            self._raise(limit, self._from_ms + limit.length_ms)

    def over(self, end_ms: int) -> None:
        """Decide now about the silence at the end."""
        self._reach(end_ms)
        self._measure(end_ms)
        self._is_waiting = False

    def _speech(self, start_ms: int, end_ms: int, turn: Turn | None) -> None:
        self._reach(start_ms)  # the silence is known to its end
        self._measure(start_ms)
        if end_ms >= self._from_ms:
            self._from_ms, self._after = end_ms, turn
            self._wait()

    def _measure(self, until_ms: int) -> None:
        silent_ms = until_ms - self._from_ms
        if not self._is_paused and silent_ms > (self.best.value if self.best else 0):
            self.best = Measure(silent_ms, self._cite(until_ms))

    def _wait(self) -> None:
        self._awaited = 0
        self._patience_ms = self._limits[0].post.patience_ms
        self._is_waiting = not self._is_paused

    def _reach(self, until_ms: int) -> None:
        """Raise the alerts about a silence that is known until a time."""
        silent_ms = until_ms - self._from_ms
        while self.due_ms is not None and silent_ms >= self._limits[self._awaited].length_ms:
            self._raise(self._limits[self._awaited], until_ms)

    def _raise(self, limit: _Limit, until_ms: int) -> None:
        if self._awaited == 0:
            key = self._after.key if self._after else str(self._from_ms)
            self._raised.append(_Silence(self._from_ms, key))
        self._raised[-1].limits.append(limit)
        limit.post.raise_alert(self._raised[-1].key, self._cite(until_ms))
        self._awaited += 1

    def _cite(self, until_ms: int) -> Cite:
        if self._after:
            return self._after.cite(self._from_ms, until_ms)
        return Cite(start_ms=self._from_ms, end_ms=until_ms)


@dataclass(slots=True)
class _Run:
    """Turns of one track that no other interrupts for more than a word.

    Attributes:
        reached: how many limits are known to be reached.
    """

    first: Turn
    last: Turn
    reached: int = 0


class MonologueWatch(Watch):
    """Raises an alert when one speaks for long enough and no other more than a word."""

    def __init__(self) -> None:
        self._limits: list[_Limit] = []
        self._runs: dict[tuple[str, str], _Run] = {}  # the last one, per track
        self._broken: set[tuple[str, str]] = set()
        self._longest_ms = 0
        self._longest: tuple[Turn, Turn] | None = None

    def add(self, rule: Monologue, post: Post) -> None:
        """Watch for one more rule."""
        insort(self._limits, _Limit(round(rule.longer_s * 1000), rule.role, post), key=_length)

    def turn(self, turn: Turn) -> None:
        """Extend the speaker's run, and break those of others."""
        track = turn.stream, turn.track
        run = self._runs.get(track)
        if turn.length_ms >= _BACKCHANNEL_MS and len(self._broken) < len(self._runs):
            self._broken |= self._runs.keys() - {track}
        if run is None or (turn is not run.last and self._begins_again(track, turn, run)):
            run = self._runs[track] = _Run(turn, turn)
            self._broken.discard(track)
        run.last = turn
        self._judge(run)

    def _begins_again(self, track: tuple[str, str], turn: Turn, run: _Run) -> bool:
        return track in self._broken or turn.start_ms - run.last.end_ms > _BREAK_MS

    def _judge(self, run: _Run) -> None:
        first, last = run.first, run.last
        length_ms = last.end_ms - first.start_ms
        if length_ms > self._longest_ms and any(
            speaks(last.role, each.role) for each in self._limits
        ):
            self._longest_ms, self._longest = length_ms, (first, last)
        if last.is_final:  # it may be shorter than its deltas
            run.reached = 0
        while run.reached < len(self._limits):
            limit = self._limits[run.reached]
            if length_ms < limit.length_ms:
                break
            if speaks(last.role, limit.role):
                limit.post.raise_alert(first.key, last.cite(first.start_ms))
            run.reached += 1
        if last.is_final:
            for limit in self._limits[run.reached :]:
                limit.post.withdraw(first.key)

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
