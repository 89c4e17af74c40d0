"""The interface of a carrier: how it authenticates requests and answers webhooks. Pure.

A carrier implements `Carrier` and is registered in `registry.py`. A carrier whose webhook announces
calls implements `ForkingCarrier`; if it also sends status callbacks, `ReportingCarrier`. A carrier
whose public keys have to be fetched implements `OpenIdCarrier`. The ingress turns the errors that
they raise into HTTP responses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from pydantic_settings import BaseSettings

from gateway.carriers.adapter import Adapter
from gateway.carriers.auth.signatures.checks import TOLERANCE_S
from gateway.carriers.auth.signatures.openid import OpenIdKeys
from gateway.carriers.events import CallStarted

MAX_MESSAGE_BYTES = 1 << 20  # usually about 300; a minute of audio in one message fits


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a carrier's HTTP request that are needed to authenticate and parse it.

    Attributes:
        url: the full URL as the carrier knows it: built from the gateway's public URL, not from
            what a proxy forwarded. For an upgrade, the scheme is wss.
        headers: by name, case-insensitive.
        body: the raw body.
        token: the token in the media URL's path, if any.
        route: the route in the media URL's path, if any.
        now_s: the current time, Unix seconds.
        method: GET or POST.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    token: str | None = field(repr=False)
    route: str | None
    now_s: float
    method: str = "POST"

    @property
    def query(self) -> Mapping[str, str]:
        """The URL's query parameters; if a name is repeated, its last value."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))

    @property
    def query_text(self) -> str:
        """The URL's raw query string."""
        return self.url.partition("?")[2]


@dataclass(frozen=True, slots=True)
class SingleUse:
    """The nonce, token or signature that identifies a request, so that a replay is rejected.

    Attributes:
        value: unique to the request.
        until_s: Unix seconds; from then on the request is rejected as expired anyway. None: nothing
            in the request limits its age.
        until_end: for an upgrade: the value is accepted again until the admitted stream has ended.
    """

    value: str = field(repr=False)
    until_s: float | None
    until_end: bool = False

    @classmethod
    def signed(cls, carrier: str, shown: str, now_s: float) -> "SingleUse":
        """Create one for a signature whose timestamp may be off by `TOLERANCE_S` both ways."""
        return cls(f"{carrier} {shown}", now_s + 2 * TOLERANCE_S)


def _accept_any(_: CallStarted) -> None:
    """Accept every start message."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade that may be accepted.

    Attributes:
        adapter: parses the socket's messages.
        authorize: checks what is only known from the start message; raises CarrierError.
        once: identifies the upgrade, so that a replay is rejected. None: replays are accepted.
    """

    adapter: Adapter
    authorize: Callable[[CallStarted], None] = _accept_any
    once: SingleUse | None = None


class Carrier(Protocol):
    """One carrier, configured by its settings."""

    name: ClassVar[str]
    Settings: ClassVar[type[BaseSettings]]
    max_message_bytes: ClassVar[int] = MAX_MESSAGE_BYTES
    subprotocols: ClassVar[Sequence[str]] = ()
    refusal_status: ClassVar[int] = 403  # the HTTP status of a failed authentication
    refusal_delay_s: ClassVar[float] = 0.0  # the delay of that response
    answers_pings: bool = True  # if not, only the idle timeout detects a lost connection

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""

    @property
    def warning(self) -> str | None:
        """Slug of a warning to log at every startup; None if there is none."""
        return None

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate a media socket's upgrade request.

        Raises:
            CarrierError: the upgrade is rejected.
        """


@dataclass(frozen=True, slots=True)
class Announced:
    """A call that a webhook announces.

    Attributes:
        call_id: the carrier's id of the call.
        called: the dialed number, if the carrier sends it.
        once: identifies the webhook. None: its URL and its body identify it.
    """

    call_id: str
    called: str | None = field(default=None, repr=False)
    once: SingleUse | None = None


@dataclass(frozen=True, slots=True)
class StreamLink:
    """The URL to which a call's media stream connects."""

    media_url: str  # wss://.../media/<carrier>
    route: str  # the call's route
    is_certain: bool  # all of the carrier's calls take this route, so the URL need not name it
    seed: str | None = field(default=None, repr=False)  # the same seed and time give the same token

    @property
    def named_route(self) -> str:
        """The route if `url` names it, else an empty string."""
        return "" if self.is_certain else self.route

    @property
    def url(self) -> str:
        """The URL without a token."""
        return f"{self.media_url}/{self.named_route}".rstrip("/")

    @property
    def status_url(self) -> str:
        """URL for the carrier's status callbacks about the stream."""
        base, _, name = self.media_url.rpartition("/media/")
        return f"http{base.removeprefix('ws')}/voice/{name}/status"

    def with_token(self, token: str) -> str:
        """Return the URL with a token in its path, because many carriers accept no query."""
        return f"{self.media_url}/{self.route}/{token}"


@dataclass(frozen=True, slots=True)
class Document:
    """The response body to a webhook."""

    body: bytes = field(repr=False)
    content_type: str


@runtime_checkable
class ForkingCarrier(Carrier, Protocol):
    """A carrier whose webhook asks what to do with a call.

    Attributes:
        asks_by_get: whether the webhook may be a GET. Its fields are then in the query, which is
            signed as part of the URL.
    """

    asks_by_get: ClassVar[bool] = False

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""

    def announced(self, request: Request) -> Announced:
        """Authenticate and parse the webhook of a call.

        Raises:
            CarrierError: the webhook is not authentic, or announces no call.
        """

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the response that forks both tracks to the gateway and continues the call.

        The same arguments always give the same document.

        Args:
            call: as returned by `announced`.
            link: where the audio goes. None: the call continues without transcription.
            first_seen_s: when the webhook was first received, Unix seconds. A repetition gets the
                same document.
        """


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a status callback reports about a stream."""

    call_id: str
    stream_id: str
    is_over: bool
    once: SingleUse | None = None


@runtime_checkable
class ReportingCarrier(ForkingCarrier, Protocol):
    """A carrier that reports the state of its streams in HTTP callbacks."""

    def status(self, request: Request) -> StreamStatus:
        """Authenticate and parse a status callback.

        Raises:
            CarrierError: the callback is not authentic, or names no stream.
        """


@runtime_checkable
class OpenIdCarrier(Carrier, Protocol):
    """A carrier whose upgrades carry a JWT, verified with keys that its issuer publishes."""

    openid: OpenIdKeys | None  # None: JWTs are not verified
