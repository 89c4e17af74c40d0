"""Answers searches over all calls that are indexed, within the scope of the viewer."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from common.http_body import read_body
from workers.governance.ledger import Ledger
from workers.relay.metrics import Metrics
from workers.relay.sign_in.responses import json_error, json_response
from workers.relay.sign_in.viewer import Text, Viewer
from workers.search.index import (
    MAX_LIMIT,
    CursorError,
    Hit,
    Limits,
    Order,
    Page,
    Search,
    SearchIndexError,
    SearchReader,
)
from workers.search.query import Query, QueryError, parse
from workers.search.results import result_of
from workers.search.snippets import snippet, utf16

_MARGIN_S: Final = 10.0  # after the time limit of the index itself


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    q: Annotated[str, Meta(max_length=10_000)]  # the language has a lower limit, and says so
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 20
    after: Annotated[str, Meta(max_length=64)] = ""
    order: Order = Order.NEWEST


class Results(msgspec.Struct, frozen=True):
    """A page of results.

    Attributes:
        results: the segments found; docs/search.md has their fields.
        next: send it as `after` for more; null if there are no more.
        complete: False if the time limit ended the search: there may be more results.
        text: `raw` or `redacted`: the index that was searched.
    """

    results: list[dict[str, Any]]
    next: str | None
    complete: bool
    text: Text


def index_for(indexes: Mapping[Text, SearchReader], text: Text) -> tuple[Text, SearchReader] | None:
    """Return the index for viewers of a kind of text; None if there is none.

    Who may see raw text is answered from the redacted index if there is no other, never the
    reverse.
    """
    kinds = (Text.RAW, Text.REDACTED) if text is Text.RAW else (Text.REDACTED,)
    return next(((kind, indexes[kind]) for kind in kinds if kind in indexes), None)


async def answer(
    request: web.Request,
    viewer: Viewer,
    indexes: Mapping[Text, SearchReader],
    ledger: Ledger,
    metrics: Metrics,
) -> web.Response:
    """Search the words of calls in the viewer's scope that were not erased.

    Args:
        request: its body is the query.
        viewer: decides which calls may be found, and in which text.
        indexes: the indexes, by kind of text.
        ledger: the erased calls; the worker `govern` may not have removed them from the index yet.
        metrics: receives the outcome.

    Raises:
        web.HTTPException: with JSON. 400 if the query can't be understood, 503 without index.
        PublishError: Redis is unavailable.
    """
    asked = await _read(request)
    query = _parse(asked.q, metrics)
    chosen = index_for(indexes, viewer.text)
    if chosen is None:
        raise _unavailable("search is not configured for your kind of text", metrics)
    text, index = chosen
    scope = viewer.scope
    limits = Limits(scope.call_id, scope.route, scope.tenant)
    search = Search(query, limits, asked.limit, asked.after, asked.order)
    page = await _search(index, search, metrics)
    metrics.searches_total.labels("complete" if page.is_complete else "cut").inc()
    erased = await ledger.erased({hit.call_id for hit in page.hits}) if page.hits else set()
    shown = [
        hit
        for hit in page.hits
        if scope.admits(call_id=hit.call_id, route=hit.route, tenant=hit.tenant)
        and hit.call_id not in erased
    ]
    # Folding 100 long segments takes long enough to delay the feeds of live calls.
    found = await asyncio.to_thread(_results, shown, query)
    return json_response(Results(found, page.next or None, page.is_complete, text))


async def _read(request: web.Request) -> _Request:
    try:
        return msgspec.json.decode(await read_body(request), type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = (
            f'the body must be {{"q": "..."}}, with limit (1 to {MAX_LIMIT}), after and order '
            "(newest or best) if you like"
        )
        raise json_error(HTTPStatus.BAD_REQUEST, {"error": message}) from None


def _parse(text: str, metrics: Metrics) -> Query:
    try:
        return parse(text, datetime.now(UTC))
    except QueryError as error:
        metrics.searches_total.labels("refused").inc()
        body = {"error": str(error), "reason": error.reason, "position": error.position}
        raise json_error(HTTPStatus.BAD_REQUEST, body) from None


async def _search(index: SearchReader, search: Search, metrics: Metrics) -> Page:
    try:
        async with asyncio.timeout(_MARGIN_S + index.timeout_s):
            return await index.search(search)
    except CursorError:
        metrics.searches_total.labels("refused").inc()
        message = "after must be the next of an earlier page"
        raise json_error(HTTPStatus.BAD_REQUEST, {"error": message}) from None
    except TimeoutError:
        raise _unavailable("the search index does not respond", metrics) from None
    except SearchIndexError as error:
        raise _unavailable(str(error), metrics) from None


def _unavailable(message: str, metrics: Metrics) -> web.HTTPException:
    metrics.searches_total.labels("unavailable").inc()
    return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": message})


def _results(hits: Sequence[Hit], query: Query) -> list[dict[str, Any]]:
    return [result_of(hit, utf16(snippet(hit.text, query))) for hit in hits]
