"""Routes from calls to endpoints, read from a TOML file or derived from the settings.

The file is read and validated before the gateway listens, and again at SIGHUP. docs/routes.md is
its reference.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    WebsocketUrl,
    model_validator,
)

from common import wording
from common.settings import SettingsError, matching
from gateway.audio.encodings import Encoding
from gateway.settings import Role, Settings, Upstream
from gateway.transcript.keys import DEFAULT_TENANT
from gateway.upstream.dialects.registry import DialectName, make_dialect

DEFAULT_ROUTE: Final = "default"  # the only route if there is no routes file
_MIN_SLOTS: Final = 2  # a call has two tracks
_WEBSOCKET_URL = TypeAdapter(WebsocketUrl)


def _check_websocket_url(text: str) -> str:
    return str(_WEBSOCKET_URL.validate_python(text))


type Name = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}",
        "must be 1 to 127 of A-Z a-z 0-9 . _ - and begin with a letter or a digit",
    ),
]
type Tenant = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
        "must be 1 to 63 of A-Z a-z 0-9 _ - and begin with a letter or a digit",
    ),
]
type CalledPattern = Annotated[
    str,
    matching(r"[^*\s]+\*?", "must be a number, or the beginning of one followed by *"),
    Field(max_length=128),
]
type LanguageTag = Annotated[
    str,
    matching(
        r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", "must be a language tag, such as en or de-CH"
    ),
]
type Keyword = Annotated[
    str,
    matching(r"[^<>\x00-\x1f]{1,100}", "must be 1 to 100 characters without < > and line breaks"),
]
type SageMakerName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}",
        "must be the name of a SageMaker endpoint: letters, digits and hyphens",
    ),
]


class Priority(StrEnum):
    """Whether a route's calls may use the reserved slots of an endpoint."""

    NORMAL = "normal"
    HIGH = "high"


class Spread(StrEnum):
    """How a call's endpoint is chosen from those of its route."""

    MOST_FREE = "most-free"  # the endpoint with the most free slots
    IN_ORDER = "in-order"  # the first endpoint with enough free slots


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class EndpointConfig(_Model):
    """One endpoint: where sessions are opened, and how many it serves."""

    endpoint: SageMakerName | None = None
    variant: str | None = Field(None, max_length=63)
    url: Annotated[str, AfterValidator(_check_websocket_url)] | None = None
    model: str | None = None  # None: GATEWAY_MODEL
    dialect: DialectName = DialectName.VOXTRAL
    api_key: Name | None = None  # its name in GATEWAY_REALTIME_API_KEYS
    instances: PositiveInt = 1
    sessions: PositiveInt | None = None  # per instance; None: no limit
    reserved: NonNegativeInt = 0  # slots that only routes with high priority may use
    drain: bool = False  # opens no sessions, except for live calls without another endpoint

    @property
    def model_address(self) -> tuple[str | None, ...]:
        """What the endpoint's name stands for; it can't change while gateways run."""
        return self.endpoint, self.variant, self.url, self.model, self.dialect

    @property
    def slots(self) -> int | None:
        """Number of sessions that all gateways together may open; None without a limit."""
        return None if self.sessions is None else self.instances * self.sessions

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.endpoint is None) == (self.url is None):
            raise ValueError("needs either endpoint (SageMaker) or url (WebSocket)")
        if self.url and self.variant:
            raise ValueError("variant is for SageMaker endpoints")
        if self.endpoint and self.api_key:
            raise ValueError("api_key is for WebSocket endpoints")
        if self.slots is None and self.reserved:
            raise ValueError("reserved needs sessions")
        if self.slots is not None and self.slots < _MIN_SLOTS + self.reserved:
            raise ValueError(
                "instances x sessions must be at least reserved + 2: a call needs two session slots"
            )
        return self


