"""Builds the responses of signing in: JSON for programs, small pages for people."""

from html import escape
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

_NO_STORE: Final = {"Cache-Control": "no-store"}
_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST: web.HTTPBadRequest,
    HTTPStatus.NOT_FOUND: web.HTTPNotFound,
    HTTPStatus.UNAUTHORIZED: web.HTTPUnauthorized,
    HTTPStatus.FORBIDDEN: web.HTTPForbidden,
    HTTPStatus.SERVICE_UNAVAILABLE: web.HTTPServiceUnavailable,
    HTTPStatus.TOO_MANY_REQUESTS: web.HTTPTooManyRequests,
}
_PAGE_HEADERS: Final = {
    **_NO_STORE,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title} · Callscribe</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/base.css">
  <script src="/static/app/theme.js"></script>
</head>
<body>
<header class="top">
  <a class="brand" href="/"><img src="/static/icon.svg" alt="" width="22" height="22">
    <span>Callscribe</span></a>
</header>
<main id="main" class="narrow">
<h1>{title}</h1>
<p>{text}</p>
{link}</main>
</body>
</html>
"""


def json_response(value: object, status: int = 200) -> web.Response:
    """Return a JSON response that is not cached."""
    body = msgspec.json.encode(value)
    return web.Response(
        body=body, status=status, content_type="application/json", headers=_NO_STORE
    )


def json_error(status: HTTPStatus, body: object) -> web.HTTPException:
    """Return an error to raise, with JSON as its body."""
    text = msgspec.json.encode(body).decode()
    return _ERRORS[status](text=text, content_type="application/json", headers=_NO_STORE)


def page(
    title: str, text: str, *, status: int = 200, link: tuple[str, str] | None = None
) -> web.Response:
    """Return a page with one paragraph.

    Args:
        title: the heading.
        text: the paragraph.
        status: the response's status.
        link: the label and the path of a link below it.
    """
    label, path = link or ("", "")
    html = _PAGE.format(
        title=escape(title),
        text=escape(text),
        link=f'<p><a class="button primary" href="{escape(path)}">{escape(label)}</a></p>\n'
        if link
        else "",
    )
    return web.Response(text=html, status=status, content_type="text/html", headers=_PAGE_HEADERS)


def set_cookie(response: web.StreamResponse, name: str, value: str, seconds: int) -> None:
    """Set a cookie that pages can't read and other sites' forms don't send."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="Lax"
    )


def delete_cookie(response: web.StreamResponse, name: str) -> None:
    """Delete a cookie that `set_cookie` set."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")
