"""What belongs into the streams of alerts and wrap-ups, and where a viewer of them resumes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.client.stories import fields
from workers.client.events import Entry, EventError
from workers.relay.derived import Derived, Places, Source, derived, sources
from workers.relay.sign_in.viewer import Text

_ALERT = {
    "alert": "a1",
    "state": "raised",
    "rule": "r",
    "rule_version": "1",
    "severity": "info",
    "title": "t",
}


def alert(entry_id: str = "5-0", **own: Any) -> Entry:
    return Entry(entry_id, fields("assist.alert", 1, **{**_ALERT, **own}))


def wrapup(entry_id: str = "5-0", made_from: str = "redacted", **own: Any) -> Entry:
    cited = '[{"text":"x","citations":[]}]'
    values = {"wrapup": "w1", "made_from": made_from, "trigger": "ended", "model": "m"}
    event = {**values, "summary": cited, "follow_ups": "[]", **own}
    return Entry(entry_id, fields("assist.wrapup", 1, **event))


def words() -> Entry:
    where: dict[str, Any] = {
        "track": "inbound",
        "segment": 1,
        "rev": 0,
        "start_ms": 0,
        "end_ms": 80,
    }
    return Entry("5-0", fields("transcript.final", 1, text="4111", **where))


@pytest.mark.parametrize(
    ("entry", "belongs_to"),
    [
        (alert(), {Source.ALERTS}),
        (wrapup(), {Source.REDACTED_WRAPUPS, Source.WRAPUPS}),
        (wrapup(made_from="raw"), {Source.WRAPUPS}),
        (wrapup(made_from="new"), {Source.WRAPUPS}),
        (words(), set()),
        (Entry("5-0", fields("assist.new", 1)), set()),
        (alert(segment="x"), set()),
        (wrapup(summary="{"), set()),
    ],
)
def test_only_what_belongs_to_a_stream_is_passed_on(entry: Entry, belongs_to: set[Source]) -> None:
    for source in Source:
        if source in belongs_to:
            assert derived(entry, source).event.id == "5-0"
        else:
            with pytest.raises(EventError) as raised:
                derived(entry, source)
            assert "4111" not in str(raised.value)


def test_viewer_of_redacted_text_reads_no_wrapup_of_raw_text() -> None:
    assert Source.WRAPUPS not in sources(Text.REDACTED)
    assert set(sources(Text.RAW)) == set(Source)


_ITEMS = st.lists(
    st.tuples(st.sampled_from(Source), st.integers(0, 3), st.integers(0, 3)), unique=True
)


def _item(source: Source, ms: int, sequence: int) -> Derived:
    entry = alert if source is Source.ALERTS else wrapup
    return derived(entry(f"{ms}-{sequence + 1}"), source)


@given(_ITEMS, st.integers(0, 20))
def test_viewer_resumes_after_any_message(found: list[tuple[Source, int, int]], cut: int) -> None:
    """Entries of one stream come in order; those of several streams have none."""
    newest = {source: sorted(each for each in found if each[0] is source) for source in Source}
    items = [_item(*newest[source].pop(0)) for source, _, _ in found]
    places = Places()
    sent = list(filter(None, map(places.advance, items)))
    assert [message.data for message in sent] == [each.data for each in items]
    assert not any(map(places.advance, items))
    if cut < len(items):
        resumed = Places.parse(sent[cut].id)
        rest = filter(None, map(resumed.advance, items))
        assert [message.id for message in rest] == [message.id for message in sent[cut + 1 :]]
