"""Faults that the SDK's default transport hides or hangs on; here each has a prompt reason."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.credentials import Credentials

from common.settings import SettingsError
from deploy.local.sagemaker import LocalEndpoint, faults
from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.connections import Connection
from gateway.upstream.sagemaker.credentials import CredentialSource
from gateway.upstream.sagemaker.stream import SageMakerStream
from gateway.upstream.sagemaker.transport import SageMakerTransport
from tests.gateway.upstream.peers import (
    LIMIT_S,
    SECRET,
    EchoServer,
    Recorder,
    endpoint_before,
    known_keys,
    sagemaker_to,
    texts,
)
from tests.tcp_proxy import TcpProxy

PROMPT_S = 10.0  # prompt on the slowest machine; the default transport waits forever


@dataclass
class Platform:
    server: EchoServer
    endpoint: LocalEndpoint
    transports: list[SageMakerTransport]

    def transport(self, url: str | None = None, **changed: Any) -> SageMakerTransport:
        made = sagemaker_to(url or self.endpoint.url, self.endpoint.ca_file, **changed)
        self.transports.append(made)
        return made


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with EchoServer().serving() as server, endpoint_before(server) as endpoint:
        made = Platform(server, endpoint, [])
        yield made
        for transport in made.transports:
            await transport.close()


async def opened(transport: SageMakerTransport) -> tuple[SageMakerStream, Recorder]:
    recorder = Recorder()
    async with asyncio.timeout(LIMIT_S):
        return await transport.open(recorder), recorder


async def why_not_opened(transport: SageMakerTransport) -> UpstreamError:
    with pytest.raises(UpstreamError) as refused:
        async with asyncio.timeout(PROMPT_S):
            await transport.open(Recorder())
    return refused.value


@contextlib.asynccontextmanager
async def tls_server(authority: trustme.CA, alpn: str) -> AsyncIterator[str]:
    """Run a server that only completes the TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols([alpn])
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(
        lambda _, writer: writers.append(writer), "127.0.0.1", 0, ssl=context
    )
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.close()


# Opening


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "validation-error"),
        (403, "access-denied"),
        (424, "model-error"),
        (429, "throttled"),
        (500, "internal-server-error"),
        (503, "service-unavailable"),
    ],
)
async def test_error_response_maps_to_a_reason_and_is_not_quoted(
    platform: Platform, status: int, reason: str
) -> None:
    transport = platform.transport()
    platform.endpoint.faults.inject(faults.refused(status))
    error = await why_not_opened(transport)
    assert error.reason == reason
    assert f"status={status}" in error.detail
    assert "request=" in error.detail
    assert "injected" not in str(error), "the service's text is quoted"
    await opened(transport)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.reset(), "stream-reset"),
        (faults.drop(), "connection-lost"),
        (faults.go_away(), "connection-lost"),
        (faults.early_end(after_events=0), None),
    ],
    ids=["reset", "drop", "goaway", "end"],
)
async def test_end_before_the_response_has_a_reason(
    platform: Platform, fault: faults.Fault, reason: str | None
) -> None:
    """The default transport waits forever for the headers of a failed stream."""
    transport = platform.transport()
    platform.endpoint.faults.inject(fault)
    if reason is None:
        _, recorder = await opened(transport)
        assert await recorder.end() is None
    else:
        assert (await why_not_opened(transport)).reason == reason
    await opened(transport)


async def test_draining_peer_keeps_its_streams_and_gets_no_new_ones(
    platform: Platform,
) -> None:
    """Symptom: after a GOAWAY every new call failed until the connection's last old one ended."""
    transport = platform.transport()
    old, recorder = await opened(transport)
    platform.endpoint.retire_connections()
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            await opened(transport)
        [message] = texts(1)
        old.send(message)
        assert await recorder.echoes(1) == [message]


async def test_missing_response_headers_time_out(platform: Platform) -> None:
    transport = platform.transport(response_timeout_s=0.3)
    platform.endpoint.faults.inject(faults.no_headers())
    assert (await why_not_opened(transport)).reason == "response-timeout"


async def test_slow_start_succeeds(platform: Platform) -> None:
    platform.endpoint.faults.inject(faults.slow_start(0.3))
    stream, recorder = await opened(platform.transport())
    stream.send(b"hello")
    assert await recorder.echoes(1) == [b"hello"]


async def test_wrong_secret_is_access_denied(platform: Platform) -> None:
    transport = platform.transport(credentials=known_keys(SECRET[::-1]))
    assert (await why_not_opened(transport)).reason == "access-denied"


