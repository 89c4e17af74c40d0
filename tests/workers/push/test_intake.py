"""Who gets the messages of an event."""

from collections.abc import Callable

import pytest

from gateway.redis_client.client import create_client
from tests.workers.push.pushing import alert, wrapup
from workers.client.events import read_event
from workers.consumer import Received
from workers.push.intake import Selector
from workers.push.subscriptions import Subscription, Text

_KINDS = frozenset({"assist.alert", "assist.wrapup"})
_SUBSCRIPTIONS = (
    Subscription("all", _KINDS, Text.REDACTED),
    Subscription("sales", _KINDS, Text.REDACTED, routes=frozenset({"sales"})),
    Subscription("none", _KINDS, Text.REDACTED, routes=frozenset({""})),
)


@pytest.mark.parametrize(("source", "make"), [("alerts", alert), ("redacted-wrapups", wrapup)])
async def test_route_of_an_alert_and_a_wrapup_is_in_the_event(
    source: str, make: Callable[..., dict[str, str]]
) -> None:
    """An alert without a route of a call that Redis no longer has became a dead letter."""
    selector = Selector(create_client("redis://127.0.0.1:1"), 0, source, _SUBSCRIPTIONS)
    receivers = []
    for own in ({"route": "sales"}, {"route": "support"}, {}):
        fields = make("CA1", 2, **own)
        found = await selector.messages(Received(read_event("1-0", fields), fields))
        receivers.append([name for name, _ in found])
    assert receivers == [["all", "sales"], ["all"], ["all", "none"]]
