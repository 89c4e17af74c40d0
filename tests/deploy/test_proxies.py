"""The samples in deploy/proxy work with the real proxies and log no tokens."""

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector, WSServerHandshakeError
from aiohttp.abc import AbstractResolver, ResolveResult
from structlog.testing import capture_logs

from gateway.carriers.auth.signatures import twilio as signature
from gateway.carriers.carrier import StreamLink
from gateway.carriers.vendors.browser import Browser
from gateway.carriers.vendors.twilio import Twilio
from gateway.redis_client.client import create_client
from gateway.transcript.events import StreamStarted
from tests.gateway.ingress.served import NOW_S, Served, serving
from tests.redis_servers import free_port
from tests.waiting import eventually
from tests.workers.relay.a_relay import Calls, Feed, link_token, running
from workers.relay.sign_in.cross_site import HEADER, VALUE

SAMPLES = Path(__file__).parents[2] / "deploy/proxy"
HOST = "localhost"
RELAY_HOST = "relay.example.com"
SECRET = "a-secret-of-the-operator"
AUTH_TOKEN = "an-auth-token"
LIMIT_S = 30.0


@dataclass
class Front:
    """A running proxy in front of a gateway."""

    gateway: Served
    http: ClientSession
    port: int
    tls: ssl.SSLContext
    folder: Path

    @property
    def logged(self) -> str:
        """Content of all log files of the proxy."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


class Upstreams(NamedTuple):
    """The ports to which a proxy forwards."""

    gateway: int
    relay: int


def render(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        assert old in text, f"the sample has no {old}"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, ports: Upstreams, pem: dict[str, Path]) -> Sequence[str]:
    text = render(
        (SAMPLES / "nginx.conf").read_text(),
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "listen [::]:443 ssl;": "",
            "calls.example.com": HOST,
            "127.0.0.1:8000": f"127.0.0.1:{ports.gateway}",
            "127.0.0.1:8100": f"127.0.0.1:{ports.relay}",
            "/etc/nginx/tls/fullchain.pem": str(pem["chain"]),
            "/etc/nginx/tls/privkey.pem": str(pem["key"]),
            "/var/log/nginx": str(folder),
            "client_header_timeout 10s": "client_header_timeout 1s",
            "http {": "http { "
            + " ".join(
                # Debian's defaults are folders that exist only if nginx is installed.
                f"{kind}_temp_path {folder}/{kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        },
    )
    path = folder / "nginx.conf"
    path.write_text(text)
    options = f"daemon off; pid {folder}/nginx.pid;"
    return ["-p", str(folder), "-e", str(folder / "start.log"), "-c", str(path), "-g", options]


def caddy(folder: Path, port: int, ports: Upstreams, pem: dict[str, Path]) -> Sequence[str]:
    text = render(
        (SAMPLES / "Caddyfile").read_text(),
        {
            "\tservers {": "\tadmin off\n\tauto_https disable_redirects\n\tservers {",
            "\nrelay.example.com {": (
                f"\nhttps://{RELAY_HOST}:{port} {{\n\ttls {pem['chain']} {pem['key']}"
            ),
            "calls.example.com {": f"https://{HOST}:{port} {{\n\ttls {pem['chain']} {pem['key']}",
            "127.0.0.1:8000": f"127.0.0.1:{ports.gateway}",
            "127.0.0.1:8100": f"127.0.0.1:{ports.relay}",
            "read_header 10s": "read_header 1s",
            "grace_period 1890s": "grace_period 1s",
        },
    )
    path = folder / "Caddyfile"
    path.write_text(text)
    return ["run", "--config", str(path), "--adapter", "caddyfile"]


PROXIES: dict[str, Any] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: ./run test fetches it on Debian as root")
    return name


def certificate(folder: Path) -> tuple[ssl.SSLContext, dict[str, Path]]:
    authority = trustme.CA()
    issued = authority.issue_cert(HOST, RELAY_HOST, "127.0.0.1")
    pem = {"chain": folder / "chain.pem", "key": folder / "key.pem"}
    issued.private_key_pem.write_to_path(pem["key"])
    for blob in issued.cert_chain_pems:
        blob.write_to_path(pem["chain"], append=True)
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    return tls, pem


@asynccontextmanager
async def in_front(name: str, folder: Path, relay_port: int = 0) -> AsyncIterator[Front]:
    port = free_port()
    carriers = (
        Browser(Browser.Settings(_env_file=None, secret=SECRET)),
        Twilio(
            Twilio.Settings(_env_file=None, auth_token=AUTH_TOKEN, dial="+15551234567"),
        ),
    )
    tls, pem = certificate(folder)
    served = Served(*carriers, public_url=f"https://{HOST}:{port}")
    async with serving(served) as gateway:
        ports = Upstreams(gateway.runner.addresses[0][1], relay_port or free_port())
        arguments = PROXIES[name](folder, port, ports, pem)
        with (folder / "output.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                name,
                *arguments,
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": str(folder)},
            )
            try:
                await until_listening(process, port, folder / "output.log")
                async with ClientSession(
                    f"https://{HOST}:{port}", connector=TCPConnector(ssl=tls)
                ) as http:
                    yield Front(gateway, http, port, tls, folder)
            finally:
                if process.returncode is None:
                    process.terminate()
                await asyncio.wait_for(process.wait(), LIMIT_S)


async def until_listening(process: Process, port: int, output: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            assert process.returncode is None, read(output)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


def with_token(front: Front) -> tuple[str, str]:
    """Issue a token; return the URL's path with the token, and the token."""
    browser = Browser(Browser.Settings(_env_file=None, secret=SECRET))
    link = StreamLink(f"wss://{HOST}:{front.port}/media/browser", "default", is_certain=True)
    url = browser.authenticator.url_with_token(link, None, NOW_S)
    return url.partition(str(front.port))[2], url.rpartition("/")[2]


