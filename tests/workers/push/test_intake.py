"""Who gets the messages of an event."""

from collections.abc import Callable

import pytest

from gateway.redis_client.client import create_client
from tests.workers.push.pushing import alert, wrapup
from workers.client.events import read_event
from workers.consumer import Received
from workers.push.intake import Selector
from workers.push.subscriptions import Subscription, Text

_NO_REDIS = "redis://127.0.0.1:1"
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
    selector = Selector(create_client(_NO_REDIS), 0, source, _SUBSCRIPTIONS)
    receivers = []
    for own in ({"route": "sales"}, {"route": "support"}, {}):
        fields = make("CA1", 2, **own)
        found = await selector.messages(Received(read_event("1-0", fields), fields))
        receivers.append([name for name, _ in found])
    assert receivers == [["all", "sales"], ["all"], ["all", "none"]]


async def test_wrapups_of_raw_and_of_redacted_text_are_different_messages() -> None:
    """Both had one id, so a receiver ignored the second one."""
    ids = set()
    for source, made_from in (("wrapups", "raw"), ("redacted-wrapups", "redacted")):
        subscription = Subscription("crm", _KINDS, Text.RAW)
        selector = Selector(create_client(_NO_REDIS), 0, source, [subscription])
        fields = wrapup("CA1", 2, made_from)
        ((_, message),) = await selector.messages(Received(read_event("1-0", fields), fields))
        ids.add(message.id)
    assert len(ids) == 2
