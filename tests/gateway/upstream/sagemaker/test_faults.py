"""What the SDK's stock transport hides or hangs on; here, each becomes a prompt reason."""

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

PROMPT_S = 10.0  # "prompt" on the slowest machine; the stock transport waits for ever


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
    """A server that shakes hands by TLS, and no more."""
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
async def test_a_refused_start(platform: Platform, status: int, reason: str) -> None:
    transport = platform.transport()
    platform.endpoint.faults.inject(faults.refused(status))
    error = await why_not_opened(transport)
    assert error.reason == reason
    assert f"status={status}" in error.detail
    assert "request=" in error.detail
    assert "injected" not in str(error), "the service's text is not quoted"
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
async def test_an_end_before_the_response(
    platform: Platform, fault: faults.Fault, reason: str | None
) -> None:
    """The stock transport waits for ever for the headers of a stream that has died."""
    transport = platform.transport()
    platform.endpoint.faults.inject(fault)
    if reason is None:
        _, recorder = await opened(transport)
        assert await recorder.end() is None
    else:
        assert (await why_not_opened(transport)).reason == reason
    await opened(transport)


async def test_a_peer_that_is_drained_keeps_its_streams_and_gets_no_new_ones(
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


async def test_no_response_headers(platform: Platform) -> None:
    transport = platform.transport(response_timeout_s=0.3)
    platform.endpoint.faults.inject(faults.no_headers())
    assert (await why_not_opened(transport)).reason == "response-timeout"


async def test_a_slow_start_is_waited_for(platform: Platform) -> None:
    platform.endpoint.faults.inject(faults.slow_start(0.3))
    stream, recorder = await opened(platform.transport())
    stream.send(b"hello")
    assert await recorder.echoes(1) == [b"hello"]


async def test_a_wrong_secret(platform: Platform) -> None:
    transport = platform.transport(credentials=known_keys(SECRET[::-1]))
    assert (await why_not_opened(transport)).reason == "access-denied"


async def test_an_endpoint_that_does_not_exist() -> None:
    async with (
        EchoServer().serving() as server,
        endpoint_before(server, names=("another",)) as endpoint,
    ):
        transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        assert (await why_not_opened(transport)).reason == "endpoint-not-found"
        await transport.close()


async def test_a_container_that_is_not_there(unused_tcp_port: int) -> None:
    nowhere = EchoServer()
    nowhere.url = f"http://127.0.0.1:{unused_tcp_port}"
    async with endpoint_before(nowhere) as endpoint:
        transport = sagemaker_to(endpoint.url, endpoint.ca_file)
        assert (await why_not_opened(transport)).reason == "model-error"
        await transport.close()


async def test_no_credentials(platform: Platform) -> None:
    """The stock client hangs for ever when its credentials cannot be resolved."""
    transport = platform.transport(credentials=CredentialSource(timeout_s=5, chain=lambda: None))
    assert (await why_not_opened(transport)).reason == "no-credentials"


async def test_a_session_token_is_signed() -> None:
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


async def test_a_connection_refused(unused_tcp_port: int) -> None:
    transport = sagemaker_to(f"https://127.0.0.1:{unused_tcp_port}", None)
    assert (await why_not_opened(transport)).reason == "connect-refused"
    await transport.close()


async def test_a_host_that_has_no_address() -> None:
    transport = sagemaker_to("https://no-such-host.invalid:8443", None)
    assert (await why_not_opened(transport)).reason == "host-unreachable"
    await transport.close()


async def test_a_handshake_that_breaks_off_is_retried() -> None:
    """Symptom: a link that broke while a rollover connected ended the call as `tls-untrusted`."""

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


async def test_a_certificate_we_do_not_trust(tmp_path: Path) -> None:
    """The CRT holds a failed handshake back for 10 to 30 s."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with tls_server(trustme.CA(), alpn="h2") as url:
        transport = sagemaker_to(url, tmp_path / "other.pem", probe_tls_after_s=0.1)
        error = await why_not_opened(transport)
        assert error.reason == "tls-untrusted"
        assert not error.info.retry
        await transport.close()


async def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        transport = sagemaker_to(url, None, connect_timeout_s=0.3)
        assert (await why_not_opened(transport)).reason == "connect-timeout"
        await transport.close()


async def test_a_server_without_http2(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with tls_server(authority, alpn="http/1.1") as url:
        transport = sagemaker_to(url, tmp_path / "ca.pem")
        assert (await why_not_opened(transport)).reason == "platform-protocol-error"
        await transport.close()


def test_a_ca_file_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError):
            SageMakerTransport("callscribe", "eu-central-1", ca_file=path)


def test_plain_http_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError):
        SageMakerTransport("callscribe", "eu-central-1", url="http://localhost:8443")


async def test_a_cancelled_open_gives_its_place_back(platform: Platform) -> None:
    transport = platform.transport(streams_per_connection=1)
    await opened(transport)  # warm: what is cancelled below waits for headers
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


async def until_a_place_is_free(transport: SageMakerTransport) -> None:
    pool = transport._connections  # noqa: SLF001 - nobody is told when the peer lets go
    assert pool is not None
    async with asyncio.timeout(LIMIT_S):
        while not pool._with_a_place():  # noqa: SLF001, ASYNC110 - likewise
            await asyncio.sleep(0.01)


async def test_streams_one_after_another_share_a_connection(platform: Platform) -> None:
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}")
        for _ in range(10):
            stream, recorder = await opened(transport)
            stream.finish()
            assert await recorder.end() is None
        assert proxy.connections == 1
        await transport.close()


async def test_streams_started_together_share_connections_up_to_the_cap(platform: Platform) -> None:
    """The stock transport opens one connection each: 50 for 50, and loses track of 49."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", streams_per_connection=10)
        await asyncio.gather(*(opened(transport) for _ in range(50)))
        assert proxy.connections == 5
        await transport.close()


