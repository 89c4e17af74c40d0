"""The relay's API: the calls that a viewer may see, their events, alerts and timelines."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final, cast

import msgspec
from aiohttp import web
from msgspec import Meta

from common.http_body import read_body
from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import encode_id
from workers.governance.ledger import Ledger
from workers.relay.assist import Assist
from workers.relay.assist_feed import AssistFeed
from workers.relay.call_summary import CallList, CallState
from workers.relay.channel import Channel
from workers.relay.derived import Places
from workers.relay.feeds import AllFeed, CallFeed, calls_feed
from workers.relay.gateways import Gateways, GatewaysError
from workers.relay.messages import Order
from workers.relay.metrics import Metrics
from workers.relay.search_api import answer
from workers.relay.sign_in.assembly import SignIn
from workers.relay.sign_in.audit import Action
from workers.relay.sign_in.responses import json_error, json_response
from workers.relay.sign_in.viewer import Permission, Text, Viewer
from workers.relay.store import Store
from workers.relay.streaming import Feed, stream
from workers.relay.timeline import timeline
from workers.relay.wrapups import NotServedError, TooOftenError, WrapupRequests
from workers.search.index import SearchReader

_MAX_QUERY: Final = 200
_SEARCHED_AT_ONCE: Final = 20  # calls
_MAX_LISTED: Final = 500
_ENTRY_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,19})?")
_PLACES: Final = re.compile(rf"{_ENTRY_ID.pattern}(_{_ENTRY_ID.pattern}){{2}}")
_READY_TIMEOUT_S: Final = 5.0
_ORDER: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,19}-[0-9]{1,4}")

type ApiHandler = Callable[[web.Request, Viewer, Channel], Awaitable[web.StreamResponse]]


class _Search(msgspec.Struct):
    q: Annotated[str, Meta(min_length=1, max_length=_MAX_QUERY)]


class _WrapupRequest(msgspec.Struct):
    text: Text = Text.REDACTED


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers of `/api/`, except `/api/session`.

    Attributes:
        channels: by kind of text.
        ready: set once the hub reads.
        assist: the alerts and wrap-ups.
        store: the relay's Redis operations.
        client: reads the history of all calls.
        sign_in: identifies viewers.
        gateways: the gateways' private ports.
        microphone_route: the route of calls from the microphone page; empty: there is none.
        max_viewers: feeds that may be open at the same time.
        wrapups: requests for wrap-ups.
        metrics: receives the results.
        ledger: the erased calls.
        indexes: of all calls, by kind of text.
    """

    channels: Mapping[Text, Channel]
    ready: asyncio.Event
    assist: Assist
    store: Store
    client: RedisClient
    sign_in: SignIn
    gateways: Gateways
    microphone_route: str
    max_viewers: int
    wrapups: WrapupRequests
    metrics: Metrics
    ledger: Ledger
    indexes: Mapping[Text, SearchReader] = field(default_factory=dict)
    _feeds: set[asyncio.Task[Any]] = field(default_factory=set)

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        routes: dict[str, tuple[ApiHandler, Permission]] = {
            "/api/calls": (self._calls, Permission.CALLS),
            "/api/calls/live": (self._live_calls, Permission.CALLS),
            "/api/calls/{call_id}": (self._call, Permission.CALLS),
            "/api/calls/{call_id}/events": (self._call_events, Permission.CALLS),
            "/api/calls/{call_id}/assist": (self._call_assist, Permission.CALLS),
            "/api/calls/{call_id}/timeline": (self._timeline, Permission.TIMELINE),
            "/api/events": (self._all_events, Permission.CALLS),
        }
        for path, (handler, permission) in routes.items():
            app.router.add_get(path, self._guarded(handler, permission), allow_head=False)
        app.router.add_post("/api/search", self._guarded(self._search, Permission.CALLS))
        search = self._guarded(self._search_segments, Permission.CALLS)
        app.router.add_post("/api/search/segments", search)
        microphone = self._guarded(self._microphone, Permission.MICROPHONE)
        app.router.add_post("/api/microphone", microphone)
        wrapup = self._guarded(self._request_wrapup, Permission.CALLS)
        app.router.add_post("/api/calls/{call_id}/wrapup", wrapup)
        app.on_shutdown.append(self._end_feeds)

    async def _end_feeds(self, _: web.Application) -> None:
        for task in self._feeds:
            task.cancel()

    def _guarded(
        self, handler: ApiHandler, permission: Permission
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return a handler that requires a viewer with a permission."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            viewer = await self.sign_in.gate.viewer_of(request)
            if not viewer.may(permission):
                self.sign_in.audit.refuse("no-permission", request.remote, viewer)
                raise json_error(HTTPStatus.FORBIDDEN, {"error": "your role may not do this"})
            try:
                await _until_ready(self.ready)
                return await handler(request, viewer, self._channel(viewer))
            except PublishError as error:
                self.metrics.count_error(error.reason)
                message = "Redis is unavailable; try again"
                raise json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": message}) from None

        return guarded

    def _channel(self, viewer: Viewer) -> Channel:
        """Return the channel of the text that a viewer may see."""
        channel = self.channels.get(viewer.text)
        if channel is None and viewer.text is Text.RAW:
            channel = self.channels[Text.REDACTED]
        if channel is None:
            message = "this relay has no redacted text, and you may not see other text"
            raise json_error(HTTPStatus.FORBIDDEN, {"error": message})
        return channel

    async def _calls(self, _: web.Request, viewer: Viewer, channel: Channel) -> web.StreamResponse:
        calls = (call for call in channel.directory.calls() if call.is_in(viewer.scope))
        listed = [channel.summarize(call) for call in islice(calls, _MAX_LISTED)]
        return json_response(CallList(listed))

    async def _search(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        """Search what was said; not by GET, because proxies log URLs."""
        try:
            query = msgspec.json.decode(await read_body(request), type=_Search).q.strip()
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = f'the body must be {{"q": "..."}} with 1 to {_MAX_QUERY} characters'
            raise json_error(HTTPStatus.BAD_REQUEST, {"error": message}) from None
        self.sign_in.audit.note(Action.SEARCHED, viewer, request.remote)
        matching = []
        for number, call in enumerate(channel.directory.calls()):
            if number % _SEARCHED_AT_ONCE == 0:
                await asyncio.sleep(0)  # a search of many calls must not delay feeds
            match = call.find(query) if call.is_in(viewer.scope) else None
            if match is not None:
                matching.append(channel.summarize(call, match))
                if len(matching) == _MAX_LISTED:
                    break
        return json_response(CallList(matching))

    async def _search_segments(
        self, request: web.Request, viewer: Viewer, _: Channel
    ) -> web.StreamResponse:
        self.sign_in.audit.note(Action.SEARCHED, viewer, request.remote)
        return await answer(request, viewer, self.indexes, self.ledger, self.metrics)

    async def _live_calls(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        return await self._stream("calls", request, viewer, calls_feed(channel, viewer.scope))

    async def _call(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        call = await self._existing(request, viewer, channel)
        self._note(Action.CALL_OPENED, request, viewer, call)
        return json_response({"call": channel.summarize(call), "segments": call.segments})

    async def _call_events(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        after = _after(request, _ENTRY_ID) or "0"
        call_id = await self._admitted(Action.STREAM_OPENED, request, viewer, channel)
        feed = CallFeed(channel, self.store, call_id, after, viewer.scope, self.metrics)
        return await self._stream("call", request, viewer, feed.messages())

    async def _call_assist(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        after = _after(request, _PLACES)
        await _until_ready(self.assist.ready)
        call_id = await self._admitted(Action.ASSIST_OPENED, request, viewer, channel)
        places = Places.parse(after) if after else Places()
        feed = AssistFeed(
            self.assist, channel, self.store, call_id, places, viewer.scope, self.metrics
        )
        return await self._stream("assist", request, viewer, feed.messages())

    async def _admitted(
        self, action: Action, request: web.Request, viewer: Viewer, channel: Channel
    ) -> str:
        """Return the id of the call of a feed, which the viewer may see, or which has not begun."""
        call_id = _call_id(request)
        call = await channel.find(call_id)
        if call:
            self._check_scope(request, viewer, call)
        tenant = call.tenant if call else None
        self.sign_in.audit.note(action, viewer, request.remote, call_id=call_id, tenant=tenant)
        return call_id

    async def _all_events(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        text = _after(request, _ORDER)
        after = Order.parse(text) if text else Order(await self.store.server_ms(), 0, 0)
        self.sign_in.audit.note(Action.STREAM_OPENED, viewer, request.remote)
        feed = AllFeed(channel, self.store, self.client, self.ledger, after, viewer.scope)
        return await self._stream("all", request, viewer, feed.messages())

    async def _timeline(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        call = await self._existing(request, viewer, channel)
        live = None if call.is_over else await self.gateways.snapshot(call.call_id)
        if request.query.get("only") == "live":
            return json_response({"live": live})
        self._note(Action.TIMELINE_OPENED, request, viewer, call)
        events = [event async for event in self.store.events(channel.text, call.call_id)]
        summary = channel.summarize(call, with_text=False)
        return json_response({"call": summary, "streams": timeline(events), "live": live})

    async def _request_wrapup(
        self, request: web.Request, viewer: Viewer, channel: Channel
    ) -> web.StreamResponse:
        call = await self._existing(request, viewer, channel)
        text = _wrapup_text(await read_body(request))
        if text is Text.RAW and viewer.text is not Text.RAW:
            self.sign_in.audit.refuse("no-raw-text", request.remote, viewer, call.call_id)
            raise json_error(HTTPStatus.FORBIDDEN, {"error": "you may not see raw text"})
        try:
            wrapup = await self.wrapups.write(call, text, channel.text)
        except NotServedError:
            message = "no worker makes wrap-ups of this text now"
            raise json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": message}) from None
        except TooOftenError:
            message = "a wrap-up of this call was requested a moment ago"
            raise json_error(HTTPStatus.TOO_MANY_REQUESTS, {"error": message}) from None
        self._note(Action.WRAPUP_REQUESTED, request, viewer, call)
        return json_response({"wrapup": wrapup}, HTTPStatus.ACCEPTED)

    async def _microphone(
        self, request: web.Request, viewer: Viewer, _: Channel
    ) -> web.StreamResponse:
        if not self.microphone_route:
            message = "the microphone is not set up (WORKER_RELAY_MICROPHONE_ROUTE)"
            raise json_error(HTTPStatus.NOT_FOUND, {"error": message})
        call_id = f"mic-{secrets.token_hex(8)}"
        try:
            media = await self.gateways.media_url(call_id, self.microphone_route)
        except GatewaysError as error:
            raise json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)}) from None
        if not viewer.scope.admits(call_id=call_id, route=media.route, tenant=media.tenant):
            message = "you may not see calls of the microphone's route"
            raise json_error(HTTPStatus.FORBIDDEN, {"error": message})
        return json_response({"url": media.url, "call_id": call_id})

    async def _existing(self, request: web.Request, viewer: Viewer, channel: Channel) -> CallState:
        call = await channel.find(_call_id(request))
        if call is None:
            raise _unknown_call()
        self._check_scope(request, viewer, call)
        return call

    def _check_scope(self, request: web.Request, viewer: Viewer, call: CallState) -> None:
        """Answer as for an unknown call unless the viewer's scope admits the call."""
        if not call.is_in(viewer.scope):
            self.sign_in.audit.refuse("out-of-scope", request.remote, viewer, call.call_id)
            raise _unknown_call()

    def _note(self, action: Action, request: web.Request, viewer: Viewer, call: CallState) -> None:
        self.sign_in.audit.note(
            action, viewer, request.remote, call_id=call.call_id, tenant=call.tenant
        )

    async def _stream(
        self, name: str, request: web.Request, viewer: Viewer, feed: Feed
    ) -> web.StreamResponse:
        if self.metrics.open_feeds >= self.max_viewers:
            message = "too many feeds are open (WORKER_RELAY_MAX_VIEWERS)"
            raise json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": message})
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._feeds.add(task)
        try:
            with self.metrics.viewing(name):
                return await stream(request, feed, viewer, self.sign_in.signed_out, self.metrics)
        finally:
            self._feeds.discard(task)


async def _until_ready(ready: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            await ready.wait()
    except TimeoutError:
        raise PublishError("redis-unavailable", "the relay has not read it yet") from None


def _call_id(request: web.Request) -> str:
    """Return the call id in the path, encoded as in events."""
    return encode_id(request.match_info["call_id"])


def _wrapup_text(body: bytes) -> Text:
    """Return which text a wrap-up is requested of."""
    try:
        return msgspec.json.decode(body or b"{}", type=_WrapupRequest).text
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = 'the body must be empty or {"text": "redacted"} or {"text": "raw"}'
        raise json_error(HTTPStatus.BAD_REQUEST, {"error": message}) from None


def _unknown_call() -> web.HTTPException:
    return json_error(HTTPStatus.NOT_FOUND, {"error": "there is no such call"})


def _after(request: web.Request, pattern: re.Pattern[str]) -> str:
    """Return the id after which a feed continues; empty if there is none.

    The header of a client that reconnects is newer than the query of its URL.
    """
    text = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    if text and not pattern.fullmatch(text):
        message = "after, or Last-Event-ID, must be the id of a message of this feed"
        raise json_error(HTTPStatus.BAD_REQUEST, {"error": message})
    return text
