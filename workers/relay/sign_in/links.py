"""Creates and verifies signed links, which admit whoever opens them until they expire. Pure.

    https://relay.example.com/open#<token>

The token is in the fragment, which browsers send neither to servers nor as a referrer.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from workers.relay.sign_in.tokens import MAX_LIFETIME_S, Keyring, Kind
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Scope, Text, Viewer

DEFAULT_LIFETIME_S: Final = 8 * 3600

_NAME: Final = re.compile(r"[^\W_][\w .@'-]{0,63}")  # is shown on pages and in the audit log
_VALUE: Final = re.compile(r"[A-Za-z0-9._~%-]{1,300}")  # an id of events is encoded like this


@dataclass(frozen=True, slots=True)
class Grant:
    """What a link admits to.

    Attributes:
        name: who the link is for.
        lifetime_s: how long the link is valid, in seconds.

    Raises:
        ValueError: the name or the lifetime is invalid; the message is one sentence.
    """

    scope: Scope
    role: Role = Role.AGENT
    text: Text = Text.REDACTED
    name: str = "guest"
    lifetime_s: int = DEFAULT_LIFETIME_S

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("the name must be 1 to 64 letters, digits, spaces or . @ ' _ -")
        if not 0 < self.lifetime_s <= MAX_LIFETIME_S:
            raise ValueError("the lifetime must be 1 second to 30 days")


def single_scope(
    call_id: str | None, route: str | None, tenant: str | None, *, is_all: bool
) -> Scope:
    """Return the scope that exactly one of the arguments selects.

    Raises:
        ValueError: not exactly one is set, or its value is invalid.
    """
    values = [value for value in (call_id, route, tenant) if value is not None]
    if len(values) + is_all != 1:
        raise ValueError("the scope must be exactly one of a call, a route, a tenant or all")
    if not all(map(_VALUE.fullmatch, values)):
        raise ValueError("the scope must be as in events: 1 to 300 of A-Z a-z 0-9 . _ ~ % -")
    return ALL_CALLS if is_all else Scope(call_id, route, tenant)


@dataclass(frozen=True, slots=True)
class Link:
    """A new link."""

    token: str = field(repr=False)
    viewer: Viewer  # whom it admits

    def url(self, public_url: str) -> str:
        """Return the URL to open in a browser."""
        return f"{public_url}/open#{self.token}"


def mint(keys: Keyring, grant: Grant, *, link_id: str, now_s: float) -> Link:
    """Create a link.

    Args:
        keys: the relay's keys.
        grant: what the link admits to.
        link_id: a random id, which names the link in the audit log.
        now_s: the current time, in Unix seconds.
    """
    viewer = Viewer(
        name=grant.name,
        subject=f"link:{link_id}",
        role=grant.role,
        text=grant.text,
        scope=grant.scope,
        expires_s=int(now_s) + grant.lifetime_s,
        session_id=link_id,
    )
    return Link(keys.sign(Kind.LINK, viewer, now_s=now_s, until_s=viewer.expires_s), viewer)


def verify(keys: Keyring, token: str, now_s: float) -> Viewer:
    """Return the viewer that a link admits; its session id is the link's id.

    Raises:
        TokenError: the link is expired or invalid.
    """
    return keys.verify(Kind.LINK, token, Viewer, now_s)
