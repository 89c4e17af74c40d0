"""Open SageMaker's bidirectional streams for Realtime messages, with the AWS SDK.

The SDK opens a stream: it builds and signs the request, and parses error responses. After that, the
body does not pass through the SDK. `frames.py` signs the events and `http.py` sends them to the
CRT, at a fraction of the SDK's cost per event, and every end of a stream has a reason.

    open    credentials -> a stream slot on a connection -> request -> response headers
    send    a queue per stream; every few milliseconds a tick signs and writes all queued messages
    end     the peer's END_STREAM, an exception event, a reset, a lost connection, a timeout
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aws_sdk_sagemaker_runtime_http2 import client, config, models
from smithy_aws_core.identity import AWSCredentialsIdentity, AWSIdentityProperties
from smithy_core.exceptions import ModeledError, SmithyError

from common.settings import SettingsError
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address
from gateway.upstream.sagemaker.connections import Connection, Connections
from gateway.upstream.sagemaker.credentials import CredentialSource, FrozenCredentials
from gateway.upstream.sagemaker.errors import (
    CRT_GOAWAY,
    NOT_PROCESSED,
    NOT_SENT,
    from_response,
)
from gateway.upstream.sagemaker.frames import FrameSigner
from gateway.upstream.sagemaker.http import Exchange, Inbox, RequestTransport
from gateway.upstream.sagemaker.stream import FlushTick, SageMakerStream
from gateway.upstream.transport import StreamReceiver, ignore

type _Input = models.InvokeEndpointWithBidirectionalStreamInput

_MAX_ATTEMPTS: Final = 3
_CREDENTIALS_TIMEOUT_S: Final = 5.0  # for the credential chain, which may query metadata services
# At DEBUG level they log requests with their authorization, and events.
_SDK_LOGGERS: Final = (
    "aws_sdk_sagemaker_runtime_http2",
    "aws_sdk_signers",
    "botocore",
    "smithy_aws_core",
    "smithy_aws_event_stream",
    "smithy_core",
    "smithy_http",
)


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Timeouts and sizes of a transport.

    Attributes:
        streams_per_connection: maximum number of streams, or the service's limit if that is lower.
            These streams share an upload window (its size in the real service is unknown), and all
            of them end if the connection is lost.
        max_stream_s: maximum duration of a stream; its credentials must be valid at least as long.
        connect_timeout_s: for TCP, TLS and HTTP/2's settings.
        probe_tls_after_s: delay before the certificate is probed separately during a slow connect,
            because the CRT reports an untrusted certificate only after 10 to 30 s.
        response_timeout_s: from the request to the response's headers.
        send_timeout_s: for a write; if it expires, the peer no longer reads.
        end_timeout_s: time without a message from the peer after the half-close, before its end of
            stream.
        linger_s: for the service to end a stream that was abandoned here; if it expires, the
            connection gets no new streams and is closed after the last.
        window: maximum number of messages queued or being written per stream; at 80 ms per message,
            250 are 20 s.
        flush_s: how long a message may wait to be written together with others; 0 is the next
            iteration of the event loop.
    """

    streams_per_connection: int = 20
    max_stream_s: float = 1800.0
    connect_timeout_s: float = 5.0
    probe_tls_after_s: float = 1.0
    response_timeout_s: float = 10.0
    send_timeout_s: float = 5.0
    end_timeout_s: float = 30.0
    linger_s: float = 10.0
    window: int = 250
    flush_s: float = 0.005


type _Request = models.InvokeEndpointWithBidirectionalStreamInput