async def test_unknown_endpoint_is_not_found() -> None:
    async with (
        EchoServer().serving() as server,
        endpoint_before(server, names=("another",)) as endpoint,
    ):
        transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        assert (await why_not_opened(transport)).reason == "endpoint-not-found"
        await transport.close()


async def test_missing_container_is_a_model_error(unused_tcp_port: int) -> None:
    nowhere = EchoServer()
    nowhere.url = f"http://127.0.0.1:{unused_tcp_port}"
    async with endpoint_before(nowhere) as endpoint:
        transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        assert (await why_not_opened(transport)).reason == "model-error"
        await transport.close()


async def test_missing_credentials_are_reported(platform: Platform) -> None:
    """The default client hangs forever when its credentials cannot be resolved."""
    transport = platform.transport(credentials=CredentialSource(timeout_s=5, chain=lambda: None))
    assert (await why_not_opened(transport)).reason == "no-credentials"


async def test_session_token_is_signed() -> None:
    async with (
        EchoServer().serving() as server,
        endpoint_before(server, session_token="a-token") as endpoint,
    ):
        keys = CredentialSource(
            timeout_s=5, chain=lambda: Credentials("AKIDEXAMPLE", SECRET, "a-token")
        )
        transport = sagemaker_to(endpoint.url, endpoint.ca_file, credentials=keys)
        stream, recorder = await opened(transport)
        stream.send(b"hello")
        assert await recorder.echoes(1) == [b"hello"]
        await transport.close()


async def test_refused_connection(unused_tcp_port: int) -> None:
    transport = sagemaker_to(f"https://127.0.0.1:{unused_tcp_port}", None)
    assert (await why_not_opened(transport)).reason == "connect-refused"
    await transport.close()


async def test_host_without_address_is_unreachable() -> None:
    transport = sagemaker_to("https://no-such-host.invalid:8443", None)
    assert (await why_not_opened(transport)).reason == "host-unreachable"
    await transport.close()


async def test_broken_handshake_can_be_retried() -> None:
    """Symptom: a link that broke during a rollover's connect ended the call as `tls-untrusted`."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # the alert handshake_failure, fatal
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = sagemaker_to(f"https://127.0.0.1:{port}", None)
        error = await why_not_opened(transport)
        assert error.info.retry, error
        await transport.close()


async def test_untrusted_certificate_is_reported_before_the_crt_does(tmp_path: Path) -> None:
    """The CRT reports a failed handshake only after 10 to 30 s."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with tls_server(trustme.CA(), alpn="h2") as url:
        transport = sagemaker_to(url, tmp_path / "other.pem", probe_tls_after_s=0.1)
        error = await why_not_opened(transport)
        assert error.reason == "tls-untrusted"
        assert not error.info.retry
        await transport.close()


async def test_server_that_never_responds_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        transport = sagemaker_to(url, None, connect_timeout_s=0.3)
        assert (await why_not_opened(transport)).reason == "connect-timeout"
        await transport.close()


async def test_server_without_http2_is_a_protocol_error(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with tls_server(authority, alpn="http/1.1") as url:
        transport = sagemaker_to(url, tmp_path / "ca.pem")
        assert (await why_not_opened(transport)).reason == "platform-protocol-error"
        await transport.close()


def test_invalid_ca_file_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError):
            SageMakerTransport("callscribe", "eu-central-1", ca_file=path)


def test_plain_http_is_a_settings_error() -> None:
    with pytest.raises(SettingsError):
        SageMakerTransport("callscribe", "eu-central-1", url="http://localhost:8443")


async def test_cancelled_open_releases_its_slot(platform: Platform) -> None:
    transport = platform.transport(streams_per_connection=1)
    await opened(transport)  # opens the connection, so that the open below waits for headers
    platform.endpoint.faults.inject(faults.no_headers())
    waiting = asyncio.create_task(transport.open(Recorder()))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    stream, recorder = await opened(transport)
    stream.send(b"hello")
    assert await recorder.echoes(1) == [b"hello"]


# Connections


async def until_a_slot_is_free(transport: SageMakerTransport) -> None:
    pool = transport._connections  # noqa: SLF001 - there is no event for this
    assert pool is not None
    async with asyncio.timeout(LIMIT_S):
        while not pool._with_free_slot():  # noqa: SLF001, ASYNC110 - as above
            await asyncio.sleep(0.01)


