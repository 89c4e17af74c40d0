"""Decides what follows an attempt to deliver a message. Pure.

An attempt ends in a `Result`. `decide` returns the next step:

    Delivered   the next message of the call is due
    Skipped     the adapter does not send such a message; the next one is due
    Retry       the same message is due again, after a pause
    Dead        the message becomes a dead letter, and the next message of the call is due
    Gone        the endpoint is disabled; the message waits until it is enabled

Messages of a call are delivered in order, so a message that is retried delays those behind it. The
first pauses are short, because a call is live; the later ones are long, because the endpoint is
down.
"""

from dataclasses import dataclass
from typing import Final

# Seconds after each failed attempt; the last one repeats.
PAUSES_S: Final = (1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0)
_JITTER: Final = 0.2  # so that the calls of an endpoint that was down do not return at once
_LONGEST_RETRY_AFTER_S: Final = 3600.0
_OK: Final = range(200, 300)
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended.

    Attributes:
        status: of the response; None if there was none.
        reason: a slug, if there was no response, or if it is not accepted: `timeout`, `dns`,
            `address-refused`, `connect-refused`, `connect-failed`, `tls`, `connection-lost`,
            `malformed-response`, `invalid-url`, `redirect`, `status`, `not-sent`,
            `internal-error`; of
            Salesforce, `unknown-role` and `no-words`; of Kafka, `unknown-topic`, `too-large` and
            `broker-error`.
        retry_after_s: the pause that the endpoint asks for.
        is_final: whether the adapter knows that no other attempt can succeed.
        is_done: whether the message was accepted without a status.
        is_skipped: whether the adapter does not send such messages.
    """

    status: int | None = None
    reason: str = ""
    retry_after_s: float | None = None
    is_final: bool = False
    is_done: bool = False
    is_skipped: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint has accepted the message."""
        accepted = self.status is not None and self.status in _OK and not self.reason
        return accepted or self.is_done

    @property
    def is_about_message(self) -> bool:
        """Whether the message can't be sent to any endpoint: the endpoint has not failed."""
        return self.is_final and self.status is None


@dataclass(frozen=True, slots=True)
class Policy:
    """When to give up.

    Attributes:
        budget_s: from a message's first attempt until it becomes a dead letter.
        disable_after_s: from the first failure of an endpoint that no success followed, until it is
            disabled.
    """

    budget_s: float = 21_600.0
    disable_after_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The endpoint has accepted the message."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The message is not sent, and is done."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The message is due again after `pause_s` seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class Dead:
    """The message becomes a dead letter."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint does not exist any longer, and says so."""


type Step = Delivered | Skipped | Retry | Dead | Gone


def decide(result: Result, attempts: int, age_s: float, policy: Policy, random: float) -> Step:
    """Return the step after an attempt.

    Args:
        result: of the attempt.
        attempts: how many there were, this one included.
        age_s: since the message's first attempt.
        policy: when to give up.
        random: from 0 to 1, spreads the pauses.
    """
    if result.is_skipped:
        return Skipped()
    if result.is_accepted:
        return Delivered()
    if result.status == _GONE:
        return Gone()
    if result.is_final:
        return Dead("refused")
    pause_s = pause_after(attempts, random, result.retry_after_s)
    return Dead("budget") if age_s + pause_s > policy.budget_s else Retry(pause_s)


def pause_after(attempts: int, random: float, retry_after_s: float | None = None) -> float:
    """Return the seconds between a failed attempt and the next one.

    Args:
        attempts: how many there were, at least 1.
        random: from 0 to 1.
        retry_after_s: the pause that the endpoint asks for; a longer one than usual is respected.
    """
    usual_s = PAUSES_S[min(attempts, len(PAUSES_S)) - 1] * (1 + _JITTER * (2 * random - 1))
    asked_s = min(_LONGEST_RETRY_AFTER_S, max(0.0, retry_after_s or 0.0))
    return max(usual_s, asked_s)


def is_to_be_disabled(failing_since_ms: int | None, now_ms: int, policy: Policy) -> bool:
    """Return whether an endpoint has failed for too long."""
    if failing_since_ms is None:
        return False
    return now_ms - failing_since_ms >= policy.disable_after_s * 1000
