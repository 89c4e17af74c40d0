"""Waits for the first call that gateways could not transcribe because the endpoint is deleted.

Gateways may not create endpoints, so they do not wake one. They export that sessions fail at it.
"""

from collections.abc import Callable
from typing import Final

from deploy.sagemaker.config import Deployment, Watch
from deploy.sagemaker.errors import DeployError, Kind, one_line
from deploy.sagemaker.execute import Clock

_POLL_S: Final = 15.0
# A gateway exports a failure for 300 s (gateway/admission/endpoint_health.py), and Prometheus a
# value for as long again after the gateway is gone. A value of 1 that does not end within both is
# about a call that came after the wait began.
_STALE_S: Final = 660.0


def expression(deployment: Deployment, watch: Watch) -> str:
    """Return the PromQL expression that is 1 while sessions fail at the endpoint."""
    return f'max(callscribe_endpoint_failing{{endpoint="{watch.endpoint or deployment.name}"}})'


def wait(
    deployment: Deployment,
    query: Callable[[str], float | None],
    clock: Clock,
    say: Callable[[str], None],
    limit_s: float,
) -> bool:
    """Wait until a session has failed since now; return False if none has within the limit.

    A failure from before, such as of a call that was live when the endpoint was deleted, must end
    first: each gateway reports one for some minutes.

    Raises:
        DeployError: the deployment file has no `watch.prometheus`.
    """
    if deployment.watch is None:
        raise DeployError(Kind.USAGE, "set watch.prometheus: it tells whether a call came")
    wanted = expression(deployment, deployment.watch)
    started_s, said, was_clear = clock.now(), "", False
    while (waited_s := clock.now() - started_s) < limit_s:
        line, failing = _state(wanted, query)
        if failing and (was_clear or waited_s > _STALE_S):
            return True
        was_clear = was_clear or failing is False
        if line != said:
            say(f"  {waited_s:.0f} s: {line}")
            said = line
        clock.sleep(_POLL_S)
    return False


def _state(wanted: str, query: Callable[[str], float | None]) -> tuple[str, bool | None]:
    """Return a line about what Prometheus says, and whether sessions fail; None if not known."""
    try:
        value = query(wanted)
    except OSError as error:
        return f"Prometheus can't be queried: {one_line(str(error))}", None
    if value is None:
        return f"Prometheus has no data of {wanted}", False
    return ("sessions fail since before", True) if value else ("no call", False)
