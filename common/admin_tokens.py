"""The named bearer tokens of an admin API and their scopes, from a setting in JSON. Pure."""

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


@dataclass(frozen=True, slots=True)
class Holder[S: StrEnum]:
    """The holder of a token."""

    name: str
    scopes: frozenset[S]


class _Grant(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    scopes: list[str]


class AdminTokens[S: StrEnum]:
    """All tokens of the process. Only their SHA-256 digests are kept."""

    def __init__(self, holders: Mapping[bytes, Holder[S]]) -> None:
        self._holders = dict(holders)

    @classmethod
    def read(cls, variable: str, scopes: type[S], text: str) -> Self:
        """Parse `{"<name>": {"token": "<secret>", "scopes": ["read", "drain"]}}`.

        Args:
            variable: the setting's name, for errors.
            scopes: the actions that a token may allow.
            text: the setting's value.

        Raises:
            SettingsError: one line that names an entry by its number. It quotes nothing, because a
                token may have been written in the wrong place.
        """
        try:
            grants = msgspec.json.decode(text, type=dict[str, _Grant])
            return cls(_holders(scopes, grants))
        except (msgspec.DecodeError, UnicodeEncodeError):
            problem = (
                f'must be {{"<name>": {{"token": "<secret>", "scopes": ["{next(iter(scopes))}"]}}}}'
            )
        except ValueError as error:
            problem = str(error)
        raise SettingsError(f"{variable}: {problem}")

    def holder(self, token: str) -> Holder[S] | None:
        """Return the holder of a token, or None. All digests are compared, in constant time."""
        digest = _digest(token)
        found = None
        for known, holder in self._holders.items():
            if hmac.compare_digest(known, digest):
                found = holder
        return found


def _holders[S: StrEnum](scopes: type[S], grants: Mapping[str, _Grant]) -> dict[bytes, Holder[S]]:
    if not grants:
        raise ValueError("must have at least one entry")
    holders = {
        _digest(grant.token): _holder(f"entry {number}", name, grant, scopes)
        for number, (name, grant) in enumerate(grants.items(), start=1)
    }
    if len(holders) < len(grants):
        raise ValueError("two entries have the same token")
    return holders


def _holder[S: StrEnum](entry: str, name: str, grant: _Grant, scopes: type[S]) -> Holder[S]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{entry}: the name must be 1 to 64 of A-Z a-z 0-9 . _ -")
    if len(grant.token) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(grant.token):
        raise ValueError(
            f"{entry}: the token must be at least {MIN_TOKEN_CHARACTERS} of "
            "A-Z a-z 0-9 . _ ~ + / - and may end in ="
        )
    if not grant.scopes or not set(grant.scopes) <= set(scopes):
        raise ValueError(f"{entry}: the scopes must be some of {', '.join(scopes)}")
    return Holder(name, frozenset(map(scopes, grant.scopes)))


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
