"""Redis over TLS: a private CA, a client certificate, and reports of TLS failures."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.publishing.redis_store import probe_writes
from gateway.redis_client.check import check
from gateway.redis_client.client import create_client
from gateway.redis_client.commands import execute
from tests.gateway.ingress.remembered import claims_in
from tests.gateway.publishing.publisher_harness import (
    PARTITIONS,
    client_of,
    final,
    open_stream,
    publisher_at,
)
from tests.redis_servers import free_port
from tests.tcp_proxy import TcpProxy
from tests.waiting import eventually

_REFUSED = "refuses the connection: TLS: "


class Certificates(NamedTuple):
    """Files in PEM format."""

    ca: Path
    client: Path
    strange_ca: Path
    strange_client: Path


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    files = Certificates(*(folder / f"{name}.pem" for name in Certificates._fields))
    strange = trustme.CA()
    for ca, ca_file, client_file in (
        (authority, files.ca, files.client),
        (strange, files.strange_ca, files.strange_client),
    ):
        ca.cert_pem.write_to_path(str(ca_file))
        issued = ca.issue_cert("gateway@example.com")
        issued.private_key_and_cert_chain_pem.write_to_path(str(client_file))
    return files


def server_side(
    authority: trustme.CA, host: str = "127.0.0.1", *, asks: bool = False, tls_1_2: bool = False
) -> ssl.SSLContext:
    """Return a server's TLS context for `host`; if `asks`, it requires a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    if tls_1_2:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def with_files(port: int, ca: Path, client: Path | None = None, scheme: str = "rediss") -> str:
    url = f"{scheme}://127.0.0.1:{port}?ssl_ca_certs={ca}"
    return f"{url}&ssl_certfile={client}&ssl_keyfile={client}" if client else url


@pytest.mark.parametrize("asks", [False, True], ids=["server's certificate", "both certificates"])
@pytest.mark.parametrize("tls_1_2", [False, True], ids=["TLS 1.3", "TLS 1.2"])
async def test_commands_and_events_work_over_tls(
    redis_url: str,
    authority: trustme.CA,
    files: Certificates,
    asks: bool,
    tls_1_2: bool,
) -> None:
    context = server_side(authority, asks=asks, tls_1_2=tls_1_2)
    async with TcpProxy(port_of(redis_url), context) as front:
        url = with_files(front.port, files.ca, files.client if asks else None)
        async with client_of(url) as client:
            await check(client)
            assert await probe_writes(client, PARTITIONS, 5) == [None]
            assert await claims_in(client)("key", 60)
            assert not await claims_in(client)("key", 60)
        async with publisher_at(url) as publisher:
            open_stream(publisher, "CA1").publish(final("a"))
            await eventually(lambda: not publisher.buffered_events)


async def test_unknown_ca_is_reported(
    redis_url: str, authority: trustme.CA, files: Certificates
) -> None:
    async with TcpProxy(port_of(redis_url), server_side(authority)) as front:
        for url in (with_files(front.port, files.strange_ca), f"rediss://127.0.0.1:{front.port}"):
            assert await refusal_at(url) == f"{_REFUSED}unknown CA"


async def test_wrong_host_name_is_reported(
    redis_url: str, authority: trustme.CA, files: Certificates
) -> None:
    async with TcpProxy(port_of(redis_url), server_side(authority, "redis.example.com")) as front:
        assert await refusal_at(with_files(front.port, files.ca)) == f"{_REFUSED}host name"


async def test_expired_certificate_is_reported(
    redis_url: str, authority: trustme.CA, files: Certificates
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    authority.issue_cert("127.0.0.1", not_after=past).configure_cert(context)
    async with TcpProxy(port_of(redis_url), context) as front:
        assert (
            await refusal_at(with_files(front.port, files.ca)) == f"{_REFUSED}certificate expired"
        )


@contextlib.contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[int]:
    """Run a server that only completes handshakes, with OpenSSL's alerts; yield its port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


@pytest.mark.parametrize("tls_1_2", [False, True], ids=["TLS 1.3", "TLS 1.2"])
async def test_missing_or_unknown_client_certificate_is_reported(
    authority: trustme.CA,
    files: Certificates,
    tls_1_2: bool,
) -> None:
    with strict_server(server_side(authority, asks=True, tls_1_2=tls_1_2)) as port:
        refusal = await refusal_at(with_files(port, files.ca))
        assert refusal.startswith(f"{_REFUSED}certificate needed")
        refusal = await refusal_at(with_files(port, files.ca, files.strange_client))
        assert refusal == f"{_REFUSED}client certificate of an unknown CA"


async def test_connection_closed_without_an_alert_is_reported_as_unavailable(
    redis_url: str, authority: trustme.CA, files: Certificates
) -> None:
    """It may be a proxy whose Redis is unavailable, which must not prevent startup."""
    async with TcpProxy(port_of(redis_url), server_side(authority, asks=True)) as front:
        async with client_of(with_files(front.port, files.ca)) as client:
            with pytest.raises(PublishError, match="a client certificate may be needed") as caught:
                await check(client)
            assert caught.value.reason == "redis-unavailable"
        async with client_of(with_files(front.port, files.ca, files.strange_client)) as client:
            with pytest.raises(PublishError, match="the client certificate may be refused"):
                await check(client)


async def test_tls_failure_of_a_cluster_is_reported(
    redis_cluster_nodes: tuple[str, ...], authority: trustme.CA, files: Certificates
) -> None:
    async with TcpProxy(port_of(redis_cluster_nodes[0]), server_side(authority)) as front:
        url = with_files(front.port, files.strange_ca, scheme="rediss+cluster")
        assert await refusal_at(url) == f"{_REFUSED}unknown CA"


async def test_tls_failure_of_a_command_can_be_retried(
    redis_url: str, authority: trustme.CA, files: Certificates
) -> None:
    """While a certificate is being replaced, events wait and the reason is reported."""
    async with (
        TcpProxy(port_of(redis_url), server_side(authority)) as front,
        client_of(with_files(front.port, files.strange_ca)) as client,
    ):
        with pytest.raises(PublishError) as caught:
            await execute(client, "SET", "a", "b", timeout_s=20)
    assert (caught.value.reason, caught.value.detail) == ("redis-unavailable", "TLS: unknown CA")


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster", "rediss+sentinel"])
def test_unusable_certificate_file_is_a_settings_error(
    scheme: str, name: str, tmp_path: Path
) -> None:
    """Symptom: it looked as if Redis was unavailable."""
    path = "/calls" if "sentinel" in scheme else ""
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    for file in (tmp_path / "missing.pem", broken):
        with pytest.raises(SettingsError, match=name):
            create_client(f"{scheme}://:secret@127.0.0.1:{free_port()}{path}?{name}={file}")


def test_tls_parameters_without_rediss_are_rejected() -> None:
    with pytest.raises(SettingsError, match="rediss"):
        create_client("redis://127.0.0.1?ssl_ca_certs=/etc/ca.pem")


async def refusal_at(url: str) -> str:
    """Return the error that `check` reports for a URL, after the address."""
    async with client_of(url) as client:
        with pytest.raises(PublishError) as caught:
            await check(client)
        with pytest.raises(PublishError):
            await execute(client, "SET", "a", "b", timeout_s=20)
    assert caught.value.reason == "redis-refused"
    return caught.value.detail.partition(f":{url.partition('?')[0].rpartition(':')[2]} ")[2]
