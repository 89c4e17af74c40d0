"""The relay's search on a real server: scopes, kinds of text, errors, and what is logged."""

import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.workers.governance.planting import ANN, client_of, governed
from tests.workers.relay.a_relay import ARelay, Viewer, link_token, running, viewer
from tests.workers.search.indexes import TIMEOUT_S, said, seen
from workers.relay.sign_in.viewer import ALL_CALLS, Scope, Text
from workers.search.index import AlertNoted, Change, DispositionNoted
from workers.search.indexes import file_of
from workers.search.query import Query
from workers.search.settings import Settings
from workers.search.snippets import Snippet, snippet
from workers.search.sqlite import SqliteIndex

_PATH: Final = "/api/search/segments"
_CALLS: Final[list[Change]] = [
    seen("CA1", tenant="a", route="x"),
    said("my card is 4111 1111 1111 1111 for the refund", call="CA1"),
    AlertNoted("CA1", "1", "no-refund", "warning", is_raised=True),
    DispositionNoted("CA1", "sale"),
    seen("CA2", tenant="a", route="y"),
    said("a refund", 2, call="CA2", role="agent"),
    seen("CA3", tenant="b", route="x"),
    said("another refund", 3, call="CA3"),
]


async def fill(folder: Path, kind: str, changes: Sequence[Change]) -> None:
    index = await SqliteIndex.open(file_of(folder, kind), TIMEOUT_S, 1.0)
    await index.add(changes)
    await index.close()


@contextlib.asynccontextmanager
async def relay_with(
    redis_url: str, folder: Path, kinds: str = "both", text: str = "both"
) -> AsyncIterator[ARelay]:
    settings = Settings(_env_file=None, path=folder, text=kinds, timeout_s=TIMEOUT_S)
    async with running(redis_url, search=settings, text=text) as relay:
        yield relay


async def ask(ann: Viewer, query: str, **more: Any) -> Any:
    async with ann.http.post(_PATH, json={"q": query, **more}) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def refusal(ann: Viewer, **request: Any) -> tuple[int, Any]:
    async with ann.http.post(_PATH, **request) as response:
        return response.status, await response.json()


def calls(answer: Any) -> list[str]:
    return [each["call_id"] for each in answer["results"]]


async def test_result_has_the_words_in_their_context(redis_url: str, tmp_path: Path) -> None:
    await fill(tmp_path, "raw", _CALLS)
    async with relay_with(redis_url, tmp_path) as relay, viewer(relay) as ann:
        found = await ask(ann, "refund tenant:A alert:any")
        assert found == {
            "results": [
                {
                    "call_id": "CA1",
                    "tenant": "a",
                    "carrier": "twilio",
                    "route": "x",
                    "disposition": "sale",
                    "alerts": ["no-refund"],
                    "gap_ms": 0,
                    "stream_id": "MZ1",
                    "track": "inbound",
                    "role": "customer",
                    "segment": 1,
                    "at": "2026-11-30T12:00:01.000Z",
                    "start_ms": 1000,
                    "end_ms": 1800,
                    "text": "my card is 4111 1111 1111 1111 for the refund",
                    "highlights": [[39, 45]],
                }
            ],
            "next": None,
            "complete": True,
            "text": "raw",
        }
        first = await ask(ann, "refund", limit=2)
        assert calls(first) == ["CA3", "CA2"]
        second = await ask(ann, "refund", limit=2, after=first["next"])
        assert (calls(second), second["next"]) == (["CA1"], None)
        assert calls(await ask(ann, "refund", order="best", limit=1)) != []
        assert relay.metric("searches_total", outcome="complete") == 4


async def test_erased_call_is_not_shown_before_it_leaves_the_index(
    redis_url: str, tmp_path: Path
) -> None:
    """Symptom: its words were shown until the worker `govern` had removed them."""
    await fill(tmp_path, "raw", _CALLS)
    async with (
        relay_with(redis_url, tmp_path) as relay,
        viewer(relay) as ann,
        client_of(redis_url) as client,
    ):
        await governed(client).governance.request("CA2", ANN, "r")
        assert calls(await ask(ann, "refund")) == ["CA3", "CA1"]


