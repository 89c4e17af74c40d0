"""Requests for wrap-ups by viewers, such as an agent who transfers a call."""

import time
from collections.abc import Callable
from typing import Final

from common.throttle import Throttle
from gateway.redis_client.client import RedisClient
from workers.relay.call_summary import CallState
from workers.relay.sign_in.viewer import Text
from workers.relay.store import Store
from workers.wrapup import requests

_EVERY_S: Final = 10.0  # each request of a call costs as many tokens as the call has
_GROUPS: Final = {Text.REDACTED: "wrapup", Text.RAW: "wrapup-raw"}


class NotServedError(Exception):
    """No worker makes wrap-ups of this kind of text."""


class TooOftenError(Exception):
    """A wrap-up of the call was requested a moment ago."""


class WrapupRequests:
    """Writes the requests to Redis.

    Args:
        client: from `create_client`.
        store: the relay's other Redis operations.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: RedisClient,
        store: Store,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._store = store
        self._throttle = Throttle(monotonic_s, _EVERY_S)

    async def write(self, call: CallState, text: Text, shown: Text) -> str:
        """Request a wrap-up of a call; return its id.

        Args:
            call: the call.
            text: the text to make it from.
            shown: the text in which the relay found the call.

        Raises:
            NotServedError: no worker makes such wrap-ups.
            TooOftenError: one was requested a moment ago.
            PublishError: Redis is unavailable.
        """
        group = _GROUPS[text]
        if not await requests.is_served(self._client, group):
            raise NotServedError
        if self._throttle.admit((call.call_id, text)) is None:
            raise TooOftenError
        tag = await self._store.tag(shown, call.call_id)
        return await requests.write(
            self._client, group, tag, call.call_id, call.tenant, requester="relay"
        )
