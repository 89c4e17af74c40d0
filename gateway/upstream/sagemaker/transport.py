"""Realtime messages over SageMaker's bidirectional streams, by AWS's own SDK.

The SDK opens a stream: it builds the request, signs it, parses what the service refuses. From there
on the body is ours: signing (`sagemaker_frames`) and the way to the CRT (`sagemaker_http`) cost a
fraction of the SDK's per event, and every end has a cause.

    open    credentials -> a place on a connection -> request -> response headers
    send    a queue per stream; every few milliseconds a tick signs and writes what all queues hold
    end     the peer's END_STREAM, an exception event, a reset, a lost connection, a time-out
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Final

from aws_sdk_sagemaker_runtime_http2 import client, config, models
from smithy_aws_core.identity import AWSCredentialsIdentity, AWSIdentityProperties
from smithy_core.exceptions import ModeledError, SmithyError

from common.settings import SettingsError
from gateway.errors import UpstreamError
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

_PLACES_TRIED: Final = 3
# At DEBUG they print requests with their authorization, and events.
_SDK_LOGGERS: Final = (
    "aws_sdk_sagemaker_runtime_http2",
    "aws_sdk_signers",
    "botocore",
    "smithy_aws_core",
    "smithy_aws_event_stream",
    "smithy_core",
    "smithy_http",
)


class SageMakerTransport:
    """Opens bidirectional streams to one SageMaker endpoint.

    Args:
        endpoint_name: of the SageMaker endpoint.
        region: AWS region of the endpoint; part of every signature.
        url: https://host:port instead of the region's own.
        ca_file: PEM of the CAs to trust instead of the system's.
        variant: the production variant to ask for; None leaves the choice to SageMaker.
        streams_per_connection: at most; fewer if the service allows fewer. An upload window
            (unknown for the real service) and a connection's loss are shared by that many.
        max_stream_s: how long a stream may live; credentials must live longer.
        connect_timeout_s: for TCP, TLS and HTTP/2's settings.
        probe_tls_after_s: into a slow connect, when we look at the certificate ourselves: the CRT
            reports one that is not trusted only after 10 to 30 s.
        response_timeout_s: from the request to the response's headers.
        send_timeout_s: until a write is on its way; longer means the peer no longer reads.
        end_timeout_s: after our half-close, the longest silence before the peer's end of stream.
        linger_s: for the service to let go of a stream that is over for us; else its connection
            takes no new ones and closes after the last.
        credentials_timeout_s: for the credential chain, which may ask metadata services.
        window: messages queued or on their way per stream; at 80 ms a message, 250 are 20 s.
        flush_s: how long a message may wait for others to be written along; 0 is the next
            iteration of the event loop.
        credentials: where credentials come from; botocore's chain.
        observe_wait_s: told of every write how long its oldest message waited for it.

    Raises:
        SettingsError: the URL is not https, or the CA file is none.
    """

    def __init__(
        self,
        endpoint_name: str,
        region: str,
        *,
        url: str | None = None,
        ca_file: Path | None = None,
        variant: str | None = None,
        streams_per_connection: int = 20,
        max_stream_s: float = 1800.0,
        connect_timeout_s: float = 5.0,
        probe_tls_after_s: float = 1.0,
        response_timeout_s: float = 10.0,
        send_timeout_s: float = 5.0,
        end_timeout_s: float = 30.0,
        linger_s: float = 10.0,
        credentials_timeout_s: float = 5.0,
        window: int = 250,
        flush_s: float = 0.005,
        credentials: CredentialSource | None = None,
        observe_wait_s: Callable[[float], None] = ignore,
    ) -> None:
        for name in _SDK_LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
        # Always set: the SDK's own resolver leaves the port out.
        self._url: Final = url or f"https://runtime.sagemaker.{region}.amazonaws.com:8443"
        if not self._url.startswith("https://"):
            raise SettingsError(
                "the SageMaker URL must begin with https://: HTTP/2 needs ALPN here"
            )
        self._region: Final = region
        self._input: Final = models.InvokeEndpointWithBidirectionalStreamInput(
            endpoint_name=endpoint_name, target_variant=variant
        )
        # Read once, here: a file that is gone later must not surprise a call.
        self._ca_pem: Final = _read(ca_file) if ca_file else None
        self._trust: Final = _trust(self._ca_pem)
        self._streams_per_connection: Final = streams_per_connection
        self._max_stream_s: Final = max_stream_s
        self._connect_timeout_s: Final = connect_timeout_s
        self._probe_tls_after_s: Final = probe_tls_after_s
        self._response_timeout_s: Final = response_timeout_s
        self._send_timeout_s: Final = send_timeout_s
        self._end_timeout_s: Final = end_timeout_s
        self._linger_s: Final = linger_s
        self._window: Final = window
        self._flush_s: Final = flush_s
        self._observe_wait_s: Final = observe_wait_s
        self._credentials: Final = credentials or CredentialSource(timeout_s=credentials_timeout_s)
        self._config: config.AsyncSageMakerRuntimeHTTP2Config | None = None
        self._connections: Connections | None = None
        self._tick: FlushTick | None = None
        self._streams: Final[set[SageMakerStream]] = set()
        self._closed = False

    async def open(self, receiver: StreamReceiver) -> SageMakerStream:
        """Open one stream; returns when SageMaker has answered with response headers.

        Raises:
            UpstreamError: within the time-outs for credentials, connection and response.
        """
        if self._closed:
            raise UpstreamError("draining", "the transport is closed")
        if self._connections is None or self._tick is None:
            self._connections = self._new_connections()
            self._tick = FlushTick(self._flush_s)
        keys = await self._credentials.frozen(self._max_stream_s)
        exchange, signature = await self._request(self._connections, keys)
        stream = SageMakerStream(
            exchange,
            FrameSigner(keys.secret_key, self._region, signature),
            receiver,
            self._tick,
            window=self._window,
            send_timeout_s=self._send_timeout_s,
            end_timeout_s=self._end_timeout_s,
            observe_wait_s=self._observe_wait_s,
            forget=self._streams.discard,
        )
        self._streams.add(stream)
        return stream

    async def close(self) -> None:
        """Abort every stream and release the connections. Idempotent; bounded in time."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.abort()
        if self._connections is not None:
            await self._connections.close(self._connect_timeout_s)

    def _new_connections(self) -> Connections:
        return Connections(
            self._url,
            inbox=Inbox(asyncio.get_running_loop()),
            ca_pem=self._ca_pem,
            trust=self._trust,
            streams_each=self._streams_per_connection,
            connect_timeout_s=self._connect_timeout_s,
            probe_tls_after_s=self._probe_tls_after_s,
            linger_s=self._linger_s,
        )

    async def _request(
        self, connections: Connections, keys: FrozenCredentials
    ) -> tuple[Exchange, str]:
        """Start a request and wait for its response; with it, the signature the frames begin from.

        A peer may lower its stream limit while we start a stream, or say GOAWAY to all new ones.
        The CRT then refuses ours, and the next place is on another connection.
        """
        tries = _PLACES_TRIED
        while True:
            try:
                return await self._request_once(connections, keys)
            except UpstreamError as error:
                # What was not even sent retired a drained connection: there are only so many.
                tries -= error.detail != NOT_SENT
                if error.detail not in NOT_PROCESSED or not tries:
                    raise

    async def _request_once(
        self, connections: Connections, keys: FrozenCredentials
    ) -> tuple[Exchange, str]:
        connection = await connections.claim()
        transport = RequestTransport(connection, connections.inbox)
        try:
            async with asyncio.timeout(self._response_timeout_s):
                return await self._invoke(keys, transport), transport.signature
        except TimeoutError as error:
            connection.retire()  # it may be dead, and nobody has told us
            _abandon(transport, connection)
            raise UpstreamError("response-timeout", "no response headers") from error
        except UpstreamError as error:
            if error.detail in (NOT_SENT, CRT_GOAWAY):
                connection.retire()  # it serves what it has, and no more
            _abandon(transport, connection)
            raise
        except BaseException:
            connection.retire()  # whoever waited has given up: likewise
            _abandon(transport, connection)
            raise

    async def _invoke(self, keys: FrozenCredentials, transport: RequestTransport) -> Exchange:
        """Have the SDK start the operation; a client per stream, for its keys and its transport."""
        try:
            if self._config is None:
                self._config = await config.AsyncSageMakerRuntimeHTTP2Config.resolve(
                    region=self._region, endpoint_uri=self._url, transport=transport
                )
                self._config.transport = None  # a request's own: it is not to outlive it here
            own = deepcopy(self._config)
            own.transport = transport
            own.aws_credentials_identity_resolver = _Keys(keys)
            sdk = client.AsyncSageMakerRuntimeHTTP2Client(own)
            stream = await sdk.invoke_endpoint_with_bidirectional_stream(self._input)
            await stream.await_output()
        except SmithyError as error:
            raise _refusal(error, transport) from None  # the SDK's text quotes the service's
        if transport.exchange is None:
            raise UpstreamError("internal-error", "the SDK answered without a request")
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
        raise SettingsError(f"the CA file is no PEM: {type(error).__name__}") from error
    context.set_alpn_protocols(["h2"])
    return context


class _Keys:
    """One stream's credentials, as the SDK wants to be told them."""

    def __init__(self, keys: FrozenCredentials) -> None:
        self._identity: Final = AWSCredentialsIdentity(
            access_key_id=keys.access_key,
            secret_access_key=keys.secret_key,
            session_token=keys.token,
        )

    async def get_identity(self, *, properties: AWSIdentityProperties) -> AWSCredentialsIdentity:
        """The same identity, every time."""
        return self._identity

    async def invalidate(self) -> None:
        """Keep them: a stream is signed with one set of keys from its start to its end."""


def _refusal(error: SmithyError, transport: RequestTransport) -> UpstreamError:
    """Why the SDK gave up: what our transport told it, or what the service answered."""
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