class Route(_Model):
    """One route: its conditions, and how its calls are served. An absent condition always holds."""

    name: Name
    tenant: Tenant = DEFAULT_TENANT  # the tenant of the route's calls
    carrier: str | None = None
    called: tuple[CalledPattern, ...] = Field((), repr=False)
    params: dict[str, str] = Field(default_factory=dict, repr=False)
    roles: dict[Name, Role] = Field(default_factory=dict)  # by track
    publish_params: tuple[str, ...] | None = None  # by name; None: GATEWAY_PUBLISH_PARAMS
    encoding: Encoding | None = None  # of all tracks; overrides what the carrier announces
    language: LanguageTag | None = None  # a hint for the model; None: the model decides
    keywords: tuple[Keyword, ...] = Field((), max_length=100)  # that the model should expect
    delay_ms: int | None = Field(None, ge=0, le=10_000)  # between audio and text
    endpoints: tuple[Name, ...] = Field(min_length=1)
    spread: Spread = Spread.MOST_FREE
    priority: Priority = Priority.NORMAL
    max_calls: PositiveInt | None = None  # at the same time, in all gateways

    def serves(self, carrier: str) -> bool:
        """Return whether the route is for this carrier's calls."""
        return self.carrier in (None, carrier)

    @property
    def is_conditional(self) -> bool:
        """Whether the route depends on the called number or the custom parameters."""
        return bool(self.called or self.params)

    def matches(self, carrier: str, called: str | None, params: Mapping[str, str]) -> bool:
        """Return whether the route is for a call."""
        return (
            self.serves(carrier)
            and (not self.called or any(_fits(called, pattern) for pattern in self.called))
            and self.params.items() <= params.items()
        )


class Routes(_Model):
    """All endpoints by name, and all routes in order. A call takes the first route that matches."""

    endpoints: dict[Name, EndpointConfig] = Field(min_length=1)
    routes: tuple[Route, ...] = Field(min_length=1)

    def named(self, carrier: str, name: str) -> Route | None:
        """Return a carrier's route by its name, whatever its other conditions."""
        return next((r for r in self.routes if r.name == name and r.serves(carrier)), None)

    def certain(self, carrier: str) -> Route | None:
        """Return the route of all calls of a carrier, or None if it depends on the call."""
        first = next((route for route in self.routes if route.serves(carrier)), None)
        return first if first and not first.is_conditional else None

    def serve(self, carrier: str) -> bool:
        """Return whether any route is for this carrier's calls."""
        return any(route.serves(carrier) for route in self.routes)

    def choose(self, carrier: str, called: str | None, params: Mapping[str, str]) -> Route | None:
        """Return the first route that matches a call."""
        return next((r for r in self.routes if r.matches(carrier, called, params)), None)

    def encoding(
        self, carrier: str, name: str | None, called: str | None, params: Mapping[str, str]
    ) -> Encoding | None:
        """Return the encoding that a call's route sets, if it sets one.

        Args:
            carrier: the call's carrier.
            name: the route that the stream's URL names, if it names one.
            called: the called number, if the carrier sends it.
            params: the custom parameters.
        """
        route = self.named(carrier, name) if name else self.choose(carrier, called, params)
        return route.encoding if route else None

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        names = [route.name for route in self.routes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"more than one route is named {', '.join(twice)}")
        for route in self.routes:
            if unknown := [name for name in route.endpoints if name not in self.endpoints]:
                raise ValueError(f"route {route.name}: no endpoint is named {', '.join(unknown)}")
            if len(set(route.endpoints)) < len(route.endpoints):
                raise ValueError(f"route {route.name}: an endpoint is named twice")
            if all(self.endpoints[name].drain for name in route.endpoints):
                raise ValueError(f"route {route.name}: all its endpoints have drain = true")
            for name in route.endpoints:
                self._check_hints(route, name)
        return self

    def _check_hints(self, route: Route, endpoint: str) -> None:
        """Raise ValueError if a route has a hint that an endpoint's server does not take."""
        dialect = self.endpoints[endpoint].dialect
        capabilities = make_dialect(dialect).capabilities
        for key, is_set, is_possible in (
            ("language", route.language is not None, capabilities.language),
            ("keywords", bool(route.keywords), capabilities.keywords),
            ("delay_ms", route.delay_ms is not None, capabilities.delay),
        ):
            if is_set and not is_possible:
                raise ValueError(
                    f"route {route.name}: {key} can't be sent to endpoint {endpoint}, "
                    f"whose dialect is {dialect}"
                )


