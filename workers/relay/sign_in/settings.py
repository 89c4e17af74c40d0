"""The settings of signing in to the relay: `WORKER_RELAY_<NAME>`."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from common.settings import Secrets, Url, config, matching
from workers.relay.sign_in.identity import RoleTable
from workers.relay.sign_in.tokens import MAX_LIFETIME_S
from workers.relay.sign_in.viewer import Role, Text

_LOOPBACK: Final = "localhost"
# A setting, and the others without which it has no effect or can't work.
_NEEDS: Final = {
    "admin_tokens": ("secret",),
    "oidc_issuer": ("secret", "oidc_client_id", "oidc_roles"),
    "oidc_client_id": ("oidc_issuer",),
    "oidc_client_secret": ("oidc_issuer",),
    "oidc_roles": ("oidc_issuer",),
    "oidc_tenant_claim": ("oidc_issuer",),
    "oidc_text": ("oidc_issuer",),
}


def _check_secure(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// unless its host is localhost")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must have no user, query and fragment")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == _LOOPBACK or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_root(url: str) -> str:
    if urlsplit(url).path:
        raise ValueError("must have no path")
    return url


def _parse_roles(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return msgspec.json.decode(text, type=RoleTable)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise ValueError(
            'must be {"claim": "<claim>", "values": {"<value>": "<role>"}}, and a role one of '
            + ", ".join(Role)
        ) from None


def _parse_text(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return msgspec.json.decode(text, type=dict[Role, Text])
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise ValueError('must be {"<role>": "raw" or "redacted"}') from None


class Settings(BaseSettings):
    """Who may see the relay's transcripts. Without them, no one."""

    model_config = config("WORKER_RELAY_", env_file=".env")

    secret: Secrets[Annotated[SecretStr, Field(min_length=32)]] = Field(
        (),
        description="Signs links and sessions; the same for all relays, at least 32 characters. "
        "Several are separated by commas: the first one signs, and all are valid. Empty: no one "
        "can sign in.",
    )
    public_url: Annotated[Url, AfterValidator(_check_secure), AfterValidator(_check_root)] = Field(
        "http://localhost:8100",
        description="The relay's URL as browsers see it, for links and for the redirect of the "
        "OpenID provider. https, unless the host is localhost or 127.0.0.1.",
    )
    session_s: int = Field(
        28_800,
        ge=60,
        le=MAX_LIFETIME_S,
        description="How long a session lasts at most, in seconds. A session from a link ends "
        "with the link.",
    )
    oidc_issuer: Annotated[str, AfterValidator(_check_secure)] | None = Field(
        None,
        description="The OpenID provider's issuer, exactly as in its discovery document, such as "
        "https://login.example.com/. Empty: sign-in only with links.",
    )
    oidc_client_id: Annotated[str, Field(max_length=256)] | None = Field(
        None, description="The relay's client id at the provider."
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="The relay's secret at the provider. Empty: a public client."
    )
    oidc_scopes: Annotated[
        str, matching(r"openid( [!#-\[\]-~]+)*", "must be scopes separated by spaces, openid first")
    ] = Field("openid profile email", description="The scopes to request, separated by spaces.")
    oidc_roles: Annotated[RoleTable | None, BeforeValidator(_parse_roles)] = Field(
        None,
        description='Which claim of the ID token decides the role: {"claim": "groups", "values": '
        '{"cc-agents": "agent", "cc-leads": "supervisor"}}. The first value that the user has '
        "counts. Users who have none are refused.",
    )
    oidc_tenant_claim: Annotated[str, Field(max_length=256)] | None = Field(
        None,
        description="The claim with the user's tenant, to whose calls the user is limited. Users "
        "without it are refused. Empty: users see the calls of all tenants.",
    )
    oidc_text: Annotated[Mapping[Role, Text] | None, BeforeValidator(_parse_text)] = Field(
        None,
        description='Changes the text that a role sees: {"supervisor": "redacted"}. By default, '
        "supervisors and admins see raw text, agents and auditors redacted text.",
    )
    admin_tokens: SecretStr | None = Field(
        None,
        description='Bearer tokens for POST /links: {"crm": {"token": "<at least 16 characters>", '
        '"scopes": ["links"]}}. Empty: the path answers 404.',
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        for problem in self._missing():
            raise ValueError(problem)
        return self

    def _missing(self) -> Iterator[str]:
        for name, needed in _NEEDS.items():
            for other in needed:
                if getattr(self, name) is not None and not getattr(self, other):
                    prefix = "WORKER_RELAY_"
                    yield f"{prefix}{name.upper()} needs {prefix}{other.upper()}"
