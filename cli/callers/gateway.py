"""The gateway that calls are placed with: its address, and its public name."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_MEDIA: Final = "/media/"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway's address and public name.

    Attributes:
        url: ws(s):// or http(s)://host:port, with an optional prefix. If `/media/<carrier>` and
            optionally a route follow, the media socket is opened without asking the webhook.
        public_url: the URL under which the carrier reaches the gateway; signatures cover it.
    """

    url: str
    public_url: str

    @property
    def media_path(self) -> str | None:
        """The path of the media socket in the URL, if it names one."""
        _, found, rest = urlsplit(self.url).path.partition(_MEDIA)
        return found + rest.rstrip("/") if found else None

    def address(self, scheme: str, path: str) -> str:
        """Return the URL to connect to.

        Args:
            scheme: ws or http; TLS is used if `url` uses it.
            path: e.g. "/media/twilio".
        """
        parts = urlsplit(self.url)
        secure = "s" if parts.scheme in ("wss", "https") else ""
        prefix = parts.path.partition(_MEDIA)[0].rstrip("/")
        return f"{scheme}{secure}://{parts.netloc}{prefix}{path}"

    def media_address(self, public: str) -> str:
        """Return the URL to connect to for a media socket that a webhook's answer names.

        Raises:
            ValueError: the URL is not that of a media socket.
        """
        _, found, rest = public.partition(_MEDIA)
        if not found:
            raise ValueError(f"no {_MEDIA} in the stream's URL")
        return self.address("ws", found + rest)

    def public(self, scheme: str, path: str) -> str:
        """Return the public URL of a path; `scheme` is http or ws."""
        return f"{scheme}{self.public_url.rstrip('/').removeprefix('http')}{path}"
