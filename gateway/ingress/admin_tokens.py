"""The named bearer tokens of the admin API and their scopes, from GATEWAY_ADMIN_TOKENS. Pure."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self

import msgspec

from common.settings import SettingsError

MIN_TOKEN_CHARACTERS: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")  # is written to every audit line
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1


class Scope(StrEnum):
    """An action that a token may allow."""

    READ = "read"
    TERMINATE = "terminate"
    DRAIN = "drain"
    MINT = "mint"


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a token."""

    name: str
    scopes: frozenset[Scope]


class _Grant(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    scopes: list[str]


class AdminTokens:
    """All tokens of the process. Only their SHA-256 digests are kept."""

    def __init__(self, holders: Mapping[bytes, Holder]) -> None:
        self._holders = dict(holders)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse `{"<name>": {"token": "<secret>", "scopes": ["read", "drain"]}}`.

        Raises:
            SettingsError: one line that names an entry by its number. It quotes nothing, because a
                token may have been written in the wrong place.
        """
        try:
            grants = msgspec.json.decode(text, type=dict[str, _Grant])
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise _wrong('must be {"<name>": {"token": "<secret>", "scopes": ["read"]}}') from None
        if not grants:
            raise _wrong("must have at least one entry")
        holders: dict[bytes, Holder] = {}
        for number, (name, grant) in enumerate(grants.items(), start=1):
            holders[_digest(grant.token)] = _holder(f"entry {number}", name, grant)
        if len(holders) < len(grants):
            raise _wrong("two entries have the same token")
        return cls(holders)

    def holder(self, token: str) -> Holder | None:
        """Return the holder of a token, or None. All digests are compared, in constant time."""
        digest = _digest(token)
        found = None
        for known, holder in self._holders.items():
            if hmac.compare_digest(known, digest):
                found = holder
        return found


def _holder(entry: str, name: str, grant: _Grant) -> Holder:
    if not _NAME.fullmatch(name):
        raise _wrong(f"{entry}: the name must be 1 to 64 of A-Z a-z 0-9 . _ -")
    if len(grant.token) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(grant.token):
        raise _wrong(
            f"{entry}: the token must be at least {MIN_TOKEN_CHARACTERS} of "
            "A-Z a-z 0-9 . _ ~ + / - and may end in ="
        )
    try:
        scopes = frozenset(map(Scope, grant.scopes))
    except ValueError:
        scopes = frozenset()
    if not scopes:
        raise _wrong(f"{entry}: the scopes must be some of {', '.join(Scope)}")
    return Holder(name, scopes)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _wrong(problem: str) -> SettingsError:
    return SettingsError(f"GATEWAY_ADMIN_TOKENS: {problem}")