def read(path: Path) -> str:
    return path.read_text()


async def test_a_call_passes_and_its_token_is_not_logged(proxy: str, tmp_path: Path) -> None:
    async with in_front(proxy, tmp_path) as front:
        path, token = with_token(front)
        async with front.http.ws_connect(path) as socket:
            start = {"type": "start", "call_id": "CA1", "stream_id": "S1", "rate": 16000}
            await socket.send_json(start)
            for _ in range(5):
                await socket.send_bytes(bytes(640))
            await eventually(
                lambda: any(isinstance(event, StreamStarted) for event in front.gateway.events)
            )
        await front.gateway.end()
        query = f"/media/browser?tok={token}"
        with pytest.raises(WSServerHandshakeError):
            await front.http.ws_connect(query + "-forged")
        await eventually(lambda: front.logged.count("/media/browser") >= 2)
        assert token not in front.logged
        assert SECRET not in front.logged


async def test_a_signed_webhook_is_accepted(proxy: str, tmp_path: Path) -> None:
    """The signature covers the URL, so scheme, host, port and path must be forwarded unchanged."""
    async with in_front(proxy, tmp_path) as front:
        form = {"CallSid": "CA1", "To": "+15550000001"}
        url = f"https://{HOST}:{front.port}/voice/twilio"
        headers = {signature.SIGNATURE_HEADER: signature.sign(AUTH_TOKEN, url, form.items())}
        async with front.http.post("/voice/twilio", data=form, headers=headers) as response:
            assert response.status == 200
            assert b"<Stream" in await response.read()
        forged = {signature.SIGNATURE_HEADER: "A" * 28}
        with capture_logs() as logs:
            async with front.http.post("/voice/twilio", data=form, headers=forged) as response:
                assert response.status == 403
        [line] = [line for line in logs if line["event"] == "request-refused"]
        assert (line["checked_url"], line["host_matches"]) == (url, True)


async def test_only_carrier_paths_are_forwarded(proxy: str, tmp_path: Path) -> None:
    async with in_front(proxy, tmp_path) as front:
        for path in ("/", "/metrics", "/readyz", "/calls"):
            async with front.http.get(path) as response:
                assert response.status == 404
        assert front.gateway.metric("refused_requests_total", carrier="unknown") is None


async def test_a_slow_client_is_disconnected(proxy: str, tmp_path: Path) -> None:
    async with in_front(proxy, tmp_path) as front:
        reader, writer = await asyncio.open_connection(HOST, front.port, ssl=front.tls)
        writer.write(b"GET /media/browser HTTP/1.1\r\nHost: ")
        await asyncio.wait_for(reader.read(), LIMIT_S)  # until the proxy closes
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_no_token_is_in_the_error_log_if_the_gateway_is_unreachable(
    proxy: str, tmp_path: Path
) -> None:
    async with in_front(proxy, tmp_path) as front:
        path, token = with_token(front)
        await front.gateway.runner.cleanup()
        with pytest.raises(WSServerHandshakeError) as refused:
            await front.http.ws_connect(path)
        assert refused.value.status == 502
        await eventually(lambda: "/media/browser" in front.logged)
        assert token not in front.logged


class Loopback(AbstractResolver):
    """Resolves all names to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Close nothing."""


async def test_each_event_of_a_relay_passes_at_once_and_no_url_is_logged(
    proxy: str, tmp_path: Path, redis_url: str
) -> None:
    """Symptom to prevent: a proxy collects a feed, which never ends, before it forwards it."""
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url) as relay,
        in_front(proxy, tmp_path, urlsplit(relay.url).port or 0) as front,
        ClientSession(
            f"https://{RELAY_HOST}:{front.port}",
            connector=TCPConnector(ssl=front.tls, resolver=Loopback()),
            headers={HEADER: VALUE},
        ) as http,
    ):
        calls = Calls(client)
        await calls.start("CA1")
        async with http.post("/api/session", json={"token": link_token()}) as response:
            assert response.status == 200
            assert "max-age" in response.headers["Strict-Transport-Security"]
        async with http.get("/api/calls/CA1/events") as response:
            feed = Feed(response)
            assert [each.data["n"] for each in await feed.take(1)] == [1]
            for number in range(2, 5):
                await calls.say("CA1", "word")
                assert [each.data["n"] for each in await feed.take(1)] == [number]
        async with http.ws_connect("/api/calls/CA1/events?after=1-0") as socket_:
            assert "stream.started" in await socket_.receive_str(timeout=LIMIT_S)
        async with http.get("/api/calls", params={"q": "secret words"}) as response:
            assert response.status == 200
        for path in ("/metrics", "/links"):
            async with http.get(path) as response:
                assert response.status == 404
    for logged in ("CA1", "secret"):
        assert logged not in front.logged