async def test_consecutive_streams_share_a_connection(platform: Platform) -> None:
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}")
        for _ in range(10):
            stream, recorder = await opened(transport)
            stream.finish()
            assert await recorder.end() is None
        assert proxy.connections == 1
        await transport.close()


async def test_concurrent_streams_share_connections_up_to_the_limit(platform: Platform) -> None:
    """The default transport opens 50 connections for 50 streams, and leaks 49."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", streams_per_connection=10)
        await asyncio.gather(*(opened(transport) for _ in range(50)))
        assert proxy.connections == 5
        await transport.close()


async def test_stream_limit_of_the_peer_is_respected(platform: Platform) -> None:
    """Above MAX_CONCURRENT_STREAMS the default transport waits forever."""
    platform.endpoint.faults.max_concurrent_streams = 2
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}")
        streams = await asyncio.gather(*(opened(transport) for _ in range(7)))
        for stream, recorder in streams:
            stream.send(b"hello")
            assert await recorder.echoes(1) == [b"hello"]
        assert proxy.connections == 4
        await transport.close()


async def test_slot_is_released_when_its_stream_ends(platform: Platform) -> None:
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", streams_per_connection=1)
        for end in ("finish", "abort", "close:1011"):
            stream, recorder = await opened(transport)
            if end.startswith("close"):
                stream.send(end.encode())
            else:
                getattr(stream, end)()
            await recorder.end()
            await until_a_slot_is_free(transport)
        assert proxy.connections == 1
        await transport.close()


async def test_stream_that_the_peer_does_not_end_retires_its_connection(platform: Platform) -> None:
    """The CRT cannot reset a stream, so only the connection's end releases it."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", linger_s=0.2)
        platform.endpoint.faults.inject(faults.stall(after_events=1))
        stalled, recorder = await opened(transport)
        other, listener = await opened(transport)
        stalled.send(b"hello")
        async with asyncio.timeout(LIMIT_S):
            while not platform.server.received[0]:  # noqa: ASYNC110 - the stall has begun
                await asyncio.sleep(0.01)
        stalled.abort()
        assert await recorder.end() is None
        await asyncio.sleep(0.4)  # the stream's timer is due before this one
        other.send(b"still here")
        assert await listener.echoes(1) == [b"still here"]
        assert not platform.server.gone[0].is_set()
        await opened(transport)
        assert proxy.connections == 2
        other.finish()
        assert await listener.end() is None
        async with asyncio.timeout(LIMIT_S):
            await platform.server.gone[0].wait()
        await transport.close()


