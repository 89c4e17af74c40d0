"""The local endpoint: certificate, listener and connections."""

import asyncio
import contextlib
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from aiohttp import ClientSession, TCPConnector

from deploy.local.sagemaker.connection import Connection, Stream
from deploy.local.sagemaker.faults import Faults
from deploy.local.sagemaker.invocation import Invocation, Platform
from deploy.local.sagemaker.settings import Settings
from deploy.local.sagemaker.sigv4 import Credentials

_CLOSE_TIMEOUT_S = 5.0


class LocalEndpoint:
    """A SageMaker endpoint on this machine.

    async with LocalEndpoint(settings) as endpoint:
        ...  # clients use endpoint.url and endpoint.ca_file
        endpoint.faults.inject(faults.reset(after_events=3))
    """

    def __init__(self, settings: Settings) -> None:
        self.faults = Faults()
        self._settings = settings
        self._connections: set[Connection] = set()
        self._resources = contextlib.AsyncExitStack()
        self._port = 0
        self._ca_file = Path()

    @property
    def port(self) -> int:
        """Port on which the endpoint listens."""
        return self._port

    @property
    def url(self) -> str:
        """Base URL for clients, with a host name of the certificate."""
        return f"https://{self._settings.cert_names[0]}:{self._port}"

    @property
    def ca_file(self) -> Path:
        """PEM file of the CA that clients must trust."""
        return self._ca_file

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: the address is in use, or the CA file cannot be written.
        """
        async with contextlib.AsyncExitStack() as resources:
            tls = self._make_certificate(resources)
            session = await resources.enter_async_context(
                ClientSession(connector=TCPConnector(limit=0))  # streams are limited already
            )
            platform = Platform(self._settings, self._credentials(), session, self.faults)
            server = await asyncio.get_running_loop().create_server(
                lambda: self._connect(platform),
                self._settings.host,
                self._settings.port,
                ssl=tls,
            )
            resources.push_async_callback(self._close_connections)
            resources.callback(server.close)
            self._port = server.sockets[0].getsockname()[1]
            self._resources = resources.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and abort every stream."""
        await self._resources.aclose()

    def _connect(self, platform: Platform) -> Connection:
        limit = self.faults.max_concurrent_streams or self._settings.max_concurrent_streams

        async def serve(stream: Stream) -> None:
            await Invocation(stream, platform).run()

        live = self._connections
        return Connection(serve, limit, on_made=live.add, on_closed=live.discard)

    def retire_connections(self) -> None:
        """Ask clients to open new connections; open streams continue."""
        for connection in tuple(self._connections):
            connection.retire()

    async def _close_connections(self) -> None:
        connections = tuple(self._connections)
        for connection in connections:
            connection.drop()
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            for connection in connections:
                await connection.closed.wait()

    def _credentials(self) -> Credentials:
        token = self._settings.session_token
        return Credentials(
            self._settings.access_key_id,
            self._settings.secret_access_key.get_secret_value(),
            token.get_secret_value() if token else None,
        )

    def _make_certificate(self, resources: contextlib.AsyncExitStack) -> ssl.SSLContext:
        """Create a CA and a certificate for this process; the keys stay in memory."""
        authority = trustme.CA(organization_name="Callscribe local endpoint")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])
        authority.issue_cert(*self._settings.cert_names).configure_cert(context)
        directory = self._settings.cert_dir
        if directory is None:
            directory = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        self._ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(self._ca_file)
        return context
