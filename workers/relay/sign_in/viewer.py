"""Who looks at transcripts, and what they may see. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a viewer does; decides which pages are open to them."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Text(StrEnum):
    """Which text of a transcript a viewer sees."""

    RAW = "raw"
    REDACTED = "redacted"


class Permission(StrEnum):
    """A part of the relay."""

    CALLS = "calls"  # lists and transcripts
    TIMELINE = "timeline"
    MICROPHONE = "mic"  # transcribe the viewer's own microphone
    LINKS = "links"  # create links
    ERASE = "erase"  # erase calls


PERMISSIONS: Final = {
    Role.AGENT: frozenset({Permission.CALLS, Permission.MICROPHONE}),
    Role.SUPERVISOR: frozenset({Permission.CALLS, Permission.TIMELINE, Permission.MICROPHONE}),
    Role.AUDITOR: frozenset({Permission.CALLS, Permission.TIMELINE}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The calls that a viewer may see: those that match every value that is set.

    Attributes:
        call_id: as in events; None is any call.
        route: the call's route; None is any.
        tenant: the call's tenant; None is any.
    """

    call_id: str | None
    route: str | None
    tenant: str | None

    def admits(self, *, call_id: str, route: str, tenant: str) -> bool:
        """Return whether a call is in the scope."""
        return (
            self.call_id in (None, call_id)
            and self.route in (None, route)
            and self.tenant in (None, tenant)
        )


ALL_CALLS: Final = Scope(call_id=None, route=None, tenant=None)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person or program.

    Attributes:
        name: for people, such as in the page's header. It is not unique.
        subject: the identity for audits: `link:<id>`, or the `sub` of the OpenID provider.
        role: decides what `may` allows.
        text: which text is shown.
        scope: which calls are shown.
        expires_s: when the session ends, in Unix seconds.
        session_id: the session, which signing out revokes.
    """

    name: str
    subject: str
    role: Role
    text: Text
    scope: Scope
    expires_s: int
    session_id: str

    def may(self, what: Permission) -> bool:
        """Return whether the viewer's role has a permission."""
        return what in PERMISSIONS[self.role]
