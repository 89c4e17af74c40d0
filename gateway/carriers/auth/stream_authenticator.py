"""Authenticate media sockets of carriers that do not sign their upgrades. Pure.

The upgrade has to carry one of two credentials, as `Authorization: Bearer`, as the password of
Basic credentials, as the last segment of the media URL's path, or as `tok` in its query:

    the carrier's secret      configured at the carrier by an operator, for all calls
    a stream token            valid for one call and a limited time (`stream_tokens.py`)

A carrier may have several secrets: all are accepted, and the first one makes tokens.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

from gateway.carriers.adapter import Adapter
from gateway.carriers.auth import stream_tokens
from gateway.carriers.auth.signatures.checks import any_equal, wire_bytes
from gateway.carriers.carrier import Carrier, Request, SingleUse, StreamLink, Upgrade
from gateway.carriers.settings import SecretSettings, plain, variable
from gateway.errors import CarrierError

CREDENTIAL: Final = "tok"  # the credential's name in the query

_MAX_CHARACTERS: Final = 4096


class Tokens:
    """Makes and verifies one carrier's stream tokens.

    Args:
        carrier: the carrier's name.
        secret: the tokens' key is derived from it; it must be the same for all gateways.
        ttl_s: how long a token is valid for the upgrade.
        new_nonce: returns a unique string of at least 16 characters of base64url.
        older: secrets whose tokens are accepted as well.
    """

    def __init__(
        self,
        carrier: str,
        secret: str,
        ttl_s: int,
        new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(16),
        older: Sequence[str] = (),
    ) -> None:
        self._carrier = carrier
        self._keys = [
            hmac.digest(each.encode(), b"callscribe stream tokens", hashlib.sha256)
            for each in (secret, *older)
        ]
        self._ttl_s = ttl_s
        self._new_nonce = new_nonce

    def mint(
        self, named_route: str, call_id: str | None, now_s: float, seed: str | None = None
    ) -> str:
        """Make a token.

        Args:
            named_route: the route in the stream's URL; empty if it has none.
            call_id: the call whose stream the token admits; None: any call.
            now_s: the current time, Unix seconds.
            seed: the same seed and other arguments always give the same token. None: each token is
                unique.
        """
        key, expires_s = self._keys[0], int(now_s) + self._ttl_s
        if seed is None:
            nonce = self._new_nonce()
        else:
            nonce = stream_tokens.nonce_of(key, self._carrier, named_route, call_id or "", seed)
        return stream_tokens.mint(key, self._carrier, named_route, call_id, expires_s, nonce)

    def upgrade(self, shown: str, request: Request, new_adapter: Callable[[], Adapter]) -> Upgrade:
        """Accept an upgrade that carries a valid token.

        Raises:
            CarrierError: token-invalid, or an error of `new_adapter`.
        """
        route = request.route or ""
        token = stream_tokens.read(self._keys, self._carrier, route, shown, request.now_s)
        return Upgrade(
            new_adapter(),
            authorize=lambda start: token.check(start.call_id),
            once=SingleUse(token.once, token.expires_s, until_end=bool(token.call)),
        )


class StreamAuthenticator:
    """Authenticates one carrier's upgrades. Without a secret it rejects all of them.

    Args:
        carrier: the carrier's name.
        settings: its secrets, the lifetime of its tokens, and its encoding.
        secret_in_url: whether the URL may contain the secret itself, for a carrier that can send it
            in no other way.

    Attributes:
        missing_setting: name of the setting whose absence disables the carrier; None if it is set.
        token_ttl_s: how long a token is valid for the upgrade.
    """

    def __init__(
        self, carrier: str, settings: SecretSettings, *, secret_in_url: bool = False
    ) -> None:
        secrets = plain(settings.secret)
        self.missing_setting = None if secrets else variable(settings, "secret")
        self.token_ttl_s = settings.token_ttl_s
        self._secrets = [secret.encode() for secret in secrets]
        self._tokens = tokens_of(carrier, secrets, settings.token_ttl_s)
        self._secret_in_url = secret_in_url
        self._inform = settings.inform

    def upgrade(self, request: Request, new_adapter: Callable[[], Adapter]) -> Upgrade:
        """Accept an upgrade that carries the secret or a valid token.

        Args:
            request: the upgrade request.
            new_adapter: creates the socket's adapter; not called for a rejected upgrade.

        Raises:
            CarrierError: token-missing or token-invalid, or an error of `new_adapter`.
        """
        header = _credential(request.headers.get("Authorization", ""))
        in_url = request.token or request.query.get(CREDENTIAL)
        shown = in_url or header
        if not shown or self.missing_setting:
            raise CarrierError("token-missing")
        if self._is_secret(header) or (self._secret_in_url and self._is_secret(in_url)):
            return Upgrade(self._inform(new_adapter()))
        return self._tokens.upgrade(shown, request, lambda: self._inform(new_adapter()))

    def url_with_token(
        self, link: StreamLink, call_id: str | None, now_s: float, purpose: str = ""
    ) -> str:
        """Return the URL of a stream with a token in its path.

        Args:
            link: where the stream connects.
            call_id: the call whose stream the token admits; None: any call.
            now_s: the current time, Unix seconds.
            purpose: makes the tokens of one document different, if it has several.
        """
        seed = link.seed and f"{purpose} {link.seed}"
        return link.with_token(self._tokens.mint(link.route, call_id, now_s, seed))

    def token(self, link: StreamLink, call_id: str | None, now_s: float) -> str:
        """Make a token to send in a header with the upgrade to `link.url`."""
        return self._tokens.mint(link.named_route, call_id, now_s, link.seed)

    def _is_secret(self, shown: str | None) -> bool:
        return any_equal([wire_bytes(shown or "")], self._secrets)


def tokens_of(carrier: str, secrets: Sequence[str], ttl_s: int) -> Tokens:
    """Create a carrier's `Tokens`. Without secrets, their key is derived from an empty string.

    The caller has to reject upgrades itself if it has no secret.
    """
    first, *older = secrets or ("",)
    return Tokens(carrier, first, ttl_s, older=older)


@runtime_checkable
class AuthenticatedCarrier(Carrier, Protocol):
    """A carrier whose media sockets a `StreamAuthenticator` authenticates."""

    authenticator: StreamAuthenticator

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        return self.authenticator.missing_setting


def _credential(header: str) -> str | None:
    """Return a Bearer token, the password of Basic credentials, or else the whole header."""
    if len(header) > _MAX_CHARACTERS:
        return None
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                pair = base64.b64decode(rest.strip(), validate=True).decode()
            except (binascii.Error, ValueError):
                return None
            return pair.partition(":")[2]
        case _:
            return header.strip() or None
