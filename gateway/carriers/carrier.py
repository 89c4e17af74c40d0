"""What a carrier's file tells the gateway: whom to believe, what to answer, how to listen. Pure.

A carrier is a `Carrier`, registered in `registry.py`; one whose calls a webhook announces is a
`ForkingCarrier`, one that also calls back about its streams a `ReportingCarrier`, one whose keys
have to be fetched an `OpenIdCarrier`. What they raise is answered by the ingress: nothing here
knows HTTP.
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

MAX_MESSAGE_BYTES = 1 << 20  # about 300 are usual; a minute of audio in one fits


@dataclass(frozen=True, slots=True)
class Request:
    """A carrier's HTTP request, as far as its authenticity goes.

    Attributes:
        url: in full, as the carrier was told it: by our public URL, not what a proxy made of that.
            Of an upgrade the scheme is wss.
        headers: by names in any case.
        body: as it came.
        token: of the media URL's path, if it has one.
        route: of the media URL's path, if it has one.
        now_s: Unix seconds.
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
        """What the URL's query says; of a name that comes twice, what comes last."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))

    @property
    def query_text(self) -> str:
        """The URL's query as it came."""
        return self.url.partition("?")[2]


@dataclass(frozen=True, slots=True)
class SingleUse:
    """What tells a request from all others: a nonce, a token, a signature.

    Attributes:
        value: never the same for two requests.
        until_s: Unix seconds; from then on the request is refused as too old anyway. None: nothing
            in it says how old it is.
        until_end: of an upgrade: it may be shown again until the stream that it let in has ended.
    """

    value: str = field(repr=False)
    until_s: float | None
    until_end: bool = False

    @classmethod
    def signed(cls, carrier: str, shown: str, now_s: float) -> "SingleUse":
        """Make it of a signature with a time, which may be off by `TOLERANCE_S` both ways."""
        return cls(f"{carrier} {shown}", now_s + 2 * TOLERANCE_S)


def _let_in(_: CallStarted) -> None:
    """Ask nothing more."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade that may be accepted.

    Attributes:
        adapter: reads the socket's messages.
        authorize: checks what only the start message can show; raises CarrierError.
        once: what it must not be accepted with again; None: nothing.
    """

    adapter: Adapter
    authorize: Callable[[CallStarted], None] = _let_in
    once: SingleUse | None = None


class Carrier(Protocol):
    """One carrier, with its settings."""

    name: ClassVar[str]
    Settings: ClassVar[type[BaseSettings]]
    max_message_bytes: ClassVar[int] = MAX_MESSAGE_BYTES
    subprotocols: ClassVar[Sequence[str]] = ()
    refusal_status: ClassVar[int] = 403  # answers who is not believed ...
    refusal_delay_s: ClassVar[float] = 0.0  # ... after so long
    answers_pings: bool = True  # its sockets may be pinged; else the idle limit finds dead ones

    @property
    def missing_setting(self) -> str | None:
        """The setting without which nobody is let in; None if it is there."""

    @property
    def warning(self) -> str | None:
        """What the operator should know at every start, as a slug; None if all is well."""
        return None

    def upgrade(self, request: Request) -> Upgrade:
        """Decide on a media socket before it is upgraded.

        Raises:
            CarrierError: it is not let in.
        """


@dataclass(frozen=True, slots=True)
class Announced:
    """A call that a webhook announces.

    Attributes:
        call_id: the carrier's.
        called: the number dialled, if the carrier says it.
        once: what tells the webhook from others; None: its URL and its body.
    """

    call_id: str
    called: str | None = field(default=None, repr=False)
    once: SingleUse | None = None


@dataclass(frozen=True, slots=True)
class StreamLink:
    """Where a call's media stream is to connect."""

    media_url: str  # wss://.../media/<carrier>
    route: str  # which the call takes
    is_certain: bool  # it is the route of all the carrier's calls: the URL need not name it
    seed: str | None = field(default=None, repr=False)  # tokens of one seed and moment are equal

    @property
    def named_route(self) -> str:
        """The route, if `url` names it; else empty."""
        return "" if self.is_certain else self.route

    @property
    def url(self) -> str:
        """The URL, without a token."""
        return f"{self.media_url}/{self.named_route}".rstrip("/")

    @property
    def status_url(self) -> str:
        """Where the carrier may say what becomes of the stream."""
        base, _, name = self.media_url.rpartition("/media/")
        return f"http{base.removeprefix('ws')}/voice/{name}/status"

    def with_token(self, token: str) -> str:
        """The URL with a token in its path: many carriers take no query."""
        return f"{self.media_url}/{self.route}/{token}"


@dataclass(frozen=True, slots=True)
class Document:
    """What a webhook is answered with."""

    body: bytes = field(repr=False)
    content_type: str


@runtime_checkable
class ForkingCarrier(Carrier, Protocol):
    """A carrier whose webhook asks what to do with a call.

    Attributes:
        asks_by_get: it may do so by GET: then what it says stands in the query, and is signed.
    """

    asks_by_get: ClassVar[bool] = False

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which its webhook is not answered; None if it is there."""

    def announced(self, request: Request) -> Announced:
        """Read the webhook of a call.

        Raises:
            CarrierError: it is not the carrier's, or says nothing of a call.
        """

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write what forks a call's audio to us, both tracks, and lets the call go on.

        Args:
            call: as `announced` gave it.
            link: where its audio goes; without one the call goes on unheard.
            now_s: Unix seconds, when the webhook was shown first. The same arguments give the same
                document.
        """


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a carrier says of a stream, beside its socket."""

    call_id: str
    stream_id: str
    is_over: bool
    once: SingleUse | None = None


@runtime_checkable
class ReportingCarrier(ForkingCarrier, Protocol):
    """A carrier that says beside the socket what becomes of a stream."""

    def status(self, request: Request) -> StreamStatus:
        """Read a status callback.

        Raises:
            CarrierError: it is not the carrier's, or says nothing of a stream.
        """


@runtime_checkable
class OpenIdCarrier(Carrier, Protocol):
    """A carrier whose upgrades show a token by keys that it publishes."""

    openid: OpenIdKeys | None  # None: they are not looked at
