"""Each injected fault has the expected effect on the wire."""

import json
import time

import pytest

from deploy.local.sagemaker import LocalEndpoint, faults
from tests.deploy.local.sagemaker.peers import ScriptedContainer, settings
from tests.deploy.local.sagemaker.wire import wire

NO_ERROR, INTERNAL_ERROR = 0, 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "InputValidationError"),
        (403, "AccessDeniedException"),
        (424, "ModelError"),
        (429, "ThrottlingException"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
    ],
)
async def test_refused_responds_with_the_status(
    endpoint: LocalEndpoint, status: int, error: str
) -> None:
    endpoint.faults.inject(faults.refused(status))
    async with wire(endpoint) as client:
        await client.open()
        head = await client.until_head()
        assert (head[":status"], head["x-amzn-errortype"]) == (str(status), error)
        assert (await client.until_end())[0] == "end"
        assert "Message" in json.loads(client.seen.body)


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (faults.reset(), [f"reset {INTERNAL_ERROR}"]),
        (faults.drop(), ["closed"]),
        (faults.go_away(), [f"goaway {NO_ERROR}", "closed"]),
    ],
)
async def test_faults_before_the_headers(
    endpoint: LocalEndpoint, fault: faults.Fault, ends: list[str]
) -> None:
    endpoint.faults.inject(fault)
    async with wire(endpoint) as client:
        await client.open()
        assert await (client.until_closed() if "closed" in ends else client.until_end()) == ends
        assert client.seen.headers == {}


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (faults.reset(after_events=2), [f"reset {INTERNAL_ERROR}"]),
        (faults.drop(after_events=2), ["closed"]),
        (faults.go_away(after_events=2), [f"goaway {NO_ERROR}", "closed"]),
        (faults.early_end(after_events=2), ["end", f"reset {NO_ERROR}"]),
    ],
)
async def test_faults_after_two_events(
    endpoint: LocalEndpoint, container: ScriptedContainer, fault: faults.Fault, ends: list[str]
) -> None:
    endpoint.faults.inject(fault)
    async with wire(endpoint) as client:
        await client.open()
        assert (await client.until_head())[":status"] == "200"
        await client.send(b"one")
        assert [event.payload for event in await client.until_events(1)] == [b"one"]
        assert client.seen.ends == []
        await client.send(b"two")
        while len(client.seen.ends) < len(ends):
            await client.read()
        assert client.seen.ends == ends


@pytest.mark.parametrize(
    ("fault", "kind", "body"),
    [
        (
            faults.model_stream_error(1, "1012"),
            "ModelStreamError",
            {"Message": "injected", "ErrorCode": "1012"},
        ),
        (faults.internal_stream_failure(1), "InternalStreamFailure", {"Message": "injected"}),
    ],
)
async def test_failures_send_an_exception_frame(
    endpoint: LocalEndpoint, fault: faults.Fault, kind: str, body: dict[str, str]
) -> None:
    endpoint.faults.inject(fault)
    async with wire(endpoint) as client:
        await client.open()
        await client.send(b"one")
        assert (await client.until_end())[0] == "end"
        last = client.seen.events[-1]
        assert last.headers[":message-type"] == "exception"
        assert last.headers[":exception-type"] == kind
        assert json.loads(last.payload) == body


async def test_a_fault_directly_after_the_headers(endpoint: LocalEndpoint) -> None:
    endpoint.faults.inject(faults.reset(after_events=0))
    async with wire(endpoint) as client:
        await client.open()
        assert (await client.until_head())[":status"] == "200"
        assert await client.until_end() == [f"reset {INTERNAL_ERROR}"]


async def test_a_stall_stops_reading_and_writing(
    container: ScriptedContainer,
) -> None:
    async with LocalEndpoint(settings(container.url, max_connection_s=1)) as endpoint:
        endpoint.faults.inject(faults.stall(after_events=1))
        async with wire(endpoint) as client:
            await client.open()
            await client.until_head()
            await client.send(b"one")
            data = bytes(16_000)
            while client.room() >= len(data):
                await client.send_raw(data)
            # After `max_connection_s`.
            assert await client.until_end() == [f"reset {INTERNAL_ERROR}"]
            assert client.room() < len(data)
            assert len(client.seen.events) <= 1


async def test_no_headers_never_responds(container: ScriptedContainer) -> None:
    async with LocalEndpoint(settings(container.url, max_connection_s=0.5)) as endpoint:
        endpoint.faults.inject(faults.no_headers())
        async with wire(endpoint) as client:
            await client.open()
            assert await client.until_end() == [f"reset {INTERNAL_ERROR}"]
            assert client.seen.headers == {}


async def test_a_slow_start_delays_the_headers(endpoint: LocalEndpoint) -> None:
    endpoint.faults.inject(faults.slow_start(0.3))
    async with wire(endpoint) as client:
        started = time.monotonic()
        await client.open()
        assert (await client.until_head())[":status"] == "200"
        assert time.monotonic() - started >= 0.3
        await client.send(b"one")
        assert len(await client.until_events(1)) == 1


async def test_max_concurrent_streams_is_announced(endpoint: LocalEndpoint) -> None:
    endpoint.faults.max_concurrent_streams = 1
    async with wire(endpoint) as client:
        await client.open()
        await client.until_head()
        assert client.h2.remote_settings.max_concurrent_streams == 1
    endpoint.faults.clear()
    async with wire(endpoint) as client:
        await client.open()
        await client.until_head()
        assert client.h2.remote_settings.max_concurrent_streams == 128


async def test_faults_apply_to_the_next_streams_in_order(endpoint: LocalEndpoint) -> None:
    endpoint.faults.inject(faults.refused(503), streams=2)
    endpoint.faults.inject(faults.refused(429))
    statuses = []
    async with wire(endpoint) as client:
        for _ in range(4):
            client.seen.headers, client.seen.ends = {}, []
            await client.open()
            statuses.append((await client.until_head())[":status"])
            if statuses[-1] != "200":
                while len(client.seen.ends) < 2:
                    await client.read()
    assert statuses == ["503", "503", "429", "200"]


async def test_a_reset_stream_keeps_its_connection_open(endpoint: LocalEndpoint) -> None:
    endpoint.faults.inject(faults.reset())
    async with wire(endpoint) as client:
        await client.open()
        await client.until_end()
        client.seen.ends.clear()
        await client.open()
        assert (await client.until_head())[":status"] == "200"
