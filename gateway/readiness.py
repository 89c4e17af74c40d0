"""Whether this process should get new calls, as `/readyz` reports it.

Every part that can be degraded or not ready adds a source:

    readiness.add(lambda: [not_ready("draining")] if streams.draining else [])

A source returns what is wrong now and nothing if all is well. It is called at every probe, so it
returns at once: what has to be measured is measured elsewhere and remembered.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Condition(NamedTuple):
    """One thing that is wrong."""

    reason: str  # a slug, and in parentheses what else helps; never content or secrets
    ready: bool  # whether new calls are welcome all the same


def degraded(reason: str) -> Condition:
    """Return a condition in which new calls are still welcome."""
    return Condition(reason, ready=True)


def not_ready(reason: str) -> Condition:
    """Return a condition in which new calls should go elsewhere."""
    return Condition(reason, ready=False)


type Source = Callable[[], Iterable[Condition]]


class Readiness:
    """All sources of one process."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Ask a source at every probe from now on."""
        self._sources.append(source)

    @property
    def conditions(self) -> list[Condition]:
        """Everything that is wrong now; first what makes the process not ready."""
        found = [condition for source in self._sources for condition in source()]
        return sorted(found, key=lambda condition: condition.ready)

    def report(self) -> tuple[int, str]:
        """Return the status and the text of `/readyz`, one condition per line.

        The first line is `ok`, or `not ready: <reason>`.
        """
        conditions = self.conditions
        ready = all(condition.ready for condition in conditions)
        lines = ["ok"] if ready else []
        lines += [f"{'degraded' if c.ready else 'not ready'}: {c.reason}" for c in conditions]
        return (200 if ready else 503), "\n".join(lines) + "\n"
