"""Serves the pages: files that are read once, with a Content-Security-Policy."""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aiohttp import web
from aiohttp.typedefs import Handler

_FOLDER: Final = Path(__file__).with_name("static")
_PAGES: Final = {
    "/": "index.html",
    "/calls/{call_id}": "call.html",
    "/calls/{call_id}/timeline": "timeline.html",
    "/mic": "mic.html",
    "/open": "open.html",
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
    def read(cls, path: Path) -> Self:
        """Read a file."""
        body = path.read_bytes()
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
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
    files = {path.relative_to(_FOLDER).as_posix(): File.read(path) for path in _files()}
    for path, name in _PAGES.items():
        app.router.add_get(path, _handler(files[name]))
    for name, each in files.items():
        app.router.add_get(f"/static/{name}", _handler(each))


def _files() -> Iterator[Path]:
    return (path for path in sorted(_FOLDER.rglob("*")) if path.is_file())


def _handler(each: File) -> Handler:
    async def respond(request: web.Request) -> web.StreamResponse:
        return each.respond(request)

    return respond
