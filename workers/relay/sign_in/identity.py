"""Derives a viewer from the claims of an OpenID provider. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from workers.relay.sign_in.refusal import SignInError
from workers.relay.sign_in.viewer import Role, Scope, Text, Viewer

_MAX_NAME: Final = 64
_MAX_SUBJECT: Final = 255  # OpenID Connect Core 1.0, section 2
_MAX_TENANT: Final = 128
_NAME_CLAIMS: Final = ("name", "preferred_username", "email", "sub")
_TEXT: Final = {
    Role.AGENT: Text.REDACTED,
    Role.SUPERVISOR: Text.RAW,
    Role.AUDITOR: Text.REDACTED,
    Role.ADMIN: Text.RAW,
}

type Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Which claim decides the role, and the role of each of its values.

    Attributes:
        claim: a claim of the ID token, whose value is a text or a list of texts.
        values: roles by value. The first value that the user has counts.
    """

    claim: str
    values: Annotated[dict[str, Role], Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Rules:
    """How claims become a viewer.

    Attributes:
        roles: decides the role.
        tenant_claim: the claim with the user's tenant; None admits to the calls of all tenants.
        text: replaces the default text of roles.
    """

    roles: RoleTable
    tenant_claim: str | None
    text: Mapping[Role, Text]


def viewer_of(claims: Claims, rules: Rules, *, expires_s: int) -> Viewer:
    """Return the viewer whom an ID token names; the session id is still empty.

    Raises:
        SignInError: no-role, no-tenant, or token-invalid if it has no subject.
    """
    subject = _text(claims.get("sub"), _MAX_SUBJECT)
    if subject is None:
        raise SignInError("token-invalid")
    role = _role(claims, rules.roles)
    return Viewer(
        name=next(_names(claims)),
        subject=f"user:{subject}",
        role=role,
        text=rules.text.get(role, _TEXT[role]),
        scope=Scope(call_id=None, route=None, tenant=_tenant(claims, rules.tenant_claim)),
        expires_s=expires_s,
        session_id="",
    )


def _role(claims: Claims, table: RoleTable) -> Role:
    found = claims.get(table.claim)
    values = found if isinstance(found, list) else [found]
    held = {value for value in values if isinstance(value, str)}
    for value, role in table.values.items():
        if value in held:
            return role
    raise SignInError("no-role")


def _tenant(claims: Claims, claim: str | None) -> str | None:
    if claim is None:
        return None
    tenant = _text(claims.get(claim), _MAX_TENANT)
    if tenant is None:
        raise SignInError("no-tenant")
    return tenant


def _names(claims: Claims) -> Iterator[str]:
    for claim in _NAME_CLAIMS:
        value = claims.get(claim)
        if isinstance(value, str):
            name = "".join(filter(str.isprintable, value)).strip()[:_MAX_NAME]
            if name:
                yield name
    yield "unnamed"


def _text(value: object, limit: int) -> str | None:
    """Return a value that is printable text of 1 to `limit` characters, else None."""
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
        return value
    return None
