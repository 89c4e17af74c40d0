"""The errors of a deployment: each is one line that says what failed and what to do. Pure."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from deploy.sagemaker.steps import Call

_MAX_TEXT: Final = 600  # characters of AWS' own text in a line


class Kind(StrEnum):
    """What kind of failure it was."""

    QUOTA = "quota"
    CAPACITY = "capacity"
    DENIED = "access denied"
    EXISTS = "exists already"
    MISSING = "not found"
    THROTTLED = "throttled"
    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"
    REFUSED = "refused by AWS"
    INTERNAL = "AWS failed"
    BUSY = "busy"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    TIMEOUT = "still in progress"
    USAGE = "not possible"


_HINTS: Final = {
    Kind.QUOTA: "request an increase at Service Quotas, or use fewer or other instances",
    Kind.CAPACITY: "add further instances.types, or try again later",
    Kind.DENIED: "deploy/iam/builder.json has the permissions that are needed",
    Kind.EXISTS: "run the command again: it continues from what exists",
    Kind.MISSING: "run status to see what exists",
    Kind.THROTTLED: "wait a minute and run the command again",
    Kind.CREDENTIALS: "check AWS_PROFILE, or sign in again",
    Kind.UNREACHABLE: "check the network and the region, then run the command again",
    Kind.INTERNAL: "run the command again",
    Kind.BUSY: "wait until it has ended; status shows it",
    Kind.TIMEOUT: "SageMaker continues; status shows it, and the same command waits again",
}
# Results that do not say whether AWS carried the request out.
AMBIGUOUS: Final = frozenset({Kind.UNREACHABLE, Kind.INTERNAL})

_CODES: Final = {
    "ResourceLimitExceeded": Kind.QUOTA,
    "LimitExceeded": Kind.QUOTA,
    "LimitExceededException": Kind.QUOTA,
    "ServiceQuotaExceededException": Kind.QUOTA,
    "AccessDenied": Kind.DENIED,
    "AccessDeniedException": Kind.DENIED,
    "UnauthorizedOperation": Kind.DENIED,
    "NotAuthorized": Kind.DENIED,
    "FailedResourceAccessException": Kind.DENIED,
    "Throttling": Kind.THROTTLED,
    "ThrottlingException": Kind.THROTTLED,
    "ThrottledException": Kind.THROTTLED,
    "RequestLimitExceeded": Kind.THROTTLED,
    "TooManyRequestsException": Kind.THROTTLED,
    "ResourceInUse": Kind.BUSY,
    "ConflictException": Kind.BUSY,
    "ConcurrentUpdateException": Kind.BUSY,
    "ConcurrentModificationException": Kind.BUSY,
    "ResourceNotFound": Kind.MISSING,
    "ResourceNotFoundException": Kind.MISSING,
    "ObjectNotFoundException": Kind.MISSING,
    "ExpiredToken": Kind.CREDENTIALS,
    "ExpiredTokenException": Kind.CREDENTIALS,
    "InvalidClientTokenId": Kind.CREDENTIALS,
    "UnrecognizedClientException": Kind.CREDENTIALS,
    "SignatureDoesNotMatch": Kind.CREDENTIALS,
    "InternalFailure": Kind.INTERNAL,
    "InternalServerError": Kind.INTERNAL,
    "InternalServiceException": Kind.INTERNAL,
    "InternalServiceFault": Kind.INTERNAL,
    "ServiceUnavailable": Kind.INTERNAL,
}
# SageMaker answers with one code, ValidationException, for many causes.
_TEXTS: Final = (
    (re.compile(r"already exist", re.IGNORECASE), Kind.EXISTS),
    (re.compile(r"could not find|does not exist|not found", re.IGNORECASE), Kind.MISSING),
    (re.compile(r"in-progress|is being updated|cannot be updated", re.IGNORECASE), Kind.BUSY),
    (re.compile(r"not authorized to perform|could not assume", re.IGNORECASE), Kind.DENIED),
)
_CAPACITY: Final = re.compile(r"capacity|\bICE\b", re.IGNORECASE)


class DeployError(Exception):
    """A deployment, or one step, failed. The message is one line."""

    def __init__(self, kind: Kind, text: str) -> None:
        self.kind: Final = kind
        hint = _HINTS.get(kind)
        super().__init__(f"{kind}: {one_line(text)}" + (f" ({hint})" if hint else ""))


def refused(call: Call, error: Mapping[str, Any]) -> DeployError:
    """Return the error for AWS' reply to a call.

    Args:
        call: the request.
        error: the member `Error` of the reply: Code and Message.
    """
    code, text = str(error.get("Code", "")), str(error.get("Message") or "no message")
    kind = _CODES.get(code) or next(
        (kind for pattern, kind in _TEXTS if pattern.search(text)), Kind.REFUSED
    )
    return DeployError(kind, f"{call.service} {call.operation}: {code}: {text}")


def failed(endpoint: str, status: str, reason: str) -> DeployError:
    """Return the error for an endpoint that ended in a failed state."""
    kind = Kind.CAPACITY if _CAPACITY.search(reason) else Kind.FAILED
    return DeployError(kind, f"endpoint {endpoint} is {status}: {reason or 'no reason given'}")


def one_line(text: str) -> str:
    """Return a text in one line of limited length, without control characters."""
    plain = "".join(each if each.isprintable() else " " for each in text[:_MAX_TEXT])
    return " ".join(plain.split())