async def test_snippets_are_made_outside_of_the_event_loop(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: a page of 100 long segments delayed the feeds of live calls."""
    threads = set()

    def noted(text: str, query: Query) -> Snippet:
        threads.add(threading.current_thread())
        return snippet(text, query)

    monkeypatch.setattr("workers.relay.search_api.snippet", noted)
    await fill(tmp_path, "raw", _CALLS)
    async with relay_with(redis_url, tmp_path) as relay, viewer(relay) as ann:
        assert len(calls(await ask(ann, "refund"))) == 3
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("scope", "visible"),
    [
        (ALL_CALLS, ["CA3", "CA2", "CA1"]),
        (Scope(call_id=None, route=None, tenant="a"), ["CA2", "CA1"]),
        (Scope(call_id=None, route=None, tenant="A"), []),
        (Scope(call_id=None, route="x", tenant="a"), ["CA1"]),
        (Scope(call_id="CA2", route=None, tenant=None), ["CA2"]),
        (Scope(call_id="CA2", route=None, tenant="b"), []),
    ],
)
async def test_no_query_finds_calls_outside_of_the_scope(
    redis_url: str, tmp_path: Path, scope: Scope, visible: list[str]
) -> None:
    await fill(tmp_path, "raw", _CALLS)
    async with (
        relay_with(redis_url, tmp_path) as relay,
        viewer(relay, link_token(scope)) as ann,
    ):
        assert calls(await ask(ann, "refund")) == visible
        hostile = (
            "refund tenant:a tenant:b",
            "refund -tenant:a",
            "refund -call:CA1 route:x route:y",
            "from:2026-01-01",
            "role:agent role:customer",
            'refund "tenant:b',
            "refund') OR ('1'='1",
        )
        for query in hostile:
            async with ann.http.post(_PATH, json={"q": query}) as response:
                found = await response.json()
                assert set(calls(found) if response.status == 200 else ()) <= set(visible)
        first = await ask(ann, "refund", limit=1)
        if first["next"]:  # a cursor is not a permission
            assert set(calls(await ask(ann, "refund", after=first["next"]))) <= set(visible)
        everything = await ask(ann, "refund", after="9" * 18)
        assert set(calls(everything)) <= set(visible)


@pytest.mark.parametrize("text", ["both", "redacted"])
async def test_redacted_viewer_never_searches_raw_words(
    redis_url: str, tmp_path: Path, text: str
) -> None:
    await fill(tmp_path, "raw", _CALLS)
    async with (
        relay_with(redis_url, tmp_path, text=text) as relay,
        viewer(relay, link_token(text=Text.REDACTED)) as ann,
    ):
        status, body = await refusal(ann, json={"q": "4111"})
        assert (status, "run the worker search" in body["error"]) == (503, True)
        await fill(tmp_path, "redacted", [seen("CA1"), said("my card is [card]")])
        assert calls(await ask(ann, "4111")) == []
        found = await ask(ann, "card")
        assert (found["text"], found["results"][0]["text"]) == ("redacted", "my card is [card]")


async def test_redacted_viewer_of_a_raw_index_is_refused(redis_url: str, tmp_path: Path) -> None:
    await fill(tmp_path, "raw", _CALLS)
    async with (
        relay_with(redis_url, tmp_path, kinds="raw") as relay,
        viewer(relay, link_token(text=Text.REDACTED)) as ann,
    ):
        assert (await refusal(ann, json={"q": "card"}))[0] == 503


async def test_raw_viewer_searches_redacted_words_if_there_are_no_others(
    redis_url: str, tmp_path: Path
) -> None:
    await fill(tmp_path, "redacted", [seen("CA1"), said("my card is [card]")])
    async with relay_with(redis_url, tmp_path, kinds="redacted") as relay, viewer(relay) as ann:
        assert (await ask(ann, "card"))["text"] == "redacted"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"json": {"q": 'a "b'}}, {"reason": "unclosed-quote", "position": 2}),
        ({"json": {"q": ""}}, {"reason": "empty"}),
        ({"json": {"q": "x" * 501}}, {"reason": "too-long"}),
        ({"json": {"q": "x" * 9000}}, None),
        (
            {"json": {"q": "a", "after": "x"}},
            {"error": "after must be the next of an earlier page"},
        ),
        ({"json": {"q": "a", "limit": 0}}, {}),
        ({"json": {"q": "a", "limit": 101}}, {}),
        ({"json": {"q": "a", "tenant": "b"}}, {}),
        ({"json": {"q": "a", "order": "worst"}}, {}),
        ({"json": {}}, {}),
        ({"data": b"\xff{"}, {}),
    ],
)
async def test_bad_request_gets_a_clear_error(
    redis_url: str, tmp_path: Path, request_: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    await fill(tmp_path, "raw", _CALLS)
    async with relay_with(redis_url, tmp_path) as relay, viewer(relay) as ann:
        if expected is None:
            assert await ann.status(_PATH, "POST", **request_) == 413
            return
        status, body = await refusal(ann, **request_)
        assert status == 400
        assert body["error"]
        assert body.items() >= expected.items()


async def test_search_without_an_index_is_refused(redis_url: str) -> None:
    async with running(redis_url) as relay, viewer(relay) as ann:
        assert (await refusal(ann, json={"q": "a"}))[0] == 503
        assert relay.metric("searches_total", outcome="unavailable") == 1


async def test_search_needs_a_session_and_is_audited_without_its_words(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(tmp_path, "raw", _CALLS)
    caplog.set_level(logging.DEBUG)
    async with relay_with(redis_url, tmp_path) as relay, viewer(relay) as ann:
        await ask(ann, "refund canaryword")
        assert any("searched who=ann" in each.getMessage() for each in caplog.records)
        await ann.status("/api/session", "DELETE")
        assert await ann.status(_PATH, "POST", json={"q": "refund"}) == 401
    assert "canaryword" not in caplog.text
