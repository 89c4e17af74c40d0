"""The HTTP/2 connections to SageMaker: few, shared, and each failure named within its time-out."""

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

# RFC 9113 section 3.4: a server's SETTINGS come first. Waited for: they hold its stream limit.
_SETTINGS_WAIT_S: Final = 1.0
_KEEPALIVE_IDLE_S: Final = 20
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 3


class Connections:
    """Gives out places for streams, `streams_each` on a connection or fewer if the peer says so.

    Few connections cost less; many streams on one share its flow-control window and its fate.

    Args:
        url: https://host[:port] of the endpoint.
        ca_pem: the CAs to trust instead of the system's.
        trust: the same, for our own look at a certificate.
        streams_each: streams per connection, at most.
        connect_timeout_s: for TCP, TLS and the peer's settings.
        probe_tls_after_s: before we look at the peer's certificate ourselves; the CRT holds a
            failed handshake back for 10 to 30 s (s2n's blinding).
        linger_s: for the peer to let go of a stream that is over for us; else its connection takes
            no new ones.
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

    async def claim(self) -> "Connection":
        """A connection with a place for one stream; `Connection.release` gives it back.

        Raises:
            UpstreamError: the connection could not be made.
        """
        while not self._closed:
            connection = self._with_a_place() or self._add()
            # Taken before anything is awaited: those who start together share what is being opened.
            connection.streams += 1
            try:
                await asyncio.shield(connection.opened)
            except BaseException:
                connection.release()
                raise
            if connection.streams <= self._stream_limit:
                return connection
            connection.release()  # the peer allows fewer than we counted on
        raise UpstreamError("draining", "the transport is closed")

    async def close(self, timeout_s: float) -> None:
        """Close all; what does not go in time is left to the process's end. Idempotent."""
        self._closed = True
        closing = self._connections[:]
        for connection in closing:
            connection.close()
        if closing:
            await asyncio.wait([each.gone for each in closing], timeout=timeout_s)

    def limit_streams(self, streams: int) -> None:
        """Keep to what the peer allows on one connection."""
        self._stream_limit = max(1, min(self._stream_limit, streams))

    def forget(self, connection: "Connection") -> None:
        """Give out no more places on `connection`."""
        if connection in self._connections:
            self._connections.remove(connection)

    def _with_a_place(self) -> "Connection | None":
        return next((c for c in self._connections if c.usable(self._stream_limit)), None)

    def _add(self) -> "Connection":
        connection = Connection(self)
        self._connections.append(connection)
        return connection


class Connection:
    """One connection: being opened, open, retired (no new streams), gone."""

    def __init__(self, pool: Connections) -> None:
        self.streams = 0
        self.linger_s: Final = pool.linger_s
        self._loop: Final = asyncio.get_running_loop()
        self.opened: Final[asyncio.Future[None]] = self._loop.create_future()
        self.gone: Final[asyncio.Future[None]] = self._loop.create_future()
        self._pool: Final = pool
        self._crt: http.Http2ClientConnection | None = None
        self._settings_seen = False
        self._retired = False
        self._doubts = 0
        self._probing: asyncio.Task[None] | None = None
        self._timers: Final = [
            self._loop.call_later(pool.connect_timeout_s, self._on_timeout),
            self._loop.call_later(pool.probe_tls_after_s, self._start_probe),
        ]
        # Nobody may be waiting any more when it fails.
        self.opened.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._connect()

    def usable(self, limit: int) -> bool:
        """Whether one more stream may be started here."""
        is_open = self._crt is None or self._crt.is_open()
        return is_open and not (self._retired or self._doubts) and self.streams < limit

    def request(
        self, request: http.HttpRequest, on_head: CrtCallback, on_body: CrtCallback
    ) -> http.Http2ClientStream:
        """Make a stream, not yet active; UpstreamError if the connection has gone."""
        if self._crt is None:
            raise UpstreamError("connection-lost", NOT_SENT)
        try:
            return self._crt.request(request, on_head, on_body, manual_write=True)
        except RuntimeError as error:  # how awscrt says AWS_ERROR_HTTP_CONNECTION_CLOSED
            raise UpstreamError("connection-lost", NOT_SENT) from error

    def release(self) -> None:
        """Give a stream's place back."""
        self.streams -= 1
        if self._retired and self.streams == 0:
            self.close()

    def retire(self) -> None:
        """Take no more streams, and close once the last one is over."""
        self._retired = True

    def doubt(self) -> None:
        """Take no more streams until `trust`: the peer has to show that it still answers."""
        self._doubts += 1

    def trust(self) -> None:
        """Learn that it did; as often as `doubt`."""
        self._doubts -= 1

    def close(self) -> None:
        """End the connection and every stream on it; `gone` is done when it is gone."""
        self._retired = True
        self._fail(UpstreamError("draining", "the transport is closed"))
        if self._crt is None:
            self._on_gone(None)
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
        """Pass the peer's settings on; the first callback of a connection on the CRT's thread."""
        _keep_thread_state()
        self._pool.inbox.put(self._on_settings, found)

    def _on_connected(self, done: "Future[http.Http2ClientConnection]") -> None:
        error = done.exception()
        if error is not None:
            self._fail(from_crt(getattr(error, "name", type(error).__name__)))
            return
        self._crt = done.result()
        self._crt.shutdown_future.add_done_callback(
            lambda gone: self._pool.inbox.put(self._on_gone, gone)
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
        self._stop_waiting()
        if not self.opened.done():
            self.opened.set_result(None)

    def _on_timeout(self) -> None:
        self._fail(UpstreamError("connect-timeout"))

    def _fail(self, error: UpstreamError) -> None:
        self._stop_waiting()
        if not self.opened.done():
            self._retired = True
            self._pool.forget(self)
            self.opened.set_exception(error)

    def _on_gone(self, _: object) -> None:
        self._pool.forget(self)
        self._retired = True
        self._crt = None  # it refers to us, out of the garbage collector's sight
        if not self.gone.done():
            self.gone.set_result(None)

    def _stop_waiting(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._probing is not None:
            self._probing.cancel()

    def _start_probe(self) -> None:
        self._probing = self._loop.create_task(self._probe_tls())

    async def _probe_tls(self) -> None:
        """Report a certificate we do not trust as such, long before the CRT does."""
        url = self._pool.url
        try:
            _, writer = await asyncio.open_connection(
                url.hostname, url.port or 443, ssl=self._pool.trust
            )
        except ssl.SSLCertVerificationError as error:
            self._fail(UpstreamError("tls-untrusted", f"verify code {error.verify_code}"))
        except OSError:
            return  # the CRT says what it is
        else:
            writer.transport.abort()


def _keep_thread_state() -> None:
    """Let the calling thread of the CRT keep its Python thread state until the process ends.

    The CRT takes the GIL anew for every callback. A thread without a state gets one each time, and
    its stack by mmap, and loses both: half of what the CRT's thread costs, four times a message.
    """
    ctypes.pythonapi.PyGILState_Ensure()  # never released, on purpose
