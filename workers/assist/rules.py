"""The rules of a file: their keys, and the limits of each value. Pure.

docs/assist.md describes the keys for those who write rules; each kind of rule is one class here.
"""

import hashlib
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from common.settings import matching
from gateway.transcript.events import GapCause
from workers.assist.patterns import MAX_LENGTH, PatternError, check_pattern
from workers.assist.words import normalized

_MAX_WORDS: Final = 20  # of a phrase
_MAX_RULES: Final = 1000


def _check_phrase(text: str) -> str:
    words = len(normalized(text))
    if not 1 <= words <= _MAX_WORDS:
        raise ValueError(f"must have 1 to {_MAX_WORDS} words")
    return text


def _check_pattern(text: str) -> str:
    try:
        check_pattern(text)
    except PatternError as error:
        raise ValueError(str(error)) from None
    return text


type Phrase = Annotated[str, Field(max_length=500), AfterValidator(_check_phrase)]
type Pattern = Annotated[str, Field(max_length=MAX_LENGTH), AfterValidator(_check_pattern)]
type Phrases = Annotated[tuple[Phrase, ...], Field(max_length=200)]
type Patterns = Annotated[tuple[Pattern, ...], Field(max_length=50)]
type Role = Literal["agent", "customer"]
type Severity = Literal["info", "warning", "critical"]
type Name = Annotated[str, Field(min_length=1, max_length=128)]
type Names = Annotated[tuple[Name, ...], Field(max_length=200)]
type RuleId = Annotated[
    str, matching(r"[a-z0-9][a-z0-9._-]{0,63}", "must be small letters, digits and . _ -, up to 64")
]
type Seconds = Annotated[float, Field(gt=0, le=86_400)]
type Milliseconds = Annotated[int, Field(gt=0, le=86_400_000)]
type Percent = Annotated[float, Field(gt=0, lt=100)]
type WordsPerMinute = Annotated[int, Field(gt=0, le=1000)]


class _Keys(BaseModel):
    """The keys of every rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: RuleId
    title: Annotated[str, Field(min_length=1, max_length=200)]
    severity: Severity = "warning"
    role: Role | None = None
    routes: Names = ()
    tenants: Names = ()
    version: Annotated[str, Field(max_length=64)] = ""
    once: bool = False

    @property
    def label(self) -> str:
        """The version that alerts carry: the file's, or a digest of the rule."""
        text = self.model_dump_json(exclude={"version"}, exclude_defaults=True)
        return self.version or hashlib.sha256(text.encode()).hexdigest()[:8]

    def applies_to(self, route: str | None, tenant: str) -> bool:
        """Return whether the rule is for the calls of a route and tenant."""
        return (not self.routes or route in self.routes) and (
            not self.tenants or tenant in self.tenants
        )


class _Spoken(_Keys):
    """A rule about words."""

    phrases: Phrases = ()
    patterns: Patterns = ()

    @model_validator(mode="after")
    def _has_words(self) -> "_Spoken":
        if not self.phrases and not self.patterns:
            raise ValueError("needs phrases or patterns")
        return self


class Said(_Spoken):
    """Alerts whenever one of the phrases is said."""

    kind: Literal["said"]


class Never(_Spoken):
    """The same, for what must never be said."""

    kind: Literal["never"]
    severity: Severity = "critical"


class Required(_Spoken):
    """Alerts if none of the phrases is said in time."""

    kind: Literal["required"]
    within_s: Seconds | None = None
    after: Phrases = ()
    after_role: Role | None = None

    @model_validator(mode="after")
    def _is_in_time(self) -> "Required":
        if self.after and self.within_s is None:
            raise ValueError("after needs within_s")
        if self.after_role and not self.after:
            raise ValueError("after_role needs after")
        return self


class Order(_Spoken):
    """Alerts if something else is said before one of the phrases was."""

    kind: Literal["order"]
    before: Annotated[Phrases, Field(min_length=1)]
    before_role: Role | None = None


class Repetition(_Spoken):
    """Alerts if a speaker says the same phrase several times."""

    kind: Literal["repetition"]
    times: Annotated[int, Field(ge=2, le=100)] = 2
    within_s: Seconds = 60


class TalkOver(_Keys):
    """Alerts if two speak at once."""

    kind: Literal["talk_over"]
    longer_ms: Milliseconds = 2000


class DeadAir(_Keys):
    """Alerts if no one speaks."""

    kind: Literal["dead_air"]
    longer_ms: Milliseconds = 10_000


class TalkRatio(_Keys):
    """Alerts if a role has too much or too little of the speaking time."""

    kind: Literal["talk_ratio"]
    role: Role
    above_percent: Percent | None = None
    below_percent: Percent | None = None
    after_s: Seconds = 60
    window_s: Seconds | None = None

    @model_validator(mode="after")
    def _has_limit(self) -> "TalkRatio":
        if self.above_percent is None and self.below_percent is None:
            raise ValueError("needs above_percent or below_percent")
        return self


class Monologue(_Keys):
    """Alerts if one speaks for a long time without the other."""

    kind: Literal["monologue"]
    longer_s: Seconds = 90


class Pace(_Keys):
    """Alerts if somebody speaks slowly or fast."""

    kind: Literal["pace"]
    slower_than_wpm: WordsPerMinute | None = None
    faster_than_wpm: WordsPerMinute | None = None
    window_s: Seconds = 30

    @model_validator(mode="after")
    def _has_limit(self) -> "Pace":
        if self.slower_than_wpm is None and self.faster_than_wpm is None:
            raise ValueError("needs slower_than_wpm or faster_than_wpm")
        return self


class Trouble(_Keys):
    """Alerts if words are missing, or a stream failed."""

    kind: Literal["trouble"]
    causes: tuple[GapCause, ...] = (GapCause.RECONNECT, GapCause.MODEL_MUTE, GapCause.BACKPRESSURE)
    longer_ms: Milliseconds = 500
    ends: tuple[Literal["failed", "lost", "refused"], ...] = ("failed", "lost")


type Rule = (
    Said
    | Never
    | Required
    | Order
    | Repetition
    | TalkOver
    | DeadAir
    | TalkRatio
    | Monologue
    | Pace
    | Trouble
)
type SpokenRule = Said | Never | Required | Order | Repetition
KINDS: Final = tuple(
    kind.model_fields["kind"].annotation.__args__[0] for kind in Rule.__value__.__args__
)


class RuleFile(BaseModel):
    """A whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal["1"]
    grace_s: Annotated[float, Field(ge=0, le=60)] = 4.0
    rules: Annotated[
        tuple[Annotated[Rule, Field(discriminator="kind")], ...], Field(max_length=_MAX_RULES)
    ]
