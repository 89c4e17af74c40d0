"""Where the keys of a partition contain what belongs to a call. Pure.

A key is `cs:{pNN}:` and some names, separated by colons. Call ids have no colon. A rule applies to
keys by their first names, never by what a call id is: ids such as `events` exist.
"""

from enum import Enum, auto
from typing import Final, NamedTuple


class Part(Enum):
    """How a key relates to calls."""

    OWN = auto()  # the whole key belongs to one call
    ENTRIES = auto()  # a stream: entries belong to calls
    MEMBERS = auto()  # a sorted set or a hash: members or fields begin with a call id
    GOVERNED = auto()  # nothing of it belongs to a call, or it is what governance itself keeps
    TEMPORARY = auto()  # the copy of a stream that is being rewritten


class Kind(Enum):
    """The text that a key has, for retention."""

    RAW = auto()
    REDACTED = auto()
    OTHER = auto()  # work that is not done; kept until it is


class Rule(NamedTuple):
    """What applies to some keys.

    Attributes:
        part: how they relate to calls.
        kind: the text that they have.
        id_at: for `OWN`: which of the names is the call id.
    """

    part: Part
    kind: Kind = Kind.OTHER
    id_at: int = 0


REDACTED_SUFFIXES: Final = ("redacted", "redacted-wrapups", "alerts")

# By the first names of a key; the longest match counts.
_RULES: Final = {
    ("call",): Rule(Part.OWN, Kind.RAW, 1),
    ("writers",): Rule(Part.OWN, Kind.RAW, 1),
    ("events",): Rule(Part.ENTRIES, Kind.RAW),
    ("wrapups",): Rule(Part.ENTRIES, Kind.RAW),
    ("redacted",): Rule(Part.ENTRIES, Kind.REDACTED),
    ("alerts",): Rule(Part.ENTRIES, Kind.REDACTED),
    ("redacted-wrapups",): Rule(Part.ENTRIES, Kind.REDACTED),
    ("dead",): Rule(Part.ENTRIES),
    ("retry",): Rule(Part.ENTRIES),
    ("live",): Rule(Part.MEMBERS),
    ("due",): Rule(Part.MEMBERS),
    ("jobs",): Rule(Part.MEMBERS),
    ("push", "due"): Rule(Part.MEMBERS),
    ("push", "tries"): Rule(Part.MEMBERS),
    ("push", "seen"): Rule(Part.MEMBERS),
    ("push", "queue"): Rule(Part.OWN, id_at=3),
    ("push", "history"): Rule(Part.ENTRIES),
    ("push", "dead"): Rule(Part.ENTRIES),
    ("consumer",): Rule(Part.GOVERNED),
    ("erased",): Rule(Part.GOVERNED),
    ("erasing",): Rule(Part.GOVERNED),
    ("held",): Rule(Part.GOVERNED),
    ("ready",): Rule(Part.GOVERNED),
    ("rewrite",): Rule(Part.TEMPORARY),
}
_LONGEST: Final = max(len(names) for names in _RULES)


def rule_of(name: str) -> Rule:
    """Return the rule of a key, given without `cs:{pNN}:`.

    Other keys are those of the user's own workers: entries in their streams may belong to calls.
    """
    names = tuple(name.split(":"))
    for length in range(min(_LONGEST, len(names)), 0, -1):
        rule = _RULES.get(names[:length])
        if rule and (rule.part is not Part.OWN or len(names) > rule.id_at):
            return _with_suffix(rule, names)
    return Rule(Part.ENTRIES)


def _with_suffix(rule: Rule, names: tuple[str, ...]) -> Rule:
    """Return the rule of a derived stream of a call."""
    if names[0] == "call" and len(names) > rule.id_at + 1:
        is_redacted = names[rule.id_at + 1] in REDACTED_SUFFIXES
        return rule._replace(kind=Kind.REDACTED if is_redacted else Kind.RAW)
    return rule


def call_of(name: str, rule: Rule) -> str:
    """Return the call that owns a key with the rule `OWN`."""
    return name.split(":")[rule.id_at]


def is_of(member: str, call_id: str) -> bool:
    """Return whether a member or a field begins with a call id."""
    return member == call_id or member.startswith((f"{call_id} ", f"{call_id}:"))