class SageMakerTransport:
    """Opens bidirectional streams to one SageMaker endpoint.

    Args:
        endpoint_name: name of the SageMaker endpoint.
        region: AWS region of the endpoint; part of every signature.
        url: https://host:port to use instead of the region's default.
        ca_file: PEM file with the CAs to trust instead of the system's.
        variant: production variant to request; if None, SageMaker chooses.
        limits: timeouts and sizes.
        credentials: the source of credentials; botocore's chain if None.
        observe_wait_s: called for each write with the time that its oldest message waited.

    Raises:
        SettingsError: the URL is not https, or the CA file is unusable.
    """

    longest_stream_s: Final = 1800.0

    def __init__(
        self,
        endpoint_name: str,
        region: str,
        *,
        url: str | None = None,
        ca_file: Path | None = None,
        variant: str | None = None,
        limits: TransportLimits | None = None,
        credentials: CredentialSource | None = None,
        observe_wait_s: Callable[[float], None] = ignore,
    ) -> None:
        for name in _SDK_LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
        # Always set, because the SDK's resolver omits the port.
        self._url: Final = url or f"https://runtime.sagemaker.{region}.amazonaws.com:8443"
        if not self._url.startswith("https://"):
            raise SettingsError(
                "the SageMaker URL must begin with https://: HTTP/2 is negotiated by ALPN"
            )
        self._region: Final = region
        self._endpoint_name: Final = endpoint_name
        self._variant: Final = variant
        # Read once at startup, so that a later loss of the file does not fail calls.
        self._ca_pem: Final = _read(ca_file) if ca_file else None
        self._trust: Final = _trust(self._ca_pem)
        self._limits: Final = limits or TransportLimits()
        self._observe_wait_s: Final = observe_wait_s
        self._credentials: Final = credentials or CredentialSource(timeout_s=_CREDENTIALS_TIMEOUT_S)
        self._config: config.AsyncSageMakerRuntimeHTTP2Config | None = None
        self._connections: Connections | None = None
        self._tick: FlushTick | None = None
        self._streams: Final[set[SageMakerStream]] = set()
        self._closed = False

    async def open(
        self, receiver: StreamReceiver, address: Address | None = None
    ) -> SageMakerStream:
        """Open one stream; return when SageMaker has sent the response headers.

        Args:
            receiver: receives its messages and its end.
            address: the path and query of the container; None is its default path.

        Raises:
            UpstreamError: within the timeouts for credentials, connection and response.
        """
        if self._closed:
            raise UpstreamError("draining", "the transport is closed")
        if self._connections is None or self._tick is None:
            self._connections = self._new_connections()
            self._tick = FlushTick(self._limits.flush_s)
        keys = await self._credentials.frozen(self._limits.max_stream_s)
        request = self._input(address or Address())
        exchange, signature = await self._request(self._connections, keys, request)
        stream = SageMakerStream(
            exchange,
            FrameSigner(keys.secret_key, self._region, signature),
            receiver,
            self._tick,
            window=self._limits.window,
            send_timeout_s=self._limits.send_timeout_s,
            end_timeout_s=self._limits.end_timeout_s,
            observe_wait_s=self._observe_wait_s,
            discard=self._streams.discard,
        )
        self._streams.add(stream)
        return stream

    async def close(self) -> None:
        """Abort every stream and release the connections. Idempotent; bounded in time."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.abort()
        if self._connections is not None:
            await self._connections.close(self._limits.connect_timeout_s)

    def _input(self, address: Address) -> _Request:
        return models.InvokeEndpointWithBidirectionalStreamInput(
            endpoint_name=self._endpoint_name,
            target_variant=self._variant,
            model_invocation_path=address.path or None,
            model_query_string=address.query or None,
        )

    def _new_connections(self) -> Connections:
        return Connections(
            self._url,
            inbox=Inbox(asyncio.get_running_loop()),
            ca_pem=self._ca_pem,
            trust=self._trust,
            streams_each=self._limits.streams_per_connection,
            connect_timeout_s=self._limits.connect_timeout_s,
            probe_tls_after_s=self._limits.probe_tls_after_s,
            linger_s=self._limits.linger_s,
        )

    async def _request(
        self, connections: Connections, keys: FrozenCredentials, request: _Request
    ) -> tuple[Exchange, str]:
        """Start a request and wait for its response; return the exchange and the signature.

        While a stream is starting, the peer can lower its stream limit or send GOAWAY. The CRT then
        rejects the stream, and the next attempt uses another connection.
        """
        attempts_left = _MAX_ATTEMPTS
        while True:
            try:
                return await self._request_once(connections, keys, request)
            except UpstreamError as error:
                # NOT_SENT does not count: each one retires a connection, and there are only a few.
                attempts_left -= error.detail != NOT_SENT
                if error.detail not in NOT_PROCESSED or not attempts_left:
                    raise

    async def _request_once(
        self, connections: Connections, keys: FrozenCredentials, request: _Request
    ) -> tuple[Exchange, str]:
        connection = await connections.acquire()
        transport = RequestTransport(connection, connections.inbox)
        try:
            async with asyncio.timeout(self._limits.response_timeout_s):
                return await self._invoke(keys, transport, request), transport.signature
        except TimeoutError as error:
            connection.retire()  # it may be lost without an error
            _abandon(transport, connection)
            raise UpstreamError("response-timeout", "no response headers") from error
        except UpstreamError as error:
            if error.detail in (NOT_SENT, CRT_GOAWAY):
                connection.retire()  # it accepts no new streams
            _abandon(transport, connection)
            raise
        except BaseException:
            connection.retire()  # cancelled: it may be lost, too
            _abandon(transport, connection)
            raise

    async def _invoke(
        self, keys: FrozenCredentials, transport: RequestTransport, request: _Request
    ) -> Exchange:
        """Start the operation with the SDK, using one client per stream for keys and transport."""
        try:
            if self._config is None:
                self._config = await config.AsyncSageMakerRuntimeHTTP2Config.resolve(
                    region=self._region, endpoint_uri=self._url, transport=transport
                )
                self._config.transport = None  # belongs to one request, so it must not be kept here
            request_config = deepcopy(self._config)
            request_config.transport = transport
            request_config.aws_credentials_identity_resolver = _Keys(keys)
            sdk = client.AsyncSageMakerRuntimeHTTP2Client(request_config)
            stream = await sdk.invoke_endpoint_with_bidirectional_stream(request)
            await stream.await_output()
        except SmithyError as error:
            raise _refusal(error, transport) from None  # the SDK's text quotes the service's
        if transport.exchange is None:
            raise UpstreamError("internal-error", "the SDK returned a response without a request")
        return transport.exchange


def _read(ca_file: Path) -> bytes:
    try:
        return ca_file.read_bytes()
    except OSError as error:
        raise SettingsError(f"the CA file can't be read: {type(error).__name__}") from error


def _trust(ca_pem: bytes | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca_pem.decode("ascii") if ca_pem else None)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"the CA file is not valid PEM: {type(error).__name__}") from error
    context.set_alpn_protocols(["h2"])
    return context


class _Keys:
    """Provides one stream's credentials to the SDK."""

    def __init__(self, keys: FrozenCredentials) -> None:
        self._identity: Final = AWSCredentialsIdentity(
            access_key_id=keys.access_key,
            secret_access_key=keys.secret_key,
            session_token=keys.token,
        )

    async def get_identity(self, *, properties: AWSIdentityProperties) -> AWSCredentialsIdentity:
        """Return the stream's identity."""
        return self._identity

    async def invalidate(self) -> None:
        """Ignore the call: a stream is signed with one set of keys from its start to its end."""


def _refusal(error: SmithyError, transport: RequestTransport) -> UpstreamError:
    """Return the reason of a failed start: the transport's error, or the service's response."""
    if isinstance(error.__cause__, UpstreamError):
        return error.__cause__
    if transport.head is None:
        return UpstreamError("internal-error", type(error.__cause__ or error).__name__)
    kind = type(error).__name__ if isinstance(error, ModeledError) else ""
    return from_response(*transport.head, kind=kind, message=str(error))


def _abandon(transport: RequestTransport, connection: Connection) -> None:
    if transport.exchange is None:
        connection.release()
    else:
        transport.exchange.leave()
