"""`./run conform`: the CPU engine follows every rule, and every rule can detect a difference."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from cli.conform.command import RULES, Result, Verdict, result_of
from cli.conform.rule import Rule, Server
from common.serving import listening
from container.cpu import connection
from container.cpu.clock import TokenClock
from tests.container.cpu.dialogue import MODEL, checksum_engine

KEY = "conform-0123456789"
CREATED = '{"type":"session.created","id":"sess-0123456789abcdef","created":1}'
EVERYTHING: dict[str, Any] = {
    "max_num_seqs": 2,
    "max_model_len": 39 + 20,
    "has_api_key": True,
    "is_patient": True,
}

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)


@asynccontextmanager
async def server_at(url: str, **changed: Any) -> AsyncIterator[Server]:
    async with ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http:
        given = {"timeout_s": 20.0, "ping_every_s": 0.2} | EVERYTHING | changed
        yield Server(http, url.replace("http", "ws", 1), MODEL, TokenClock(), **given)


@each_rule
async def test_the_cpu_engine_follows(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_EVERY_S", 0.2)
    async with (
        checksum_engine(max_num_seqs=2, max_model_len=39 + 40, api_key=KEY) as url,
        server_at(url, max_model_len=39 + 40) as server,
    ):
        assert await result_of(rule, server) == Result(rule.text, Verdict.EQUAL)


@asynccontextmanager
async def wrong_server(first: str) -> AsyncIterator[str]:
    """Serve sessions that begin with a message and contain nothing else; yield the URL."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await socket.prepare(request)
        await socket.send_str(first)
        while not (await socket.receive()).type & 0x100:  # aiohttp's CLOSING, CLOSED and ERROR
            pass
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", serve)
    async with listening(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}/v1/realtime"


@each_rule
async def test_a_silent_server_differs(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `session.created` is as it should be; then all others must fail."""
    monkeypatch.setattr("cli.conform.rule._SLACK_S", 0.1)
    async with (
        wrong_server(CREATED) as url,
        server_at(url, timeout_s=0.05, ping_every_s=0.02) as server,
    ):
        result = await result_of(rule, server)
    expected = Verdict.EQUAL if rule is RULES[0] else Verdict.DIFFERENT
    assert (result.verdict, bool(result.note)) == (expected, expected is Verdict.DIFFERENT)


@pytest.mark.parametrize(
    "first",
    [
        "{}",
        "x",
        "[]",
        CREATED.replace("sess-", ""),
        CREATED.replace(":1}", ':"1"}'),
        CREATED.replace(":1}", ':1,"expires_at":2}'),
    ],
)
async def test_another_first_message_differs(first: str) -> None:
    async with wrong_server(first) as url, server_at(url) as server:
        result = await result_of(RULES[0], server)
    assert result.verdict is Verdict.DIFFERENT


async def test_rules_that_lack_an_option_are_not_checked() -> None:
    async with server_at(
        "ws://127.0.0.1:9/v1/realtime",
        max_num_seqs=None,
        max_model_len=None,
        has_api_key=False,
        is_patient=False,
    ) as server:
        notes = [note for rule in RULES if (note := rule.lacks(server))]
    assert notes == [
        "needs --api-key",
        *["needs --slow"] * 2,
        "needs --max-model-len",
        *["needs --max-num-seqs"] * 2,
    ]


async def test_a_context_that_takes_too_long_is_not_filled() -> None:
    async with server_at("ws://127.0.0.1:9/v1/realtime", max_model_len=131_072) as server:
        assert [note for rule in RULES if (note := rule.lacks(server))] == ["is above 4096 tokens"]


@pytest.mark.parametrize("delay_ms", [80, 960])
async def test_the_delay_is_considered(delay_ms: int) -> None:
    clock_rules = [rule for rule in RULES if "samples" in rule.text]
    async with (
        checksum_engine(delay_ms=delay_ms) as url,
        ClientSession() as http,
    ):
        right = Server(http, url, MODEL, TokenClock(delay_ms))
        wrong = Server(http, url, MODEL, TokenClock(delay_ms + 80))
        for rule in clock_rules:
            assert (await result_of(rule, right)).verdict is Verdict.EQUAL
            assert (await result_of(rule, wrong)).verdict is Verdict.DIFFERENT


async def conform(*arguments: str) -> tuple[int | None, str, str]:
    """Run the command; return its exit code and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "conform", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_the_command_prints_a_table_and_exits_with_0() -> None:
    async with checksum_engine() as url:
        code, out, err = await conform(url.replace("http", "ws", 1))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == len(RULES) + 2
    assert lines[-1] == f"{len(RULES) - 6} rules ok, 0 differ, 6 not checked"
    assert f"not checked  {RULES[1].text}" in out


async def test_the_command_exits_with_1_if_a_rule_differs() -> None:
    async with checksum_engine() as url:
        code, out, _ = await conform(url.replace("http", "ws", 1), "--delay-ms", "560")
    assert code == 1
    [line] = [line for line in out.splitlines() if " 1 samples:" in line]
    assert line.startswith("differs ")
    assert 'usage: expected {"prompt_tokens": 40, ' in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["http://127.0.0.1/v1/realtime"], "the URL must be ws:// or wss://"),
        (["ws:///v1/realtime"], "the URL must be ws:// or wss://"),
        (["ws://127.0.0.1:9/v1/realtime", "--delay-ms", "100"], "a multiple of 80"),
        (["ws://127.0.0.1:9/v1/realtime"], "127.0.0.1:9: "),
    ],
)
async def test_mistakes_are_reported_in_one_line(arguments: list[str], message: str) -> None:
    code, out, err = await conform(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


async def test_a_wrong_key_is_one_error() -> None:
    async with checksum_engine(api_key=KEY) as url:
        code, _, err = await conform(url.replace("http", "ws", 1), "--api-key", "wrong-secret")
    assert (code, err.count("\n")) == (2, 1)
    assert "refuses the upgrade: 401" in err
    assert "wrong-secret" not in err
