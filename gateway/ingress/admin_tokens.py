"""The scopes of the admin API's bearer tokens, from GATEWAY_ADMIN_TOKENS. Pure."""

from enum import StrEnum

from common.admin_tokens import AdminTokens


class Scope(StrEnum):
    """An action that a token may allow."""

    READ = "read"
    TERMINATE = "terminate"
    DRAIN = "drain"
    MINT = "mint"


def read_tokens(text: str) -> AdminTokens[Scope]:
    """Parse GATEWAY_ADMIN_TOKENS; see `AdminTokens.read`."""
    return AdminTokens.read("GATEWAY_ADMIN_TOKENS", Scope, text)
