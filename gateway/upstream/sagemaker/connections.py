"""Open HTTP/2 connections to SageMaker, share them between streams, and classify failures."""

import asyncio
import ctypes
import ssl
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final
from urllib.parse import SplitResult, urlsplit

from awscrt import http
from awscrt import io as crt

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.errors import NOT_SENT, from_crt
from gateway.upstream.sagemaker.http import RECEIVE_WINDOW_BYTES, CrtCallback, Inbox

# RFC 9113 section 3.4: a server sends SETTINGS first. They contain its stream limit.
_SETTINGS_WAIT_S: Final = 1.0
_KEEPALIVE_IDLE_S: Final = 20
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 3


class Connections:
    """Assigns streams to connections: up to `streams_each` per connection, or the peer's limit.

    Fewer connections cost less. However, all streams on a connection share its flow-control window,
    and all of them end if it is lost.

    Args:
        url: https://host[:port] of the endpoint.
        ca_pem: the CAs to trust instead of the system's.
        trust: a TLS context that trusts the same CAs, for the probe of the certificate.
        streams_each: maximum number of streams per connection.
        connect_timeout_s: timeout for TCP, TLS and the peer's settings together.
        probe_tls_after_s: delay before the certificate is probed separately; the CRT reports a
            failed handshake only after 10 to 30 s (s2n's blinding).
        linger_s: how long the peer may take to end a stream that this side has abandoned; after
            that, the connection is retired.
    """

    def __init__(
        self,
        url: str,
        *,
        inbox: Inbox,
        ca_pem: bytes | None,
        trust: ssl.SSLContext,
        streams_each: int,
        connect_timeout_s: float,
        probe_tls_after_s: float,
        linger_s: float,
    ) -> None:
        self.url: Final[SplitResult] = urlsplit(url)
        self.inbox: Final = inbox
        self.trust: Final = trust
        self.linger_s: Final = linger_s
        self.connect_timeout_s: Final = connect_timeout_s
        self.probe_tls_after_s: Final = probe_tls_after_s
        self._stream_limit = streams_each
        self._connections: Final[list[Connection]] = []
        self._closed = False
        events = crt.EventLoopGroup(1)
        self.bootstrap: Final = crt.ClientBootstrap(events, crt.DefaultHostResolver(events))
        options = crt.TlsContextOptions()
        if ca_pem is not None:
            options.override_default_trust_store(ca_pem)
        self.tls: Final = crt.ClientTlsContext(options)

    async def acquire(self) -> "Connection":
        """Acquire a stream slot on a connection; `Connection.release` releases it.

        Raises:
            UpstreamError: the connection could not be opened.
        """
        while not self._closed:
            connection = self._with_free_slot() or self._add()
            # Before the await, so that streams started at the same time share the new connection.
            connection.streams += 1
            try:
                await asyncio.shield(connection.opened)
            except BaseException:
                connection.release()
                raise
            if connection.streams <= self._stream_limit:
                return connection
            connection.release()  # the peer allows fewer streams than assumed
        raise UpstreamError("draining", "the transport is closed")

    async def close(self, timeout_s: float) -> None:
        """Close all connections, waiting at most `timeout_s`. Idempotent."""
        self._closed = True
        closing = self._connections[:]
        for connection in closing:
            connection.close()
        if closing:
            await asyncio.wait([each.closed for each in closing], timeout=timeout_s)

    def limit_streams(self, streams: int) -> None:
        """Lower the number of streams per connection to the peer's limit."""
        self._stream_limit = max(1, min(self._stream_limit, streams))

    def remove(self, connection: "Connection") -> None:
        """Start no more streams on `connection`."""
        if connection in self._connections:
            self._connections.remove(connection)

    def _with_free_slot(self) -> "Connection | None":
        return next((c for c in self._connections if c.usable(self._stream_limit)), None)

    def _add(self) -> "Connection":
        connection = Connection(self)
        self._connections.append(connection)
        return connection


