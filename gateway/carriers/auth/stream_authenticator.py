"""Who is let in at a media socket whose upgrade the carrier does not sign. Pure.

The upgrade has to show one of two things, as `Authorization: Bearer`, as the password of Basic
credentials, as the last segment of the media URL's path, or as `tok` in its query:

    the carrier's secret      where an operator configured it at the carrier, for all calls
    a stream token            good for one call, for a while (`stream_tokens.py`)

A carrier may have several secrets: the first one makes tokens, all are accepted.
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

CREDENTIAL: Final = "tok"  # its name in the query

_MAX_CHARACTERS: Final = 4096


class Tokens:
    """Makes and reads one carrier's stream tokens.

    Args:
        carrier: its name.
        secret: what the tokens' key is derived from: all gateways have the same.
        ttl_s: from a token's making until the upgrade.
        new_nonce: gives 16 characters of base64url or more, never the same.
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
            named_route: the route that the stream's URL names; empty if none.
            call_id: whose stream it lets in; None: any call's.
            now_s: Unix seconds.
            seed: with the same seed and the other arguments alike, the token is the same.
        """
        key, expires_s = self._keys[0], int(now_s) + self._ttl_s
        if seed is None:
            nonce = self._new_nonce()
        else:
            nonce = stream_tokens.nonce_of(key, self._carrier, named_route, call_id or "", seed)
        return stream_tokens.mint(key, self._carrier, named_route, call_id, expires_s, nonce)

    def upgrade(self, shown: str, request: Request, new_adapter: Callable[[], Adapter]) -> Upgrade:
        """Let an upgrade in that shows a token.

        Raises:
            CarrierError: token-invalid, or as `new_adapter` does.
        """
        route = request.route or ""
        token = stream_tokens.read(self._keys, self._carrier, route, shown, request.now_s)
        return Upgrade(
            new_adapter(),
            authorize=lambda start: token.check(start.call_id),
            once=SingleUse(token.once, token.expires_s, until_end=bool(token.call)),
        )


class StreamAuthenticator:
    """One carrier's gate; shut while it has no secret.

    Args:
        carrier: its name.
        settings: its secret, for how long tokens are good, and what its audio is.
        secret_in_url: the secret itself may stand there; where a carrier has no other way.

    Attributes:
        missing_setting: the setting without which nobody is let in; None if it is there.
        token_ttl_s: from a token's making until the upgrade.
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
        """Let an upgrade in.

        Args:
            request: the upgrade.
            new_adapter: makes what reads the socket; not called for who is not let in.

        Raises:
            CarrierError: token-missing or token-invalid, or as `new_adapter` does.
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
        """Return the URL of a stream with a token in its path; without a call any may use it.

        Args:
            link: where it connects.
            call_id: the call's.
            now_s: Unix seconds.
            purpose: tells the tokens of one document from each other, if it has several.
        """
        seed = link.seed and f"{purpose} {link.seed}"
        return link.with_token(self._tokens.mint(link.route, call_id, now_s, seed))

    def token(self, link: StreamLink, call_id: str | None, now_s: float) -> str:
        """Make a token to show in a header, on the way to `link.url`."""
        return self._tokens.mint(link.named_route, call_id, now_s, link.seed)

    def _is_secret(self, shown: str | None) -> bool:
        return any_equal([wire_bytes(shown or "")], self._secrets)


def tokens_of(carrier: str, secrets: Sequence[str], ttl_s: int) -> Tokens:
    """Make the tokens of a carrier's secrets; without any, of one that lets nobody in."""
    first, *older = secrets or ("",)
    return Tokens(carrier, first, ttl_s, older=older)


@runtime_checkable
class AuthenticatedCarrier(Carrier, Protocol):
    """A carrier whose media sockets a gate guards."""

    authenticator: StreamAuthenticator

    @property
    def missing_setting(self) -> str | None:
        """The setting without which nobody is let in."""
        return self.authenticator.missing_setting


def _credential(header: str) -> str | None:
    """Give the token of Bearer credentials, the password of Basic ones, or what stands there."""
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
