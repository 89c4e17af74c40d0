"""Media received before FreeSWITCH's optional metadata, over real sockets."""

import json
from collections.abc import AsyncIterator

import pytest

from gateway.carriers.vendors.freeswitch import FreeSwitch
from gateway.transcript.events import Status, StreamStarted
from tests.gateway.ingress.served import Served, serving
from tests.waiting import eventually

SECRET = "a-secret-of-the-operator"
PATH = "/media/freeswitch?mix=mono&queue=sales"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
FRAME = bytes(320)  # 20 ms


def carrier() -> FreeSwitch:
    return FreeSwitch(FreeSwitch.Settings(_env_file=None, secret=SECRET))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(Served(carrier())) as served:
        yield served


def started(served: Served) -> StreamStarted:
    [event] = [event for event in served.events if isinstance(event, StreamStarted)]
    return event


async def test_metadata_after_media_is_applied(served: Served) -> None:
    """Symptom: one frame before the metadata cost the call its id and its parameters."""
    socket = await served.connect(PATH, HEADERS)
    await socket.send_bytes(FRAME)
    await socket.send_str(json.dumps({"call_id": "f1", "campaign": "7"}))
    await socket.send_bytes(FRAME)
    await socket.close()
    ended = await served.end()
    assert (ended.status, ended.duration_ms) == (Status.COMPLETED, 40)
    assert started(served).params == {"queue": "sales", "campaign": "7"}


async def test_close_before_metadata_completes_stream(served: Served) -> None:
    socket = await served.connect(PATH, HEADERS)
    await socket.send_bytes(FRAME)
    await socket.close()
    ended = await served.end()
    assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-closed")
    assert ended.duration_ms == 20
    assert started(served).params == {"queue": "sales"}


async def test_socket_lost_before_metadata_fails_stream(served: Served) -> None:
    socket = await served.connect(PATH, HEADERS)
    await socket.send_bytes(FRAME)
    await eventually(lambda: served.streams.admitted == 1)
    await served.client.close()  # closes the connection, without a Close frame
    ended = await served.end()
    assert (ended.status, ended.reason) == (Status.FAILED, "socket-lost")
    assert ended.duration_ms == 20


async def test_start_timeout_starts_stream_with_early_media() -> None:
    """If no metadata is received, the stream starts at the start timeout and continues."""
    async with serving(Served(carrier(), start_timeout_s=0.2)) as served:
        socket = await served.connect(PATH, HEADERS)
        await socket.send_bytes(FRAME)
        await eventually(lambda: bool(served.events))
        await socket.send_bytes(FRAME)
        await socket.close()
        ended = await served.end()
        assert (ended.status, ended.duration_ms) == (Status.COMPLETED, 40)


async def test_start_timeout_without_media_closes_socket() -> None:
    async with serving(Served(carrier(), start_timeout_s=0.1)) as served:
        socket = await served.connect(PATH, HEADERS)
        message = await socket.receive(timeout=10)
        assert (socket.close_code, message.extra) == (1008, "start-timeout")
        assert served.events == []
