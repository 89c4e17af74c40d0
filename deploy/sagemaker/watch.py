"""Watches the gateways' metrics during an update, and orders a rollback if they become worse."""

import json
import math
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import urllib3

from deploy.sagemaker.config import Deployment
from deploy.sagemaker.config import Watch as Limits
from deploy.sagemaker.errors import DeployError, one_line
from deploy.sagemaker.parts import order_rollback
from deploy.sagemaker.steps import Call

_WINDOW: Final = "5m"
_BREACHES: Final = 4  # polls in a row above a limit: one minute
_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 65_536


def expressions(limits: Limits) -> dict[str, tuple[str, float]]:
    """Return the PromQL expression and the limit by what each measures."""
    return {
        "first delta (95th percentile, s)": (
            _percentile("callscribe_first_delta_seconds"),
            limits.first_delta_s,
        ),
        "lag of sessions (95th percentile, s)": (
            _percentile("callscribe_session_lag_seconds"),
            limits.lag_s,
        ),
        "failed sessions per opened one": (
            f"sum(rate(callscribe_session_failures_total[{_WINDOW}]))"
            f" / sum(rate(callscribe_sessions_opened_total[{_WINDOW}]))",
            limits.failure_ratio,
        ),
    }


class Watch:
    """Polls Prometheus; orders one rollback when a limit is exceeded for a minute.

    Args:
        deployment: with `watch`.
        query: returns the value of an expression, or None without data; may raise OSError.
        call: carries out a call.
        say: prints one line.
    """

    def __init__(
        self,
        deployment: Deployment,
        query: Callable[[str], float | None],
        call: Callable[[Call], object],
        say: Callable[[str], None],
    ) -> None:
        self._deployment: Final = deployment
        self._query: Final = query
        self._call: Final = call
        self._say: Final = say
        self._breaches = 0
        self._ordered = False

    def poll(self) -> None:
        """Query once, and order the rollback if it is time to."""
        if self._ordered or self._deployment.watch is None:
            return
        reason = self._exceeded(self._deployment.watch)
        self._breaches = self._breaches + 1 if reason else 0
        if reason and self._breaches >= _BREACHES:
            self._order(reason)

    def _exceeded(self, limits: Limits) -> str:
        over = []
        for name, (expression, limit) in expressions(limits).items():
            try:
                value = self._query(expression)
            except OSError as error:
                self._say(f"  Prometheus can't be queried: {one_line(str(error))}")
                return ""
            if value is not None and value > limit:
                over.append(f"{name} is {value:.3g}, the limit is {limit:g}")
        return "; ".join(over)

    def _order(self, reason: str) -> None:
        self._say(f"  rolling back: {reason}")
        try:
            self._call(order_rollback(self._deployment, reason))
        except DeployError as error:  # ordered again at the next poll
            self._say(f"  {error}")
        else:
            self._ordered = True


def prometheus(url: str) -> Callable[[str], float | None]:
    """Return a function that evaluates an expression at a Prometheus server."""
    pool = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)

    def query(expression: str) -> float | None:
        address = f"{url}/api/v1/query?{urlencode({'query': expression})}"
        try:
            with pool.request("GET", address, preload_content=False, redirect=False) as reply:
                status, body = reply.status, reply.read(_MAX_BYTES)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from None
        if status != 200:
            raise OSError(f"status {status}")
        return parse_value(body)

    return query


def parse_value(body: bytes) -> float | None:
    """Parse the reply to an instant query; return None without a number.

    Raises:
        OSError: it is not Prometheus' format.
    """
    try:
        result = json.loads(body)["data"]["result"]
        value = float(result[0]["value"][1]) if result else math.nan
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise OSError("the reply is not of Prometheus' format") from None
    return None if math.isnan(value) else value  # infinite: all sessions failed


def _percentile(metric: str) -> str:
    return f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket[{_WINDOW}])))"