def load_routes(settings: Settings) -> Routes:
    """Read the routes file; if none is set, return one route to the endpoint of the settings.

    Raises:
        SettingsError: one line that names what is wrong and where. It quotes neither called
            numbers nor the values of parameters.
    """
    if settings.routes_file is None:
        return _routes_of_settings(settings)
    where = f"routes file {settings.routes_file}"
    try:
        text = settings.routes_file.read_text(encoding="utf-8")
        routes = Routes.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:  # first: a ValueError, as the next two are
        raise SettingsError(f"{where} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{where}: {'; '.join(_sentences(error))}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {type(error).__name__}") from None
    if settings.aws_region is None and any(e.endpoint for e in routes.endpoints.values()):
        raise SettingsError(f"{where}: SageMaker endpoints need AWS_REGION")
    if settings.realtime_api_key:
        _check_unnamed_key(routes.endpoints, where)
    return routes


def _check_unnamed_key(endpoints: Mapping[str, EndpointConfig], where: str) -> None:
    """Refuse to send one key to several hosts: they may belong to different vendors.

    Raises:
        SettingsError: more than one host would receive it.
    """
    receivers = {n: urlsplit(e.url).netloc for n, e in endpoints.items() if e.url and not e.api_key}
    if len(set(receivers.values())) > 1:
        raise SettingsError(
            f"{where}: GATEWAY_REALTIME_API_KEY would be sent to the servers of several endpoints "
            f"({', '.join(sorted(receivers))}); move it to GATEWAY_REALTIME_API_KEYS, and name it "
            "with api_key at each endpoint that may receive it"
        )


def _routes_of_settings(settings: Settings) -> Routes:
    name, where = _endpoint_of_settings(settings)
    try:
        endpoint = EndpointConfig(
            **where,
            dialect=settings.dialect,
            instances=settings.endpoint_instances,
            sessions=settings.endpoint_sessions,
        )
    except ValidationError:
        raise SettingsError(
            "GATEWAY_ENDPOINT_INSTANCES x GATEWAY_ENDPOINT_SESSIONS must be at least 2: "
            "a call needs two session slots"
        ) from None
    return Routes(
        endpoints={name: endpoint}, routes=(Route(name=DEFAULT_ROUTE, endpoints=(name,)),)
    )


def _endpoint_of_settings(settings: Settings) -> tuple[str, dict[str, str | None]]:
    """Return the name and the address of the endpoint that the settings configure.

    The name is part of Redis keys: all gateways that share the endpoint must compute the same one.
    """
    match settings.upstream:
        case Upstream.SAGEMAKER:
            endpoint, variant = settings.sagemaker_endpoint or "", settings.sagemaker_variant
            name = f"{endpoint}.{variant}" if variant else endpoint
            return name, {"endpoint": endpoint, "variant": variant}
        case Upstream.WEBSOCKET:
            url = str(settings.realtime_url)
            host = re.sub(r"[^A-Za-z0-9.-]", "-", urlsplit(url).netloc.rpartition("@")[2])
            return f"realtime-{host}"[:127], {"url": url}


def _fits(called: str | None, pattern: str) -> bool:
    if called is None:
        return False
    return called.startswith(pattern[:-1]) if pattern.endswith("*") else called == pattern


def _sentences(error: ValidationError) -> Iterable[str]:
    """Yield one sentence per problem, with its path in the file: `routes[2].called: ...`."""
    for problem in error.errors(include_input=False, include_url=False):
        steps = problem["loc"]
        path = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in steps)
        label = f"{path.removeprefix('.')}: " if path else ""
        text = wording.sentence(problem, None)
        known = (*Routes.model_fields, *EndpointConfig.model_fields, *Route.model_fields)
        if problem["type"] == "extra_forbidden" and (
            close := wording.near_miss(str(steps[-1]), known)
        ):
            text += f" (did you mean {close}?)"
        yield label + text