async def test_connection_without_response_gets_no_new_stream(platform: Platform) -> None:
    """Symptom: after sessions on a lost connection failed, new ones were opened on it."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", linger_s=60)
        platform.endpoint.faults.inject(faults.stall(after_events=1))
        stalled, recorder = await opened(transport)
        stalled.send(b"hello")
        async with asyncio.timeout(LIMIT_S):
            while not platform.server.received[0]:  # noqa: ASYNC110 - the stall has begun
                await asyncio.sleep(0.01)
        stalled.abort()
        assert await recorder.end() is None
        await opened(transport)
        assert proxy.connections == 2
        await transport.close()


async def test_lost_connection_is_replaced(platform: Platform) -> None:
    transport = platform.transport()
    _, first = await opened(transport)
    _, second = await opened(transport)
    platform.endpoint.faults.inject(faults.drop(after_events=0))
    _, third = await opened(transport)
    reasons = [await recorder.reason() for recorder in (first, second, third)]
    assert reasons == ["connection-lost"] * 3
    stream, recorder = await opened(transport)
    stream.send(b"hello")
    assert await recorder.echoes(1) == [b"hello"]


async def test_lost_connection_is_not_kept_in_memory(platform: Platform) -> None:
    """Symptom: each lost connection stayed in memory; a soak test grew by 1 MB/min."""
    transport, before = platform.transport(), connections_in_memory()

    async def lose_a_connection() -> None:
        platform.endpoint.faults.inject(faults.drop(after_events=0))
        _, recorder = await opened(transport)
        assert await recorder.reason() == "connection-lost"

    for _ in range(3):
        await lose_a_connection()
    async with asyncio.timeout(LIMIT_S):
        while connections_in_memory() > before:  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.05)


def connections_in_memory() -> int:
    gc.collect()
    return sum(isinstance(each, Connection) for each in gc.get_objects())


# Open streams


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.reset(after_events=3), "stream-reset"),
        (faults.drop(after_events=3), "connection-lost"),
        (faults.go_away(after_events=3), "connection-lost"),
        (faults.model_stream_error(after_events=3), "model-stream-error"),
        (faults.internal_stream_failure(after_events=3), "internal-stream-failure"),
        (faults.early_end(after_events=3), None),
    ],
    ids=["reset", "drop", "goaway", "model", "platform", "end"],
)
async def test_end_of_an_open_stream_has_a_reason(
    platform: Platform, fault: faults.Fault, reason: str | None
) -> None:
    """The default transport reports a reset as a clean end, and accepts 17 more messages."""
    platform.endpoint.faults.inject(fault)
    stream, recorder = await opened(platform.transport())
    for message in texts(3):
        stream.send(message)
    async with asyncio.timeout(PROMPT_S):
        assert await recorder.reason() == reason
    assert not stream.send(b"too late")
    assert recorder.violations == []


async def test_close_code_of_the_container_is_reported_without_its_text(
    platform: Platform,
) -> None:
    platform.endpoint.faults.inject(faults.model_stream_error(after_events=0, code="1008"))
    _, recorder = await opened(platform.transport())
    error = await recorder.end()
    assert error is not None
    assert "code=1008" in error.detail
    assert "injected" not in str(error)


async def test_reset_ends_only_one_stream_of_its_connection(platform: Platform) -> None:
    transport = platform.transport()
    platform.endpoint.faults.inject(faults.reset(after_events=1))
    reset, recorder = await opened(transport)
    other, listener = await opened(transport)
    reset.send(b"hello")
    assert await recorder.reason() == "stream-reset"
    other.send(b"still here")
    assert await listener.echoes(1) == [b"still here"]


async def test_peer_that_stops_reading_causes_a_send_timeout(platform: Platform) -> None:
    """The default transport's `send` and then `close` block forever."""
    platform.endpoint.faults.inject(faults.stall(after_events=1))
    transport = platform.transport(send_timeout_s=1.0)
    stalled, recorder = await opened(transport)
    other, listener = await opened(transport)
    for _ in range(40):
        stalled.send(b"x" * 100_000)  # 4 MB into a window of 1 MiB
    assert await recorder.reason() == "send-timeout"
    other.send(b"still here")
    assert await listener.echoes(1) == [b"still here"]


async def test_missing_end_of_stream_after_half_close_times_out(platform: Platform) -> None:
    platform.endpoint.faults.inject(faults.stall(after_events=1))
    stream, recorder = await opened(platform.transport(end_timeout_s=0.3))
    stream.send(b"hello")
    stream.finish()
    assert await recorder.reason() == "response-timeout"


async def test_messages_beyond_the_receive_window_arrive(platform: Platform) -> None:
    stream, recorder = await opened(platform.transport())
    sent = [b"%d" % number + b"y" * 500_000 for number in range(12)]
    assert all(stream.send(message) for message in sent)
    assert await recorder.echoes(12) == sent


async def test_idle_stream_does_not_cause_a_send_timeout(platform: Platform) -> None:
    stream, recorder = await opened(platform.transport(send_timeout_s=0.5))
    for number in range(6):
        stream.send(b"%d" % number)
        await recorder.echoes(number + 1)
        await asyncio.sleep(0.2)  # the check runs in between and afterwards
    assert not recorder.closed


# Output and logs


async def test_local_end_prints_nothing(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    """Symptom: a reset caused by a failing request body made the CRT print a traceback."""
    transport = platform.transport(response_timeout_s=0.3)
    platform.endpoint.faults.inject(faults.no_headers())
    await why_not_opened(transport)
    stream, recorder = await opened(platform.transport())
    stream.send(b"never mind")
    stream.abort()
    assert await recorder.end() is None
    async with asyncio.timeout(LIMIT_S):
        await platform.server.gone[0].wait()
    await transport.close()
    assert capfd.readouterr().err == ""


async def test_logs_have_no_keys_or_content(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport = platform.transport()
    stream, recorder = await opened(transport)
    stream.send(b"the words of a caller")
    await recorder.echoes(1)
    platform.endpoint.faults.inject(faults.refused(400))
    await why_not_opened(transport)
    await transport.close()
    # Of the local endpoint, which is a remote service in production.
    peers = (
        "deploy",
        "aiohttp",
        "h2",
        "hpack",
    )
    records = [record for record in caplog.records if not record.name.startswith(peers)]
    written = "\n".join(record.getMessage() for record in records)
    assert SECRET not in written
    assert "Signature=" not in written
    assert "the words of a caller" not in written
