"""Judges an endpoint while a command waits for it. Pure."""

from deploy.sagemaker.errors import DeployError, Kind, failed
from deploy.sagemaker.state import Endpoint
from deploy.sagemaker.steps import Until, Wait

_BROKEN = frozenset({"Failed", "OutOfService", "UpdateRollbackFailed"})


def is_over(wait: Wait, live: Endpoint | None) -> bool:
    """Return whether a wait has ended with success.

    Raises:
        DeployError: it has ended with a failure.
    """
    if wait.until is Until.SETTLED:
        return live is None or live.is_stable
    if live is None:
        if wait.until is Until.GONE:
            return True
        raise DeployError(Kind.FAILED, f"endpoint {wait.endpoint} was deleted meanwhile")
    if live.status in _BROKEN:
        raise failed(wait.endpoint, live.status, live.reason)
    if live.status != "InService" or wait.until is Until.GONE:
        return False
    if live.config != wait.config:
        reason = live.reason or "no reason given"
        raise DeployError(
            Kind.ROLLED_BACK,
            f"endpoint {wait.endpoint} runs {live.config}, not {wait.config}: {reason}",
        )
    if wait.count is not None and live.count != wait.count:
        raise failed(
            wait.endpoint,
            f"in service with {live.count} of {wait.count} instances",
            live.reason or "capacity is missing",
        )
    return True


def has_begun(wait: Wait, live: Endpoint | None) -> bool:
    """Return whether a request was carried out whose reply was lost.

    Args:
        wait: what follows the request.
        live: the endpoint after the request.
    """
    if wait.until is Until.GONE:
        return live is None or live.status == "Deleting"
    if live is None:
        return False
    reached = live.config == wait.config and wait.count in (None, live.count)
    return reached or not live.is_stable


def progress(live: Endpoint | None) -> str:
    """Return what the endpoint does, in a few words."""
    if live is None:
        return "does not exist"
    words = f"{live.status}, {live.count} of {live.desired} instances"
    if live.messages:
        words += f" ({'; '.join(live.messages)})"
    return words
