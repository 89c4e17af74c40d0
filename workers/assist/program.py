"""The rules that apply to a call, compiled: which words to look for, and for which rule. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, get_args

from workers.assist.patterns import PatternIndex
from workers.assist.phrases import PhraseIndex
from workers.assist.rules import Order, Repetition, Required, Role, Rule, RuleFile, SpokenRule
from workers.assist.words import normalized

_SPOKEN: Final = get_args(SpokenRule.__value__)
# Words of these tracks may be anyone's.
_ANYONE: Final = frozenset({"mix", "unknown"})


class Part(Enum):
    """What a match of a rule means."""

    SAID = "said"  # the rule's own phrases and patterns
    CUE = "cue"  # `after` or `before`


class Slot(NamedTuple):
    """What to look for on behalf of a rule."""

    rule: int  # its position in the file
    part: Part
    role: Role | None
    number: int = 0  # of the phrase or pattern, if each counts by itself


@dataclass(frozen=True, slots=True)
class Program:
    """The compiled rules of calls of one route and tenant.

    Attributes:
        rules: by their position in the file.
        slots: what `phrases` and `patterns` look for, by number.
    """

    rules: dict[int, Rule]
    slots: Sequence[Slot]
    phrases: PhraseIndex
    patterns: PatternIndex


class Ruleset:
    """The rules of a file, compiled once for each group of calls with the same rules."""

    def __init__(self, file: RuleFile) -> None:
        self.file = file
        self.rules = file.rules
        self.grace_ms = round(file.grace_s * 1000)
        self.labels = [rule.label for rule in file.rules]
        self.versions = dict(zip((rule.id for rule in file.rules), self.labels, strict=True))
        self._programs: dict[tuple[int, ...], Program] = {}

    def compile_all(self) -> None:
        """Compile all rules, whatever calls they are for, so that a fault shows at once."""
        self._compiled(tuple(range(len(self.rules))))

    def program(self, route: str | None, tenant: str) -> Program:
        """Return the compiled rules that apply to the calls of a route and tenant."""
        chosen = tuple(at for at, rule in enumerate(self.rules) if rule.applies_to(route, tenant))
        return self._compiled(chosen)

    def _compiled(self, chosen: tuple[int, ...]) -> Program:
        if chosen not in self._programs:
            self._programs[chosen] = _compile({at: self.rules[at] for at in chosen})
        return self._programs[chosen]


def speaks(track_role: str, role: str | None) -> bool:
    """Return whether words of a track with a role may be of the role that a rule names."""
    return role is None or track_role == role or track_role in _ANYONE


def _compile(rules: dict[int, Rule]) -> Program:
    slots: list[Slot] = []
    phrases: list[tuple[tuple[str, ...], int]] = []
    patterns: list[tuple[str, int]] = []
    for at, rule in rules.items():
        if not isinstance(rule, _SPOKEN):
            continue
        apart = isinstance(rule, Repetition)
        for number, phrase in enumerate(rule.phrases):
            slot = Slot(at, Part.SAID, rule.role, number if apart else 0)
            phrases.append((normalized(phrase), _number(slots, slot)))
        for number, pattern in enumerate(rule.patterns, len(rule.phrases)):
            slot = Slot(at, Part.SAID, rule.role, number if apart else 0)
            patterns.append((pattern, _number(slots, slot)))
        if cues := _cues(rule):
            number = _number(slots, Slot(at, Part.CUE, _cue_role(rule)))
            phrases += [(normalized(phrase), number) for phrase in cues]
    return Program(rules, slots, PhraseIndex(phrases), PatternIndex(patterns))


def _number(slots: list[Slot], slot: Slot) -> int:
    """Return the number of a slot; add it if the last one is another."""
    if not slots or slots[-1] != slot:
        slots.append(slot)
    return len(slots) - 1


def _cues(rule: SpokenRule) -> Sequence[str]:
    match rule:
        case Required():
            return rule.after
        case Order():
            return rule.before
        case _:
            return ()


def _cue_role(rule: SpokenRule) -> Role | None:
    match rule:
        case Required():
            return rule.after_role
        case Order():
            return rule.before_role or rule.role
        case _:
            return None
