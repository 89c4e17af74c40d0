"""Both peers of the endpoint: the AWS SDK as its client, and a scripted container."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

from aiohttp import WSMsgType, web
from aws_sdk_sagemaker_runtime_http2.client import AsyncSageMakerRuntimeHTTP2Client
from aws_sdk_sagemaker_runtime_http2.config import AsyncSageMakerRuntimeHTTP2Config
from aws_sdk_sagemaker_runtime_http2.models import (
    InvokeEndpointWithBidirectionalStreamInput,
    InvokeEndpointWithBidirectionalStreamOutput,
    RequestPayloadPart,
    RequestStreamEventPayloadPart,
    ResponsePayloadPart,
    ResponseStreamEventPayloadPart,
)
from awscrt import io as crt_io
from smithy_aws_core.identity import AWSCredentialsIdentity
from smithy_aws_core.identity.static import StaticCredentialsResolver
from smithy_http.aio.crt import AWSCRTHTTPClient

from deploy.local.sagemaker import LocalEndpoint, Settings

# Pings are returned only without autoping.
_TALK = (
    WSMsgType.TEXT,
    WSMsgType.BINARY,
    WSMsgType.PING,
)
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TIMEOUT_S = 20.0
FLOOD_BYTES = 64 * 1024


def settings(container_url: str, **changed: Any) -> Settings:
    """Return settings with a free port and one accepted client."""
    given: dict[str, Any] = {
        "port": 0,
        "container_url": container_url,
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
    }
    return Settings(**(given | changed))


class _TrustingTransport(AWSCRTHTTPClient):
    """The SDK's transport with a test CA."""

    def __init__(self, ca_pem: bytes) -> None:
        super().__init__()
        options = crt_io.TlsContextOptions()
        options.override_default_trust_store(ca_pem)
        self._tls_ctx = crt_io.ClientTlsContext(options)

    def __deepcopy__(self, memo: object) -> Self:
        return self


class SdkStream:
    """One invocation through the real SDK; every wait is bounded."""

    def __init__(self, duplex: Any, writers: set[asyncio.Task[Any]]) -> None:
        self._duplex = duplex
        self._writers = writers
        self._receiver: Any = None

    async def output(self) -> InvokeEndpointWithBidirectionalStreamOutput:
        """Wait for the response's headers."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, self._receiver = await self._duplex.await_output()
        finally:
            self._writers |= {task for task in asyncio.all_tasks() if _is_writer(task)}
        assert isinstance(output, InvokeEndpointWithBidirectionalStreamOutput)
        return output

    async def send(self, data: bytes, kind: str = "UTF8", state: str | None = None) -> None:
        part = RequestPayloadPart(bytes_=data, data_type=kind, completion_state=state)
        async with asyncio.timeout(TIMEOUT_S):
            await self._duplex.input_stream.send(RequestStreamEventPayloadPart(value=part))

    async def half_close(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self._duplex.input_stream.close()

    async def receive(self) -> ResponsePayloadPart | None:
        """Return the next part, or None at the end of the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            event = await self._receiver.receive()
        if event is None:
            return None
        assert isinstance(event, ResponseStreamEventPayloadPart)
        return event.value

    async def receive_data(self) -> bytes | None:
        part = await self.receive()
        return None if part is None else part.bytes_


class Sdk:
    """The real SDK as a client of a local endpoint."""

    def __init__(self, client: AsyncSageMakerRuntimeHTTP2Client) -> None:
        self._client = client
        self._writers: set[asyncio.Task[Any]] = set()

    async def invoke(self, endpoint_name: str = "callscribe", **fields: str) -> SdkStream:
        given = InvokeEndpointWithBidirectionalStreamInput(endpoint_name=endpoint_name, **fields)
        async with asyncio.timeout(TIMEOUT_S):
            duplex = await self._client.invoke_endpoint_with_bidirectional_stream(given)
        return SdkStream(duplex, self._writers)

    async def end_writers(self) -> None:
        """Cancel the tasks that the SDK leaves behind if the service ends a stream first."""
        for task in self._writers:
            task.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)


def _is_writer(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == "_set_request_body_generator"


@contextlib.asynccontextmanager
async def sdk(
    endpoint: LocalEndpoint,
    key_id: str = KEY_ID,
    secret: str = SECRET,
    session_token: str | None = None,
) -> AsyncIterator[Sdk]:
    """Open a client with its own connection."""
    transport = _TrustingTransport(endpoint.ca_file.read_bytes())
    identity = AWSCredentialsIdentity(
        access_key_id=key_id, secret_access_key=secret, session_token=session_token
    )
    config = await AsyncSageMakerRuntimeHTTP2Config.resolve(
        region="eu-central-1",
        endpoint_uri=endpoint.url,
        aws_credentials_identity_resolver=StaticCredentialsResolver(identity),
        transport=transport,
    )
    client = Sdk(AsyncSageMakerRuntimeHTTP2Client(config=config))
    try:
        yield client
    finally:
        async with asyncio.timeout(TIMEOUT_S):
            await client.end_writers()
            await transport.close()


class ScriptedContainer:
    """A container that echoes frames and runs commands, which are text frames.

    !close CODE REASON   closes; without CODE, aborts the TCP connection
    !flood COUNT         sends COUNT messages of 64 KiB, as fast as the peer reads them
    !pause               stops reading until `resumed` is set

    After the platform's Close it sends "last words" before it replies to the Close.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []  # path and query
        self.frames: list[tuple[WSMsgType, bytes]] = []
        self.close_code: int | None = None  # the platform's
        self.closed = asyncio.Event()  # by the platform
        self.flooded = 0
        self.resumed = asyncio.Event()
        self.pings_answered = True
        self.may_reply_to_close: asyncio.Event | None = None  # delays the reply to a Close

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        app = web.Application()
        app.router.add_get("/busy", self._refuse)
        app.router.add_get("/{path:.*}", self._talk)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _refuse(self, request: web.Request) -> web.Response:
        return web.Response(status=503)

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        self.requests.append(request.path_qs)
        socket = web.WebSocketResponse(
            autoclose=False,
            autoping=self.pings_answered,
            max_msg_size=0,
            timeout=0.1,
        )
        await socket.prepare(request)
        while (message := await socket.receive()).type in _TALK:
            if message.type is WSMsgType.PING:
                continue
            if message.type is WSMsgType.TEXT and message.data.startswith("!close"):
                await self._close(request, socket, message.data.split(maxsplit=2)[1:])
                return socket
            if message.type is WSMsgType.TEXT and message.data.startswith("!flood"):
                for _ in range(int(message.data.split()[1])):
                    await socket.send_str("x" * FLOOD_BYTES)
                    self.flooded += 1
                continue
            if message.type is WSMsgType.TEXT and message.data == "!pause":
                await self.resumed.wait()
                continue
            data = message.data if message.type is WSMsgType.BINARY else message.data.encode()
            self.frames.append((message.type, data))
            await socket.send_frame(data, message.type)
        if message.type is WSMsgType.CLOSE:
            self.close_code = message.data
            with contextlib.suppress(ConnectionError):
                await socket.send_str("last words")
            self.closed.set()
            if self.may_reply_to_close:
                await self.may_reply_to_close.wait()
        await socket.close()
        return socket

    async def _close(
        self, request: web.Request, socket: web.WebSocketResponse, how: list[str]
    ) -> None:
        if not how:
            assert request.transport is not None
            request.transport.abort()
            return
        code, reason = how
        await socket.close(code=int(code), message=reason.encode())
