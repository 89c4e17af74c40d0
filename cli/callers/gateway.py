"""Where calls go."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.admission.routes import DEFAULT_ROUTE

_MEDIA: Final = "/media/"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where calls go, and what the carrier knows about it.

    Attributes:
        url: ws(s):// or http(s)://host:port, perhaps with a prefix; with `/media/<carrier>` after
            it, and perhaps a route, the webhook is left out.
        public_url: what the gateway calls itself: signatures are over this.
    """

    url: str
    public_url: str

    @property
    def media_path(self) -> str | None:
        """The path of the media socket that the URL names, if it does."""
        _, found, rest = urlsplit(self.url).path.partition(_MEDIA)
        return found + rest.rstrip("/") if found else None

    def address(self, scheme: str, path: str) -> str:
        """The URL to connect to, e.g. ("ws", "/media/twilio"); TLS where the given URL has it."""
        parts = urlsplit(self.url)
        secure = "s" if parts.scheme in ("wss", "https") else ""
        prefix = parts.path.partition(_MEDIA)[0].rstrip("/")
        return f"{scheme}{secure}://{parts.netloc}{prefix}{path}"

    def media_address(self, public: str) -> str:
        """The URL to connect to for a media socket that a webhook's answer names.

        Raises:
            ValueError: it is no media socket of a gateway.
        """
        _, found, rest = public.partition(_MEDIA)
        if not found:
            raise ValueError(f"no {_MEDIA} in the stream's URL")
        return self.address("ws", found + rest)

    def public(self, scheme: str, path: str) -> str:
        """A URL of the gateway's as the carrier was told it; `scheme` is http or ws."""
        return f"{scheme}{self.public_url.rstrip('/').removeprefix('http')}{path}"


def with_route(media_url: str) -> str:
    """The URL of a media socket with the route that a token in its path comes after."""
    _, _, rest = media_url.partition(_MEDIA)
    return media_url if "/" in rest else f"{media_url}/{DEFAULT_ROUTE}"
