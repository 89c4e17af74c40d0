"""Whether this process should receive new calls, as `/readyz` reports it.

Every component that can be degraded or not ready adds a source:

    readiness.add(lambda: [not_ready("draining")] if streams.draining else [])

A source returns the conditions that hold now, or nothing if the component is healthy. It is called
at every probe and must not block; a component that has to measure something does so in the
background.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Condition(NamedTuple):
    """One thing that is wrong."""

    reason: str  # a slug, and further details in parentheses; never content or secrets
    ready: bool  # whether the process should receive new calls nevertheless


def degraded(reason: str) -> Condition:
    """Return a condition in which the process should still receive new calls."""
    return Condition(reason, ready=True)


def not_ready(reason: str) -> Condition:
    """Return a condition in which new calls should go to other gateways."""
    return Condition(reason, ready=False)


type Source = Callable[[], Iterable[Condition]]


class Readiness:
    """Collects the readiness conditions of one process from their sources."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Add a source, which is called on every probe."""
        self._sources.append(source)

    @property
    def conditions(self) -> list[Condition]:
        """All conditions that hold now; those that make the process not ready come first."""
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
