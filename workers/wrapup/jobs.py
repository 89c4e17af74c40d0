"""A wrap-up to be made, and when a failed attempt is repeated. Pure."""

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from workers.wrapup.failures import FINAL, OF_REPLY, Reason

REQUESTED: Final = "wrapup.requested"  # the type of an entry that requests a wrap-up
REQUEST_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_MAX_REPLIES: Final = 3  # attempts whose reply could not be used
_MAX_CRASHES: Final = 5  # attempts that ended without a result
_BACKOFF_MS: Final = (1_000, 60_000)  # doubles from the first to the second
_REDIS_BACKOFF_MS: Final = 2_000


class Trigger(StrEnum):
    """Why a wrap-up is made."""

    ENDED = "ended"
    REQUESTED = "requested"


class Budget(NamedTuple):
    """What one wrap-up may cost, attempts included.

    Attributes:
        ms: from the beginning of the first attempt until the beginning of the last.
        tokens: of requests and replies.
    """

    ms: int
    tokens: int


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wrap-up to be made.

    Attributes:
        call_id: the call.
        wrapup: the id of the wrap-up, unique in the call and the same whenever the job is created.
        trigger: why it is made.
        due_ms: when to begin, in Unix ms of the Redis server.
        fields: the entry that created the job; becomes the dead letter.
        begun_ms: when the first attempt began; 0 before it.
        tries: attempts that were begun.
        failures: attempts that failed.
        replies: those that failed because of the reply.
        tokens: used so far.
        last: the reason of the last failure.
    """

    call_id: str
    wrapup: str
    trigger: Trigger
    due_ms: int
    fields: dict[str, str]
    begun_ms: int = 0
    tries: int = 0
    failures: int = 0
    replies: int = 0
    tokens: int = 0
    last: Reason | None = None

    @property
    def key(self) -> str:
        """The name of the job in its partition."""
        return f"{self.call_id} {self.wrapup}"

    def __repr__(self) -> str:
        """Return what identifies the job; a label or parameter of the call is content."""
        return f"<{type(self).__name__} {self.key}>"


class Failure(NamedTuple):
    """A job that is not attempted again."""

    job: Job
    reason: Reason


def of_end(fields: Mapping[str, str], written_ms: int, grace_ms: int) -> Job:
    """Return the job of a `stream.ended`."""
    identity = " ".join((fields["stream_id"], fields["epoch"], fields["n"]))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return Job(
        fields["call_id"], f"ended-{digest}", Trigger.ENDED, written_ms + grace_ms, dict(fields)
    )


def of_request(fields: Mapping[str, str], written_ms: int) -> Job:
    """Return the job of a request.

    Raises:
        ValueError: it is malformed.
    """
    if not REQUEST_ID.fullmatch(fields.get("request", "")):
        raise ValueError("the request has no id")
    wrapup = f"requested-{fields['request']}"
    return Job(fields["call_id"], wrapup, Trigger.REQUESTED, written_ms, dict(fields))


def begun(job: Job, now_ms: int) -> Job | Failure:
    """Return a job whose next attempt begins now, unless the ones before crashed their process."""
    if job.tries - job.failures >= _MAX_CRASHES:
        return Failure(job, Reason.CRASHED)
    return msgspec.structs.replace(job, tries=job.tries + 1, begun_ms=job.begun_ms or now_ms)


def used(job: Job, tokens: int) -> Job:
    """Return a job that has used more tokens."""
    return msgspec.structs.replace(job, tokens=job.tokens + tokens)


def interrupted(job: Job) -> Job:
    """Return a job whose attempt was cancelled, so that another worker continues."""
    return msgspec.structs.replace(job, tries=max(job.tries - 1, job.failures))


def postponed(job: Job, now_ms: int) -> Job:
    """Return a job whose attempt could not reach Redis."""
    return msgspec.structs.replace(interrupted(job), due_ms=now_ms + _REDIS_BACKOFF_MS)


def failed(
    job: Job, reason: Reason, now_ms: int, budget: Budget, retry_after_ms: int = 0
) -> Job | Failure:
    """Return when a failed job is attempted again, or that it is not.

    Args:
        job: with the tokens that the attempt used.
        reason: why the attempt failed.
        now_ms: the server's time.
        budget: what a wrap-up may cost.
        retry_after_ms: for how long the model's server asks not to be called.
    """
    replies = job.replies + (reason in OF_REPLY)
    job = msgspec.structs.replace(job, failures=job.failures + 1, replies=replies, last=reason)
    first_ms, longest_ms = _BACKOFF_MS
    wait_ms = max(min(first_ms << min(job.failures - 1, 10), longest_ms), retry_after_ms)
    due_ms = now_ms + wait_ms
    if reason in FINAL or replies >= _MAX_REPLIES or due_ms > job.begun_ms + budget.ms:
        return Failure(job, reason)
    if job.tokens >= budget.tokens:
        return Failure(job, Reason.TOKEN_BUDGET)
    return msgspec.structs.replace(job, due_ms=due_ms)


def encode(job: Job) -> str:
    """Return a job as it is stored."""
    return msgspec.json.encode(job).decode()


def decode(text: str | bytes) -> Job | None:
    """Return a stored job; None if a newer version has stored it in another form."""
    try:
        return msgspec.json.decode(text, type=Job)
    except msgspec.DecodeError:
        return None
