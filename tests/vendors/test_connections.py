"""Requests to Deepgram and Mistral, how they refuse them, and how they end a connection."""

from typing import Any, cast

import pytest

from gateway.audio.encodings import Encoding
from gateway.upstream.dialects.deepgram import Deepgram
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.mistral import Mistral
from tests.gateway.upstream.peers import endpoint_before, sagemaker_to
from tests.vendors import deepgram_server, mistral_server
from tests.vendors.calls import call
from tests.vendors.servers import LOST, Close
from tests.vendors.socket_loop import in_virtual_time

KEY = "a-secret-key"
NOVA = Options("nova-3", "en", ("Contoso", "A & B"), encoding=Encoding.PCMU)
MINI = Options(mistral_server.MODEL, "en-GB", ("Contoso",))
NOVA_SCRIPT = deepgram_server.Script()
MINI_SCRIPT = mistral_server.Script(segments="times", turns=False)
TALK = ((2, 700), (2, 0))


@in_virtual_time
async def test_deepgram() -> None:
    async with (
        deepgram_server.serving(NOVA_SCRIPT) as server,
        call(server.base_url, Deepgram(), NOVA, KEY) as caller,
    ):
        await caller.talk(TALK)
    caller.assert_whole()
    [(query, headers)] = server.requests
    assert headers["Authorization"] == f"Token {KEY}"
    assert query["model"] == "nova-3"


async def test_deepgram_behind_sagemaker() -> None:
    """Its container gets the path, the query, and audio in binary frames.

    In real time: the endpoint is another thread.
    """
    async with deepgram_server.serving(NOVA_SCRIPT) as server:
        url = server.base_url.replace("ws:", "http:")
        async with endpoint_before(cast(Any, server), container_url=url) as endpoint:
            transport = sagemaker_to(endpoint.url, endpoint.ca_file)
            async with call(transport, Deepgram(), NOVA) as caller:
                await caller.say(2)
    caller.assert_whole()
    [(query, headers)] = server.requests
    assert "Authorization" not in headers
    assert (query["model"], query["interim_results"]) == ("nova-3", "true")


@pytest.mark.parametrize(
    "ends",
    [LOST, Close(1011, "NET-0000"), Close(1008, "DATA-0000"), Close(1012), Close(1000)],
    ids=lambda ends: f"{ends.code}-{ends.reason}",
)
@in_virtual_time
async def test_deepgram_ends_a_connection(ends: Close) -> None:
    async with deepgram_server.serving(NOVA_SCRIPT) as server:
        async with call(server.base_url, Deepgram(), NOVA) as caller:
            await caller.say(2)
            server.end(ends)
            await caller.say(1)
        assert len(server.peers) == 2
    caller.assert_whole()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "Bad Request", "realtime-error"),
        (401, "INVALID_AUTH", "access-denied"),
        (402, "ASR_PAYMENT_REQUIRED", "payment-required"),
        (403, "INSUFFICIENT_PERMISSIONS", "access-denied"),
        (429, "TOO_MANY_REQUESTS", "throttled"),
        (503, "SERVICE_UNAVAILABLE", "service-unavailable"),
    ],
)
@in_virtual_time
async def test_deepgram_refuses(status: int, code: str, reason: str) -> None:
    async with deepgram_server.serving(NOVA_SCRIPT) as server:
        server.refuse = lambda _: (status, {"err_code": code, "err_msg": "quotes the request"})
        async with call(server.base_url, Deepgram(), NOVA, retry_budget_s=0.2) as caller:
            await caller.say(1)
    assert (caller.ended.status, caller.ended.reason) == ("failed", reason)
    assert caller.gaps[0].from_ms == 0


@in_virtual_time
async def test_an_error_of_deepgram_is_named() -> None:
    failing = deepgram_server.Script(error="ENCODING_ERROR")
    async with (
        deepgram_server.serving(failing) as server,
        call(server.base_url, Deepgram(), NOVA, retry_budget_s=0.2) as caller,
    ):
        await caller.say(4)
    assert caller.ended.reason == "realtime-error"


@in_virtual_time
async def test_mistral() -> None:
    async with (
        mistral_server.serving(MINI_SCRIPT) as server,
        call(server.base_url, Mistral(), MINI, KEY) as caller,
    ):
        await caller.talk(TALK)
    caller.assert_whole()
    [(query, headers)] = server.requests
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert query == {"model": mistral_server.MODEL}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "realtime-error"),
        (401, "access-denied"),
        (429, "throttled"),
        (402, "payment-required"),
    ],
)
@in_virtual_time
async def test_mistral_refuses(status: int, reason: str) -> None:
    async with mistral_server.serving(MINI_SCRIPT) as server:
        body = {"object": "error", "message": "Invalid model", "code": "1500"}
        server.refuse = lambda _: (status, body)
        async with call(server.base_url, Mistral(), MINI, retry_budget_s=0.2) as caller:
            await caller.say(1)
    assert (caller.ended.status, caller.ended.reason) == ("failed", reason)