class Connection:
    """One connection: opening, open, retired (no new streams) or closed."""

    def __init__(self, pool: Connections) -> None:
        self.streams = 0
        self.linger_s: Final = pool.linger_s
        self._loop: Final = asyncio.get_running_loop()
        self.opened: Final[asyncio.Future[None]] = self._loop.create_future()
        self.closed: Final[asyncio.Future[None]] = self._loop.create_future()
        self._pool: Final = pool
        self._crt: http.Http2ClientConnection | None = None
        self._settings_seen = False
        self._retired = False
        self._suspensions = 0
        self._probing: asyncio.Task[None] | None = None
        self._timers: Final = [
            self._loop.call_later(pool.connect_timeout_s, self._on_timeout),
            self._loop.call_later(pool.probe_tls_after_s, self._start_probe),
        ]
        # Retrieves the exception: asyncio would log it if no task were waiting for it.
        self.opened.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._connect()

    def usable(self, limit: int) -> bool:
        """Return whether another stream may be started on this connection."""
        is_open = self._crt is None or self._crt.is_open()
        return is_open and not (self._retired or self._suspensions) and self.streams < limit

    def request(
        self, request: http.HttpRequest, on_head: CrtCallback, on_body: CrtCallback
    ) -> http.Http2ClientStream:
        """Create a stream that is not active; raise UpstreamError if the connection is closed."""
        if self._crt is None:
            raise UpstreamError("connection-lost", NOT_SENT)
        try:
            return self._crt.request(request, on_head, on_body, manual_write=True)
        except RuntimeError as error:  # awscrt's form of AWS_ERROR_HTTP_CONNECTION_CLOSED
            raise UpstreamError("connection-lost", NOT_SENT) from error

    def release(self) -> None:
        """Release a stream slot."""
        self.streams -= 1
        if self._retired and self.streams == 0:
            self.close()

    def retire(self) -> None:
        """Start no more streams, and close the connection when the last one has ended."""
        self._retired = True

    def suspend(self) -> None:
        """Start no more streams until `resume`, because the peer may no longer respond."""
        self._suspensions += 1

    def resume(self) -> None:
        """Undo one call of `suspend`, because the peer has responded."""
        self._suspensions -= 1

    def close(self) -> None:
        """Close the connection and every stream on it; `closed` is done afterwards."""
        self._retired = True
        self._fail(UpstreamError("draining", "the transport is closed"))
        if self._crt is None:
            self._on_shutdown(None)
        else:
            self._crt.close()

    def _connect(self) -> None:
        pool, url = self._pool, self._pool.url
        tls = pool.tls.new_connection_options()
        tls.set_server_name(url.hostname)
        tls.set_alpn_list(["h2"])
        socket = crt.SocketOptions()
        socket.connect_timeout_ms = round(pool.connect_timeout_s * 1000)
        socket.keep_alive = True
        socket.keep_alive_timeout_secs = _KEEPALIVE_IDLE_S
        socket.keep_alive_interval_secs = _KEEPALIVE_INTERVAL_S
        socket.keep_alive_max_probes = _KEEPALIVE_PROBES
        http.Http2ClientConnection.new(
            host_name=url.hostname,
            port=url.port or 443,
            bootstrap=pool.bootstrap,
            socket_options=socket,
            tls_connection_options=tls,
            on_remote_settings_changed=self._crt_settings,
            manual_window_management=True,
            initial_window_size=RECEIVE_WINDOW_BYTES,
        ).add_done_callback(lambda done: pool.inbox.put(self._on_connected, done))

    def _crt_settings(self, found: Sequence[http.Http2Setting]) -> None:
        """Forward the peer's settings; the first callback of a connection on the CRT's thread."""
        _keep_thread_state()
        self._pool.inbox.put(self._on_settings, found)

    def _on_connected(self, done: "Future[http.Http2ClientConnection]") -> None:
        error = done.exception()
        if error is not None:
            self._fail(from_crt(getattr(error, "name", type(error).__name__)))
            return
        self._crt = done.result()
        self._crt.shutdown_future.add_done_callback(
            lambda done: self._pool.inbox.put(self._on_shutdown, done)
        )
        if self._retired:
            self._crt.close()
        elif self._settings_seen:
            self._on_open()
        else:
            self._timers.append(self._loop.call_later(_SETTINGS_WAIT_S, self._on_open))

    def _on_settings(self, found: Sequence[http.Http2Setting]) -> None:
        self._settings_seen = True
        for setting in found:
            if setting.id is http.Http2SettingID.MAX_CONCURRENT_STREAMS:
                self._pool.limit_streams(setting.value)
        if self._crt is not None:
            self._on_open()

    def _on_open(self) -> None:
        self._cancel_timers()
        if not self.opened.done():
            self.opened.set_result(None)

    def _on_timeout(self) -> None:
        self._fail(UpstreamError("connect-timeout"))

    def _fail(self, error: UpstreamError) -> None:
        self._cancel_timers()
        if not self.opened.done():
            self._retired = True
            self._pool.remove(self)
            self.opened.set_exception(error)

    def _on_shutdown(self, _: object) -> None:
        self._pool.remove(self)
        self._retired = True
        self._crt = None  # it refers to this object, which the garbage collector does not see
        if not self.closed.done():
            self.closed.set_result(None)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._probing is not None:
            self._probing.cancel()

    def _start_probe(self) -> None:
        self._probing = self._loop.create_task(self._probe_tls())

    async def _probe_tls(self) -> None:
        """Report an untrusted certificate long before the CRT does."""
        url = self._pool.url
        try:
            _, writer = await asyncio.open_connection(
                url.hostname, url.port or 443, ssl=self._pool.trust
            )
        except ssl.SSLCertVerificationError as error:
            self._fail(UpstreamError("tls-untrusted", f"verify code {error.verify_code}"))
        except OSError:
            return  # the CRT reports it
        else:
            writer.transport.abort()


def _keep_thread_state() -> None:
    """Keep the Python thread state of the calling CRT thread until the process ends.

    The CRT acquires the GIL for every callback, four times per message. Without this, Python
    creates and destroys a thread state (with a stack by mmap) each time, which is half the cost of
    the CRT's thread.
    """
    ctypes.pythonapi.PyGILState_Ensure()  # intentionally never released
