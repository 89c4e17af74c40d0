"""Stream tokens on demand, for streams that no webhook of ours announces."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.admission.routes import Route, Routes
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Carrier, OpenIdCarrier, StreamLink
from gateway.settings import Settings


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token shall be good for.

    Attributes:
        carrier: whose stream it lets in.
        route: which its call takes; None: the one that all of the carrier's calls take.
        call_id: the call's, as the carrier will say it; None: any call's.
    """

    carrier: str
    route: str | None = None
    call_id: Annotated[str, Meta(min_length=1)] | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token, good once."""

    url: str = field(repr=False)  # of the stream, the token in its path
    token: str = field(repr=False)
    route: str  # that the stream's URL has to name
    tenant: str  # whose call it is
    expires_s: int  # Unix seconds


class TokenIssuer:
    """Makes tokens for the carriers that are open and have a gate."""

    def __init__(
        self,
        carriers: Iterable[Carrier],
        settings: Settings,
        routes: Routes,
        wall_s: Callable[[], float],
    ) -> None:
        self._authenticators = _authenticators(carriers)
        self._media_url = settings.media_url
        self._routes = routes
        self._wall_s = wall_s

    def renew(self, carriers: Iterable[Carrier]) -> None:
        """Replace the carriers that make tokens by ones with other settings, open as well."""
        self._authenticators |= _authenticators(carriers)

    def make(self, order: TokenRequest) -> IssuedToken:
        """Make a token.

        Raises:
            LookupError: the carrier takes none here, or has no such route.
        """
        authenticator = self._authenticators.get(order.carrier)
        if authenticator is None:
            raise LookupError("no such carrier takes tokens here")
        now_s = self._wall_s()
        route = self._route(order)
        link = StreamLink(self._media_url(order.carrier), route.name, is_certain=False)
        url = authenticator.url_with_token(link, order.call_id, now_s)
        expires_s = int(now_s) + authenticator.token_ttl_s
        token = url.rpartition("/")[2]
        return IssuedToken(url, token, route.name, route.tenant, expires_s)

    def _route(self, order: TokenRequest) -> Route:
        if order.route is None:
            route = self._routes.certain(order.carrier)
        else:
            route = self._routes.named(order.carrier, order.route)
        if route is None:
            raise LookupError("no such route; without one, the carrier's calls must all take one")
        return route


def _authenticators(carriers: Iterable[Carrier]) -> dict[str, StreamAuthenticator]:
    return {
        carrier.name: carrier.authenticator
        for carrier in carriers
        if isinstance(carrier, AuthenticatedCarrier)
        and not (carrier.missing_setting or carrier.authenticator.missing_setting)
        and not (isinstance(carrier, OpenIdCarrier) and carrier.openid)
    }
