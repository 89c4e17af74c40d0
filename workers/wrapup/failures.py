"""Why an attempt to make a wrap-up failed, and how often it is repeated. Pure."""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The reason of a failed attempt; in metrics, logs and dead letters."""

    UNREACHABLE = "unreachable"  # the connection failed or broke
    TIMEOUT = "timeout"
    THROTTLED = "throttled"  # status 429
    SERVER_ERROR = "server-error"  # status 5xx, or an error in the stream
    UNAUTHORIZED = "unauthorized"  # status 401 or 403
    NOT_FOUND = "not-found"  # status 404: the URL or the model
    BAD_REQUEST = "bad-request"  # another status: a parameter that the server does not know
    CONTEXT_EXCEEDED = "context-exceeded"  # the request is longer than the model's context
    CUT = "cut"  # the stream ended before the reply did
    TOO_LONG = "too-long"  # the reply reached a limit
    REFUSED = "refused"  # by the model or a content filter
    MALFORMED = "malformed"  # not JSON of the schema
    UNSUPPORTED = "unsupported"  # no sentence was left after the checks
    TOKEN_BUDGET = "token-budget"  # noqa: S105 - a reason
    CRASHED = "crashed"  # the processes that began it
    INTERNAL_ERROR = "internal-error"


# What the model replied is to blame: a repetition costs tokens, and helps rarely.
OF_REPLY: Final = frozenset(
    {Reason.TOO_LONG, Reason.REFUSED, Reason.MALFORMED, Reason.UNSUPPORTED, Reason.CONTEXT_EXCEEDED}
)
# No repetition can help.
FINAL: Final = frozenset(
    {Reason.BAD_REQUEST, Reason.TOKEN_BUDGET, Reason.CRASHED, Reason.INTERNAL_ERROR}
)


class ModelError(Exception):
    """An attempt failed. The message has no content.

    Args:
        reason: why.
        retry_after_s: for how long the server asks not to be called.
        tokens: that the attempt probably used.
    """

    def __init__(self, reason: Reason, retry_after_s: float = 0.0, tokens: int = 0) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.tokens = tokens
