"""How long calls are kept, by tenant and route: parses the file of WORKER_GOVERN_RETENTION. Pure.

[default]
archive = "365d"

[[rule]]
tenant = "acme"
streams = "1h"
archive = "30d"
"""

import re
import tomllib
from enum import StrEnum
from typing import Any, Final, NamedTuple

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


class Place(StrEnum):
    """Where calls are kept for a time of its own."""

    STREAMS = "streams"  # in Redis, raw text
    REDACTED = "redacted"  # in Redis, redacted text
    ARCHIVE = "archive"
    INDEX = "index"


class RetentionError(ValueError):
    """The file is not valid. The message names the place in it."""


class Rule(NamedTuple):
    """How long the calls of a tenant, a route, or both are kept.

    Attributes:
        tenant: None is any.
        route: None is any.
        keep_s: by place, in seconds; a place that is not there is not limited by this rule.
    """

    tenant: str | None
    route: str | None
    keep_s: dict[Place, int]

    def applies(self, tenant: str, route: str) -> bool:
        """Return whether it applies to a call."""
        return self.tenant in (None, tenant) and self.route in (None, route)


class Retention(NamedTuple):
    """The rules; for each place, the first one that applies and names it counts."""

    rules: tuple[Rule, ...] = ()

    def keep_s(self, place: Place, tenant: str, route: str) -> int | None:
        """Return how long a call is kept in a place, in seconds; None if it is not limited."""
        for rule in self.rules:
            if place in rule.keep_s and rule.applies(tenant, route):
                return rule.keep_s[place]
        return None

    def limits(self, place: Place) -> bool:
        """Return whether any rule limits a place."""
        return any(place in rule.keep_s for rule in self.rules)

    def is_over(self, place: Place, tenant: str, route: str, last_ms: int, now_ms: int) -> bool:
        """Return whether the time of a call that was written last at `last_ms` is over."""
        keep_s = self.keep_s(place, tenant, route)
        return keep_s is not None and now_ms - last_ms >= keep_s * 1000


def parse(text: str) -> Retention:
    """Parse a file.

    Raises:
        RetentionError: it is not valid.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at [^)]*\)", str(error))
        raise RetentionError(f"not TOML {place[0] if place else ''}".strip()) from None
    if unknown := sorted(set(content) - {"default", "rule"}):
        raise RetentionError(f"{unknown[0]}: must be [default] or [[rule]]")
    rules = content.get("rule", [])
    if not isinstance(rules, list):
        raise RetentionError("rule: must be [[rule]], with two brackets")
    parsed = [_rule(f"rule {n}", rule, scoped=True) for n, rule in enumerate(rules, start=1)]
    if "default" in content:
        parsed.append(_rule("default", content["default"], scoped=False))
    return Retention(tuple(parsed))


def _rule(where: str, content: Any, *, scoped: bool) -> Rule:  # noqa: ANN401 - from the file
    if not isinstance(content, dict):
        raise RetentionError(f"{where}: must be a table")
    scope = ("tenant", "route") if scoped else ()
    if unknown := sorted(set(content) - {*scope, *Place}):
        names = ", ".join([*scope, *Place])
        raise RetentionError(f"{where}: {unknown[0]} is unknown; known are {names}")
    for name in scope:
        value = content.get(name)
        if value is not None and not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise RetentionError(f"{where}: {name} must be a name")
    if scoped and not set(content) & set(scope):
        raise RetentionError(f"{where}: needs tenant, route, or both")
    keep_s = {
        Place(name): _seconds(where, name, content[name]) for name in Place if name in content
    }
    if not keep_s:
        raise RetentionError(f"{where}: needs a duration for {', '.join(Place)}")
    return Rule(content.get("tenant"), content.get("route"), keep_s)


def _seconds(where: str, name: str, value: object) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise RetentionError(f'{where}: {name} must be a duration, such as "24h" or "30d"')
    return int(found[1]) * _UNITS_S[found[2]]
