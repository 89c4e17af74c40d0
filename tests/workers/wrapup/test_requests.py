"""Requests for a wrap-up in mid-call: from the relay, and from `./run wrapup`."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from cli.__main__ import main
from gateway.redis_client.client import create_client
from tests.workers.push.pushing import wrapup as made
from tests.workers.relay.a_relay import Calls, Viewer, link_token, running, viewer
from tests.workers.wrapup.a_server import good, serving, status
from tests.workers.wrapup.bench import benched
from tests.workers.wrapup.calls import call_fields, end
from tests.workers.wrapup.test_process import joined
from workers.relay.sign_in.viewer import Scope, Text
from workers.settings import Settings as WorkerSettings
from workers.wrapup.assembly import wrapup
from workers.wrapup.settings import Settings


async def posted(ann: Viewer, call: str = "CA1", **body: Any) -> tuple[int, Any]:
    """Request a wrap-up; return the status and the JSON of the response."""
    async with ann.http.post(f"/api/calls/{call}/wrapup", json=body or None) as response:
        return response.status, await response.json()


@contextlib.asynccontextmanager
async def talking(url: str, *texts: str) -> AsyncIterator[Calls]:
    """Write a live call, and that workers of some texts run."""
    async with contextlib.aclosing(create_client(url)) as client:
        for text in texts:
            group = "wrapup-raw" if text == "raw" else "wrapup"
            await client.zadd(f"cs:consumers:{group}", {"w1": time.time() * 1000 + 10_000})
        for suffix in ("", "redacted"):
            calls = Calls(client, suffix)
            await calls.start("CA1")
            await calls.close("CA1", "Hello.")
        yield Calls(client)


async def entries(calls: Calls, group: str = "wrapup") -> list[dict[str, str]]:
    found: Any = await calls.client.xrange(f"cs:{{p53}}:retry:{group}")
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in found]


async def test_viewer_requests_a_wrap_up(redis_url: str) -> None:
    async with (
        talking(redis_url, "redacted") as calls,
        running(redis_url, text="redacted") as relay,
        viewer(relay, link_token(text=Text.REDACTED)) as ann,
        benched(redis_url) as bench,
    ):
        code, body = await posted(ann)
        assert code == 202
        (fields,) = await entries(calls)
        assert (fields["call_id"], fields["tenant"]) == ("CA1", "default")
        await bench.handle(fields)
        await bench.until_done(0)
        (made,) = await bench.wrapups()
        assert body == {"wrapup": made.wrapup}
        assert (await posted(ann))[0] == 429, "within 10 s"


@pytest.mark.parametrize(
    ("token", "body", "code"),
    [
        ({"text": Text.REDACTED}, {"text": "raw"}, 403),
        ({"text": Text.REDACTED, "scope": Scope(None, "other", None)}, {}, 404),
        ({"text": Text.REDACTED, "scope": Scope(None, None, "other")}, {}, 404),
        ({"text": Text.REDACTED, "scope": Scope("CA2", None, None)}, {}, 404),
        ({"text": Text.REDACTED, "scope": Scope(None, "r", None)}, {}, 202),
        ({"text": Text.RAW}, {"text": "other"}, 400),
        ({"text": Text.RAW}, {"text": "raw"}, 202),
        ({"text": Text.RAW}, {}, 202),
    ],
)
async def test_scope_and_text_of_the_viewer_decide(
    redis_url: str, token: dict[str, Any], body: dict[str, str], code: int
) -> None:
    async with (
        talking(redis_url, "raw", "redacted") as calls,
        running(redis_url, text="both") as relay,
        viewer(relay, link_token(**token)) as ann,
    ):
        assert (await posted(ann, **body))[0] == code
        group = "wrapup-raw" if body.get("text") == "raw" else "wrapup"
        assert len(await entries(calls, group)) == (code == 202)


async def test_request_without_a_worker_or_call_is_refused(redis_url: str) -> None:
    async with (
        talking(redis_url) as calls,
        running(redis_url) as relay,
        viewer(relay) as ann,
    ):
        assert await posted(ann) == (503, {"error": "no worker makes wrap-ups of this text now"})
        assert (await posted(ann, "CA9"))[0] == 404
        assert not await entries(calls)
        assert await ann.status("/api/calls/CA1/wrapup") == 405
        other_site = {"X-Requested-With": ""}
        assert await ann.status("/api/calls/CA1/wrapup", "POST", headers=other_site) == 403


@contextlib.asynccontextmanager
async def working(url: str, script: Any = good, **more: Any) -> AsyncIterator[None]:
    """Run the worker in this process."""
    stop = asyncio.Event()
    async with (
        serving(script) as server,
        contextlib.aclosing(create_client(url)) as client,
        wrapup(
            Settings(
                _env_file=None, url=server.url, model="m", dispositions="cancelled,kept", **more
            ),
            WorkerSettings(_env_file=None, id="w1"),
            client,
            CollectorRegistry(),
        ) as run,
    ):
        task = asyncio.create_task(run(stop))
        try:
            await joined(client)
            yield
        finally:
            stop.set()
            await task


type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `./run wrapup`; return code, stdout and stderr."""
    monkeypatch.setenv("WORKER_REDIS_URL", redis_url)
    monkeypatch.setattr("cli.running.run", asyncio.run)  # signal handlers need the main thread

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["run", "wrapup", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return command


def full(body: Any) -> object:
    sentences = [{"text": "The customer cancels contract 8812345.", "segments": [2, 3]}]
    tasks = [{"text": "Send the letter.", "segments": [3]}]
    return {"summary": sentences, "follow_ups": tasks, "disposition": "cancelled"}


async def test_command_requests_and_prints_the_wrap_up(redis_url: str, run: Run) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        for event in call_fields():
            fields: Any = event
            await client.xadd("cs:{p53}:call:CA1:redacted", fields)
    async with working(redis_url, full):
        code, out, err = await asyncio.to_thread(run, "CA1", "--now")
    assert (code, err) == (0, "Waiting for the wrap-up ...\n")
    assert out == (
        "CA1  requested  m, from redacted text\n"
        "\n"
        "Summary\n"
        "  The customer cancels contract 8812345. [inbound 00:01, outbound 00:02]\n"
        "\n"
        "Follow-ups\n"
        "  Send the letter. [outbound 00:02]\n"
        "\n"
        "Disposition  cancelled\n"
    )
    code, out, _ = await asyncio.to_thread(run, "CA1", "--json")
    assert json.loads(out)["disposition"] == "cancelled"


async def test_command_finds_a_longer_id_and_leaves_an_audit_entry(
    redis_url: str, run: Run
) -> None:
    call = "default.talkdesk.CA1"  # in the partition of CA1
    async with contextlib.aclosing(create_client(redis_url)) as client:
        for name, event in (("redacted", end(2)), ("redacted-wrapups", made("CA1", 2))):
            fields: Any = event | {"call_id": call}
            await client.xadd(f"cs:{{p53}}:call:{call}:{name}", fields)
        code, out, err = await asyncio.to_thread(run, call)
        assert (code, err) == (0, "")
        assert "The caller wants a refund." in out
        code, _, err = await asyncio.to_thread(run, call, "--now")
        assert (code, "no worker makes wrap-ups" in err) == (2, True)
        trail: Any = await client.xrange("cs:audit")
        ((_, entry),) = trail
    assert b"call-opened" in entry.values()
    assert call.encode() in entry.values()


async def test_command_reports_why_there_is_no_wrap_up(redis_url: str, run: Run) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        for event in call_fields(over=False):
            fields: Any = event
            await client.xadd("cs:{p53}:call:CA1:redacted", fields)
    for arguments, message in (
        (["CA1"], "CA1 has no wrap-up from redacted text; --now requests one"),
        (["CA1", "--raw", "--now"], "Redis has no raw text of this call"),
        (["CA1", "--now"], "no worker makes wrap-ups from redacted text"),
    ):
        code, _, err = await asyncio.to_thread(run, *arguments)
        assert code == 2
        assert f"run: {message}" in err
    for more, message in (
        ({}, "the wrap-up could not be made: bad-request"),
        ({"routes": '{"sales": {"enabled": false}}'}, "none was made"),
    ):
        async with working(redis_url, lambda _: status(400), **more):
            code, _, err = await asyncio.to_thread(run, "CA1", "--now")
            assert code == 2
            assert message in err