async def test_the_peer_s_stream_limit_is_kept(platform: Platform) -> None:
    """Above MAX_CONCURRENT_STREAMS the stock transport waits for ever."""
    platform.endpoint.faults.max_concurrent_streams = 2
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}")
        streams = await asyncio.gather(*(opened(transport) for _ in range(7)))
        for stream, recorder in streams:
            stream.send(b"hello")
            assert await recorder.echoes(1) == [b"hello"]
        assert proxy.connections == 4
        await transport.close()


async def test_a_place_is_free_again_when_its_stream_is_over(platform: Platform) -> None:
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", streams_per_connection=1)
        for end in ("finish", "abort", "close:1011"):
            stream, recorder = await opened(transport)
            if end.startswith("close"):
                stream.send(end.encode())
            else:
                getattr(stream, end)()
            await recorder.end()
            await until_a_place_is_free(transport)
        assert proxy.connections == 1
        await transport.close()


async def test_a_stream_its_peer_does_not_end_retires_its_connection(platform: Platform) -> None:
    """There is no reset by the CRT: only the connection's end frees such a stream."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", linger_s=0.2)
        platform.endpoint.faults.inject(faults.stall(after_events=1))
        stalled, recorder = await opened(transport)
        other, listener = await opened(transport)
        stalled.send(b"hello")
        async with asyncio.timeout(LIMIT_S):
            while not platform.server.heard[0]:  # noqa: ASYNC110 - the stall has begun
                await asyncio.sleep(0.01)
        stalled.abort()
        assert await recorder.end() is None
        await asyncio.sleep(0.4)  # on one loop: the stream's timer is before this one
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


async def test_a_connection_that_does_not_answer_gets_no_new_stream(platform: Platform) -> None:
    """Symptom: sessions on a dead connection, given up, were followed by others there."""
    async with TcpProxy(platform.endpoint.port) as proxy:
        transport = platform.transport(f"https://127.0.0.1:{proxy.port}", linger_s=60)
        platform.endpoint.faults.inject(faults.stall(after_events=1))
        stalled, recorder = await opened(transport)
        stalled.send(b"hello")
        async with asyncio.timeout(LIMIT_S):
            while not platform.server.heard[0]:  # noqa: ASYNC110 - the stall has begun
                await asyncio.sleep(0.01)
        stalled.abort()
        assert await recorder.end() is None
        await opened(transport)
        assert proxy.connections == 2
        await transport.close()


async def test_a_lost_connection_is_replaced(platform: Platform) -> None:
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


async def test_a_lost_connection_is_not_kept_in_memory(platform: Platform) -> None:
    """Symptom: each lost connection stayed, with the CRT's part of it; a soak grew by 1 MB/min."""
    transport, before = platform.transport(), connections_in_memory()

    async def lose_a_connection() -> None:
        platform.endpoint.faults.inject(faults.drop(after_events=0))
        _, recorder = await opened(transport)
        assert await recorder.reason() == "connection-lost"

    for _ in range(3):
        await lose_a_connection()
    async with asyncio.timeout(LIMIT_S):
        while connections_in_memory() > before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def connections_in_memory() -> int:
    gc.collect()
    return sum(isinstance(each, Connection) for each in gc.get_objects())


