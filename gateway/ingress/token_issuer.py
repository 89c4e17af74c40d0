"""Issues stream tokens on demand, for streams that no webhook announces."""

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
    """A request for a token: which stream the token is to admit.

    Attributes:
        carrier: the stream's carrier.
        route: the call's route; None is the one route that all calls of the carrier take.
        call_id: the call's id, as the carrier will send it; None admits any call.
    """

    carrier: str
    route: str | None = None
    call_id: Annotated[str, Meta(min_length=1)] | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A stream token, and the URL that contains it."""

    url: str = field(repr=False)  # of the stream, with the token in its path
    token: str = field(repr=False)
    route: str  # the name that the stream's URL must contain
    tenant: str  # the tenant of the route's calls
    expires_s: int  # Unix seconds


class TokenIssuer:
    """Issues tokens for the enabled carriers whose streams are authenticated by tokens."""

    def __init__(
        self,
        carriers: Iterable[Carrier],
        settings: Settings,
        routes: Callable[[], Routes],
        wall_s: Callable[[], float],
    ) -> None:
        self._authenticators = _authenticators(carriers)
        self._media_url = settings.media_url
        self._routes = routes
        self._wall_s = wall_s

    def replace_carriers(self, carriers: Iterable[Carrier]) -> None:
        """Replace carriers by ones with changed settings, which are enabled as well."""
        self._authenticators |= _authenticators(carriers)

    def issue(self, request: TokenRequest) -> IssuedToken:
        """Issue a token.

        Raises:
            LookupError: the carrier does not accept tokens here, or has no such route.
        """
        authenticator = self._authenticators.get(request.carrier)
        if authenticator is None:
            raise LookupError("this gateway accepts no tokens for that carrier")
        now_s = self._wall_s()
        route = self._route(request)
        link = StreamLink(self._media_url(request.carrier), route.name, is_certain=False)
        url = authenticator.url_with_token(link, request.call_id, now_s)
        expires_s = int(now_s) + authenticator.token_ttl_s
        token = url.rpartition("/")[2]
        return IssuedToken(url, token, route.name, route.tenant, expires_s)

    def _route(self, request: TokenRequest) -> Route:
        if request.route is None:
            route = self._routes().certain(request.carrier)
        else:
            route = self._routes().named(request.carrier, request.route)
        if route is None:
            raise LookupError(
                "no such route; it may only be omitted if all calls of the carrier take one route"
            )
        return route


def _authenticators(carriers: Iterable[Carrier]) -> dict[str, StreamAuthenticator]:
    return {
        carrier.name: carrier.authenticator
        for carrier in carriers
        if isinstance(carrier, AuthenticatedCarrier)
        and not (carrier.missing_setting or carrier.authenticator.missing_setting)
        and not (isinstance(carrier, OpenIdCarrier) and carrier.openid)
    }
