"""Erasing calls from the page: `DELETE /api/calls/{call_id}`, and erased calls that are hidden.

The relay records the call in the ledger. It has no permission to delete anything: the worker
`govern` does that, within seconds. From the record on, no relay shows the call.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from common.http_body import read_body
from gateway.errors import PublishError
from gateway.transcript.keys import encode_id
from workers.governance.eraser import Actor, Governance
from workers.governance.ledger import Recorded
from workers.governance.stores import StoreError
from workers.relay.channel import Channel
from workers.relay.metrics import Metrics
from workers.relay.sign_in.assembly import SignIn
from workers.relay.sign_in.responses import json_error, json_response
from workers.relay.sign_in.viewer import ALL_CALLS, Permission, Text, Viewer

_CHECK_S: Final = 5.0
_CALLS_AT_ONCE: Final = 500
_LINE: Final = r"^(?=.*[^ ])[^\x00-\x1f\x7f]*\Z"  # not only spaces
_REFUSED: Final = {
    Recorded.HELD: "a legal hold is on the call",
    Recorded.LIVE: 'the call has not ended; "even_live": true erases it nevertheless',
}


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=300, pattern=_LINE)]
    even_live: bool = False


@dataclass(frozen=True, slots=True)
class Erasing:
    """Erasure on request of a viewer.

    Attributes:
        governance: records erasures; without stores, because the relay deletes nothing.
        channels: by kind of text.
        sign_in: identifies viewers.
        metrics: receives the results.
    """

    governance: Governance
    channels: Mapping[Text, Channel]
    sign_in: SignIn
    metrics: Metrics

    def add_to(self, app: web.Application) -> None:
        """Add the route to an application."""
        app.router.add_delete("/api/calls/{call_id}", self._erase)

    async def _erase(self, request: web.Request) -> web.Response:
        viewer = await self.sign_in.gate.viewer_of(request)
        call_id = await self._permitted(request, viewer)
        try:
            body = msgspec.json.decode(await read_body(request), type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = 'the body must be {"reason": "..."} with 1 to 300 characters on one line'
            raise json_error(HTTPStatus.BAD_REQUEST, {"error": message}) from None
        actor = Actor(viewer.name, viewer.subject, request.remote)
        try:
            outcome = await self.governance.request(
                call_id, actor, body.reason, even_live=body.even_live
            )
        except (PublishError, StoreError) as error:
            raise self._unavailable(error) from None
        if refusal := _REFUSED.get(outcome):
            return json_response({"error": refusal}, status=HTTPStatus.CONFLICT)
        self._forget({call_id})
        return json_response({"call_id": call_id, "state": "recorded"}, status=HTTPStatus.ACCEPTED)

    async def _permitted(self, request: web.Request, viewer: Viewer) -> str:
        """Return the id of a call that a viewer may erase.

        Calls that Redis no longer has are not known here. Only a viewer of all calls may erase
        them.
        """
        if not viewer.may(Permission.ERASE):
            self.sign_in.audit.refuse("no-permission", request.remote, viewer)
            raise json_error(HTTPStatus.FORBIDDEN, {"error": "your role may not do this"})
        try:
            call_id = encode_id(request.match_info["call_id"])
            if viewer.scope == ALL_CALLS:
                return call_id
            for channel in self.channels.values():
                call = await channel.find(call_id)
                if call and call.is_in(viewer.scope):
                    return call_id
        except PublishError as error:
            raise self._unavailable(error) from None
        self.sign_in.audit.refuse("out-of-scope", request.remote, viewer)
        raise json_error(HTTPStatus.NOT_FOUND, {"error": "there is no such call"})

    def _unavailable(self, error: PublishError | StoreError) -> web.HTTPException:
        self.metrics.count_error(error.reason)
        message = "Redis is unavailable; try again"
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"error": message})

    async def hide_forever(self) -> None:
        """Remove calls from the lists that were erased elsewhere, and end their feeds.

        Runs until it is cancelled.
        """
        while True:
            with contextlib.suppress(PublishError):
                for channel in self.channels.values():
                    ids = channel.followed | {call.call_id for call in channel.directory.calls()}
                    for some in batched(ids, _CALLS_AT_ONCE):
                        self._forget(await self.governance.ledger.erased(some))
            await asyncio.sleep(_CHECK_S)

    def _forget(self, call_ids: set[str]) -> None:
        for channel in self.channels.values():
            for call_id in call_ids:
                channel.forget(call_id)