# In mid-stream


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
async def test_an_end_in_mid_stream(
    platform: Platform, fault: faults.Fault, reason: str | None
) -> None:
    """The stock transport reports a reset as a clean end, and takes 17 more messages."""
    platform.endpoint.faults.inject(fault)
    stream, recorder = await opened(platform.transport())
    for message in texts(3):
        stream.send(message)
    async with asyncio.timeout(PROMPT_S):
        assert await recorder.reason() == reason
    assert not stream.send(b"too late")
    assert recorder.violations == []


async def test_the_code_of_a_container_s_close_is_kept_but_not_its_words(
    platform: Platform,
) -> None:
    platform.endpoint.faults.inject(faults.model_stream_error(after_events=0, code="1008"))
    _, recorder = await opened(platform.transport())
    error = await recorder.end()
    assert error is not None
    assert "code=1008" in error.detail
    assert "injected" not in str(error)


async def test_a_reset_ends_one_stream_of_its_connection(platform: Platform) -> None:
    transport = platform.transport()
    platform.endpoint.faults.inject(faults.reset(after_events=1))
    reset, recorder = await opened(transport)
    other, listener = await opened(transport)
    reset.send(b"hello")
    assert await recorder.reason() == "stream-reset"
    other.send(b"still here")
    assert await listener.echoes(1) == [b"still here"]


async def test_a_peer_that_takes_no_more(platform: Platform) -> None:
    """The stock transport's `send` blocks for ever, and `close` after it."""
    platform.endpoint.faults.inject(faults.stall(after_events=1))
    transport = platform.transport(send_timeout_s=1.0)
    stalled, recorder = await opened(transport)
    other, listener = await opened(transport)
    for _ in range(40):
        stalled.send(b"x" * 100_000)  # 4 MB into a window of 1 MiB
    assert await recorder.reason() == "send-timeout"
    other.send(b"still here")
    assert await listener.echoes(1) == [b"still here"]


async def test_a_peer_that_does_not_answer_the_half_close(platform: Platform) -> None:
    platform.endpoint.faults.inject(faults.stall(after_events=1))
    stream, recorder = await opened(platform.transport(end_timeout_s=0.3))
    stream.send(b"hello")
    stream.finish()
    assert await recorder.reason() == "response-timeout"


async def test_more_than_the_receive_window_comes_through(platform: Platform) -> None:
    stream, recorder = await opened(platform.transport())
    sent = [b"%d" % number + b"y" * 500_000 for number in range(12)]
    assert all(stream.send(message) for message in sent)
    assert await recorder.echoes(12) == sent


async def test_slow_streams_outlive_the_time_out_of_a_write(platform: Platform) -> None:
    stream, recorder = await opened(platform.transport(send_timeout_s=0.5))
    for number in range(6):
        stream.send(b"%d" % number)
        await recorder.echoes(number + 1)
        await asyncio.sleep(0.2)  # the watch looks again, in between and after
    assert not recorder.closed


# What may be read by others


async def test_an_end_of_ours_prints_nothing(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reset by way of a body that fails had the CRT print the failure's traceback."""
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


async def test_no_log_quotes_keys_or_content(
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
    peers = ("deploy", "aiohttp", "h2", "hpack")  # they stand for what runs elsewhere
    ours = [record for record in caplog.records if not record.name.startswith(peers)]
    written = "\n".join(record.getMessage() for record in ours)
    assert SECRET not in written
    assert "Signature=" not in written
    assert "the words of a caller" not in written
