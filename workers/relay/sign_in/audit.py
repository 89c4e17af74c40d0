"""Writes the audit log: who looked at which call, who signed in, and who was refused.

One line per action, without content and without tokens:

    call-opened who=ann subject=link:b1f0 role=agent text=redacted ip=10.0.0.7 call_id=CA1 tenant=b

The same fields are an entry of the audit trail (`workers/governance/trail.py`).
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from common.throttle import Throttle
from gateway.transcript.encode import rfc3339_ms
from workers.relay.sign_in.viewer import Viewer

_PLAIN: Final = re.compile(r"[\w.:@/+%~-]+", re.ASCII)
_log = logging.getLogger("workers.audit")


class Action(StrEnum):
    """An action of a viewer."""

    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    CALL_OPENED = "call-opened"
    STREAM_OPENED = "stream-opened"
    ASSIST_OPENED = "assist-opened"
    TIMELINE_OPENED = "timeline-opened"
    SEARCHED = "searched"
    WRAPUP_REQUESTED = "wrapup-requested"


class Audit:
    """The audit log of a relay.

    Args:
        monotonic_s: the monotonic clock, in seconds.
        record: appends an entry to the audit trail, without waiting.
        wall_s: the current time, in Unix seconds.
    """

    def __init__(
        self,
        monotonic_s: Callable[[], float],
        record: Callable[[Mapping[str, str | None]], None],
        wall_s: Callable[[], float],
    ) -> None:
        self._refusals = Throttle(monotonic_s)
        self._record = record
        self._wall_s = wall_s

    def note(
        self,
        action: Action,
        viewer: Viewer,
        ip: str | None,
        *,
        call_id: str | None = None,
        tenant: str | None = None,
    ) -> None:
        """Write the line of a viewer's action, with the call that it concerns, if any."""
        self._write(action, **_fields(viewer), ip=ip, call_id=call_id, tenant=tenant)

    def refuse(
        self, reason: str, ip: str | None, viewer: Viewer | None = None, call_id: str | None = None
    ) -> None:
        """Write the line of a refusal, at most once a minute for each reason and address.

        Args:
            reason: a slug.
            ip: the address.
            viewer: who was refused; None if they are not signed in.
            call_id: the call. Not one that a client without a session sent: it may be any text.
        """
        suppressed = self._refusals.admit((reason, ip, viewer.session_id if viewer else None))
        if suppressed is not None:
            fields = _fields(viewer) if viewer else {}
            more = {"suppressed": str(suppressed)} if suppressed else {}
            self._write("refused", reason=reason, **fields, ip=ip, call_id=call_id, **more)

    def mint(self, holder: str, outcome: str, ip: str | None, link: Viewer | None) -> None:
        """Write the line of a request for a link.

        Args:
            holder: the name of the admin token.
            outcome: `ok`, or why no link was created.
            ip: the address.
            link: whom the link admits, if it was created.
        """
        fields = {f"link_{name}": value for name, value in _fields(link).items()} if link else {}
        scope = link.scope if link else None
        call_id, tenant = (scope.call_id, scope.tenant) if scope else (None, None)
        self._write(
            "link-minted",
            who=holder,
            outcome=outcome,
            **fields,
            ip=ip,
            call_id=call_id,
            route=scope.route if scope else None,
            tenant=tenant,
        )

    def _write(self, slug: str, **fields: str | None) -> None:
        parts = [slug, *(f"{name}={_quoted(value)}" for name, value in fields.items() if value)]
        _log.info("%s", " ".join(parts))
        self._record({"at": rfc3339_ms(self._wall_s()), "action": slug, **fields})


def _fields(viewer: Viewer) -> dict[str, str | None]:
    return {
        "who": viewer.name,
        "subject": viewer.subject,
        "role": viewer.role,
        "text": viewer.text,
    }


def _quoted(value: str) -> str:
    """Return a value on one line, in quotes if it has spaces or other special characters."""
    return value if _PLAIN.fullmatch(value) else json.dumps(value)
