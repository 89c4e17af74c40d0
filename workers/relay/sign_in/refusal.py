"""The reasons why a sign-in at an OpenID provider is refused, and what the viewer reads. Pure."""

from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """What the viewer reads."""

    status: int
    text: str


EXPLANATIONS: Final = {
    "attempt-invalid": Explanation(
        400, "This sign-in was started in another window or more than ten minutes ago."
    ),
    "denied": Explanation(403, "Your organization's sign-in service did not sign you in."),
    "code-refused": Explanation(
        403, "Your organization's sign-in service did not confirm this sign-in."
    ),
    "token-invalid": Explanation(
        403, "Your organization's sign-in service confirmed this sign-in incorrectly."
    ),
    "no-role": Explanation(
        403,
        "You are signed in at your organization, but your account has no role here. "
        "Ask your administrator for access.",
    ),
    "no-tenant": Explanation(
        403,
        "You are signed in at your organization, but your account names no tenant. "
        "Ask your administrator for access.",
    ),
    "provider-unavailable": Explanation(
        503, "Your organization's sign-in service is unavailable. Try again in a minute."
    ),
}


class SignInError(Exception):
    """A sign-in is refused.

    Attributes:
        reason: a key of `EXPLANATIONS`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
