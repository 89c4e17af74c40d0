"""Calls over real sockets with the servers of Deepgram and Mistral."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from gateway.audio.encodings import Encoding
from gateway.upstream.dialects.deepgram import Deepgram
from gateway.upstream.dialects.dialect import Address, Dialect, Options
from gateway.upstream.dialects.mistral import Mistral
from gateway.upstream.transport import StreamReceiver, UpstreamStream, UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.gateway.upstream.peers import endpoint_before, sagemaker_to
from tests.gateway.vendors import nova, voxtral3
from tests.gateway.vendors.peers import Caller, PeerTransport, Serve, assert_whole, call
from tests.gateway.vendors.sockets import VendorServer, serving

LISTEN = "/v1/listen"
REALTIME = "/v1/audio/transcriptions/realtime"
KEY = "a-secret-key"
NOVA = Options("nova-3", "en", ("Contoso", "A & B"), encoding=Encoding.PCMU)
MINI = Options(voxtral3.MODEL, "en-GB", ("Contoso",))


def listening(*habits: nova.Habits) -> Serve:
    left = list(habits)
    return lambda send: nova.Nova(left.pop(0) if len(left) > 1 else left[0], send)


class Addressed:
    """A transport whose streams all have the address of a dialect."""

    longest_stream_s = None

    def __init__(self, transport: UpstreamTransport, address: Address) -> None:
        self._transport = transport
        self._address = address

    async def open(self, receiver: StreamReceiver, _: Address | None = None) -> UpstreamStream:
        return await self._transport.open(receiver, self._address)


@contextlib.asynccontextmanager
async def calling(
    server: VendorServer, dialect: Dialect, options: Options, **limits: Any
) -> AsyncIterator[Caller]:
    """Place a call to a server that is reached directly."""
    transport = WebSocketTransport(server.url)
    try:
        made = Addressed(transport, dialect.address(options, KEY))
        async with call(cast(PeerTransport, made), dialect, **limits) as caller:
            yield caller
    finally:
        await transport.close()


async def test_deepgram() -> None:
    async with serving(LISTEN, listening(nova.Habits())) as server:
        async with calling(server, Deepgram(), NOVA) as caller:
            await caller.say(2)
            await caller.pause(700)
            await caller.say(2, last_ms=300)
        assert_whole(caller, streams=None)
    [(query, headers)] = server.requests
    assert headers["Authorization"] == f"Token {KEY}"
    assert query["model"] == "nova-3"
    assert query["encoding"] == "mulaw"
    assert query["sample_rate"] == "8000"


async def test_deepgram_behind_sagemaker() -> None:
    """Its container gets the path, the query, and audio in binary frames."""
    async with serving(LISTEN, listening(nova.Habits())) as server:
        endpoint = endpoint_before(
            cast(Any, server), container_url=server.url.replace("ws:", "http:")
        )
        async with endpoint:
            address = Deepgram().address(NOVA, None)
            transport = sagemaker_to(endpoint.url, endpoint.ca_file)
            made = Addressed(transport, address)
            async with call(cast(PeerTransport, made), Deepgram()) as caller:
                await caller.say(2)
                await caller.pause(700)
                await caller.say(2, last_ms=300)
            await transport.close()
        assert_whole(caller, streams=None)
    [(query, headers)] = server.requests
    assert "Authorization" not in headers
    assert (query["model"], query["interim_results"]) == ("nova-3", "true")


@pytest.mark.parametrize(
    "ends",
    [
        nova.Close(None),
        nova.Close(1011, "NET-0000"),
        nova.Close(1008, "DATA-0000"),
        nova.Close(1012),
        nova.Close(1000),
    ],
    ids=lambda ends: f"{ends.code}-{ends.reason}",
)
async def test_deepgram_ends_a_connection(ends: nova.Close) -> None:
    async with serving(LISTEN, listening(nova.Habits())) as server:
        async with calling(server, Deepgram(), NOVA) as caller:
            await caller.say(2)
            cast(nova.Nova, server.peers[0]).close(ends)
            await caller.say(1)
        assert_whole(caller, streams=None)
    assert len(server.peers) == 2


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
async def test_deepgram_refuses(status: int, code: str, reason: str) -> None:
    async with serving(LISTEN, listening(nova.Habits())) as server:
        server.refusal = status, {"err_code": code, "err_msg": "quotes the request"}
        async with calling(server, Deepgram(), NOVA, retry_budget_s=0.2) as caller:
            await caller.say(1)
    ended = caller.harness.ended
    assert (ended.status, ended.reason) == ("failed", reason)
    assert caller.gaps[0].from_ms == 0


async def test_an_error_of_deepgram_is_named() -> None:
    failing = nova.Habits(error="ENCODING_ERROR")
    async with (
        serving(LISTEN, listening(failing)) as server,
        calling(server, Deepgram(), NOVA, retry_budget_s=0.2) as caller,
    ):
        await caller.say(4)
    assert caller.harness.ended.reason == "realtime-error"


async def test_mistral() -> None:
    habits = voxtral3.Habits(segments="times", turns=False)
    async with serving(REALTIME, lambda send: voxtral3.Voxtral3(habits, send)) as server:
        async with calling(server, Mistral(), MINI) as caller:
            await caller.say(2)
            await caller.pause(700)
            await caller.say(2, last_ms=300)
        assert_whole(caller, streams=None)
    [(query, headers)] = server.requests
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert query == {"model": voxtral3.MODEL}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "realtime-error"),
        (401, "access-denied"),
        (429, "throttled"),
        (402, "payment-required"),
    ],
)
async def test_mistral_refuses(status: int, reason: str) -> None:
    habits = voxtral3.Habits()
    async with serving(REALTIME, lambda send: voxtral3.Voxtral3(habits, send)) as server:
        server.refusal = status, {"object": "error", "message": "Invalid model", "code": "1500"}
        async with calling(server, Mistral(), MINI, retry_budget_s=0.2) as caller:
            await caller.say(1)
    assert (caller.harness.ended.status, caller.harness.ended.reason) == ("failed", reason)


async def test_mistral_loses_the_connection() -> None:
    habits = voxtral3.Habits()
    async with serving(REALTIME, lambda send: voxtral3.Voxtral3(habits, send)) as server:
        async with calling(server, Mistral(), MINI) as caller:
            await caller.say(3)
            cast(voxtral3.Voxtral3, server.peers[0]).close(nova.Close(None))
            await caller.say(3)
        assert_whole(caller, streams=None, times=False)
    assert len(server.peers) == 2
