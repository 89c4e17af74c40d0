"""Serves the pages: files that are read once, with a Content-Security-Policy."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final, NamedTuple, Self

from aiohttp import web
from aiohttp.typedefs import Handler


class _Page(NamedTuple):
    """What distinguishes a page from the others."""

    title: str
    name: str  # of its module in static/app
    styles: tuple[str, ...]

    def render(self) -> bytes:
        """Return the page: the template with its title, styles and module."""
        links = (f'<link rel="stylesheet" href="/static/{name}.css">' for name in self.styles)
        styles = "\n  ".join(links)
        return _TEMPLATE.substitute(title=self.title, name=self.name, styles=styles).encode()


_FOLDER: Final = Path(__file__).with_name("static")
_TEMPLATE: Final = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_PAGES: Final = {
    "/": _Page("Calls", "calls", ("calls",)),
    "/calls/{call_id}": _Page("Call", "call", ("call",)),
    "/calls/{call_id}/timeline": _Page("Timeline", "timeline", ("timeline",)),
    "/search": _Page("Search", "search", ("call", "search")),
    "/mic": _Page("Microphone", "mic", ("call", "mic")),
    "/open": _Page("Open a link", "open", ()),
}
_TYPES: Final = {".js": "text/javascript", ".ts": "text/plain", ".md": "text/markdown"}
_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def policy(media_url: str) -> str:
    """Return the Content-Security-Policy of the pages.

    Args:
        media_url: where the microphone page sends audio; empty: any WebSocket.
    """
    sockets = media_url or "ws: wss:"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {sockets}; media-src 'self' blob:; worker-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class File:
    """A file of the pages, as it is served."""

    body: bytes
    compressed: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, name: str) -> Self:
        """Return a file with a name, whose suffix decides the type."""
        suffix = Path(name).suffix
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"
        compressed = gzip.compress(body, mtime=0)
        return cls(body, compressed, kind, hashlib.sha256(body).hexdigest()[:32])

    def respond(self, request: web.Request) -> web.Response:
        """Return the response to a request."""
        headers = {"Cache-Control": "no-cache", "ETag": f'"{self.etag}"', "Vary": "Accept-Encoding"}
        if any(each.value == self.etag for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        body = self.body
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = self.compressed, "gzip"
        return web.Response(
            body=body, headers=headers, content_type=self.content_type, charset="utf-8"
        )


def add_pages(app: web.Application, media_url: str) -> None:
    """Add the pages and their files to an application, and the headers of all responses."""
    headers = {**_HEADERS, "Content-Security-Policy": policy(media_url)}

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in headers.items():
            response.headers.setdefault(name, value)

    app.on_response_prepare.append(add_headers)
    for path, page in _PAGES.items():
        app.router.add_get(path, _handler(File.of(page.render(), "page.html")))
    for file in sorted(_FOLDER.rglob("*")):
        if file.is_file():
            name = file.relative_to(_FOLDER).as_posix()
            app.router.add_get(f"/static/{name}", _handler(File.of(file.read_bytes(), name)))


def _handler(each: File) -> Handler:
    async def respond(request: web.Request) -> web.StreamResponse:
        return each.respond(request)

    return respond
