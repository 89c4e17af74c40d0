"""Signatures, TLS, and responses of receivers that do not follow the protocol."""

import asyncio
import base64
import json
import logging
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import CollectorRegistry, generate_latest

from common.settings import SettingsError
from tests.npm import installed
from tests.waiting import eventually
from tests.workers.push.pushing import (
    LOOPBACK,
    OTHER_SECRET,
    SECRET,
    final,
    running,
    settled,
    write,
    write_file,
)
from tests.workers.push.receiver import raw_server, receiving, status
from workers.push.delivery import Result
from workers.push.messages import Message
from workers.push.subscriptions import Endpoint, Subscription, Text
from workers.push.webhook import WebhookAdapter, open_session, post

_HEADERS = {"webhook-id": "m", "callscribe-attempt": "1"}
_BODY = json.dumps({"type": "t", "data": {"call_id": "CA1"}})


def endpoint(url: str, *secrets: str) -> Endpoint:
    keys = tuple(base64.b64decode(each.removeprefix("whsec_")) for each in secrets)
    return Endpoint(Subscription("crm", frozenset(), Text.RAW), url, keys)


async def test_signatures_are_verified_by_the_reference_library_of_another_language() -> None:
    body = json.dumps({"type": "transcript.final", "data": {"call_id": "CA1", "text": "héllo ✓"}})
    message = Message("msg_1", "transcript.final", "CA1", "events", "1-0", body)
    async with receiving() as receiver, open_session([ip_network(LOOPBACK)], 5) as session:
        adapter = WebhookAdapter(session, endpoint(receiver.url, SECRET, OTHER_SECRET))
        assert (await adapter.deliver(message, 3)).is_accepted
        (request,) = receiver.requests
        old = adapter.headers(message, 1, datetime.now(UTC) - timedelta(minutes=6))
    third = "whsec_" + base64.b64encode(bytes(32)).decode()
    cases = [
        {"body": request.body, "headers": dict(request.headers), "secret": SECRET},
        {"body": request.body, "headers": dict(request.headers), "secret": OTHER_SECRET},
        {"body": request.body, "headers": dict(request.headers), "secret": third},
        {"body": request.body + " ", "headers": dict(request.headers), "secret": SECRET},
        {"body": body, "headers": old, "secret": SECRET},  # older than five minutes
    ]
    script = Path(__file__).with_name("verify.mjs")
    package = installed("standardwebhooks", "1.1.1")
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", str(script), str(package)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    message_sent = json.loads(body)
    assert json.loads(done.stdout) == [message_sent, message_sent, None, None, None]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_certificate_is_verified(authority: trustme.CA, ca_file: Path) -> None:
    allowed = [ip_network(LOOPBACK)]
    async with (
        receiving(context=server_context(authority, "127.0.0.1")) as receiver,
        receiving(context=server_context(authority, "crm.example.com")) as other,
    ):
        async with open_session(allowed, 5, ca_file) as session:
            trusted = await post(session, receiver.url, _BODY.encode(), _HEADERS)
            wrong_name = await post(session, other.url, _BODY.encode(), _HEADERS)
        async with open_session(allowed, 5) as session:
            unknown_ca = await post(session, receiver.url, _BODY.encode(), _HEADERS)
    assert trusted == Result(204)
    assert wrong_name == unknown_ca == Result(reason="tls")
    assert len(receiver.requests) == 1


async def test_unusable_ca_file_prevents_startup(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path / "bad.pem"):
        (tmp_path / "bad.pem").write_text("not PEM")
        with pytest.raises(SettingsError, match="WORKER_PUSH_CA_FILE cannot be used"):
            async with open_session([], 5, path):
                pass


@pytest.mark.parametrize(
    ("response", "result"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Result(200)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", Result(200)),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", Result(200)),
        (b"HTTP/1.1 202 OK\r\n\r\n" + bytes(300_000), Result(202)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", Result(302, "redirect")),
        (b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n\r\n", Result(503, "status", 7)),
        (b"HTTP/1.1 503 No\r\nRetry-After: -7\r\n\r\n", Result(503, "status")),
        (b"HTTP/1.1 503 No\r\nRetry-After: \xc2\xb2\r\n\r\n", Result(503, "status")),
        (b"HTTP/1.1 503 No\r\nRetry-After: " + b"9" * 400 + b"\r\n\r\n", Result(503, "status")),
        (b"", Result(reason="connection-lost")),
        (b"HTTP/1.1 2", Result(reason="connection-lost")),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Result(reason="malformed-response")),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
         Result(reason="malformed-response")),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, Result(reason="malformed-response")),
    ],
)  # fmt: skip
async def test_response_of_any_form_is_a_result(response: bytes, result: Result) -> None:
    async with raw_server(response) as url, open_session([ip_network(LOOPBACK)], 5) as session:
        assert await post(session, url, b"{}", _HEADERS) == result


async def test_response_that_does_not_end_does_not_delay_the_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.push.webhook._BODY_S", 0.05)
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nslow"
    async with (
        raw_server(response, keep_open=True) as url,
        open_session([ip_network(LOOPBACK)], 60) as session,
    ):
        assert await post(session, url, b"{}", _HEADERS) == Result(200)


async def test_nothing_listens() -> None:
    async with raw_server(b"") as url:
        pass
    async with open_session([ip_network(LOOPBACK)], 5) as session:
        assert await post(session, url, b"{}", _HEADERS) == Result(reason="connect-refused")


async def test_secrets_and_words_are_in_no_log_metric_or_history(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries: a token in the URL, the secret, words of the call, the receiver's response."""
    caplog.set_level(logging.DEBUG)
    registry = CollectorRegistry()
    async with receiving(status(500, X_Canary="response-canary")) as receiver:
        url = f"{receiver.url}?token=url-canary"
        path = write_file(
            tmp_path, {"crm": {"url": url}, "off": {"url": "http://127.0.0.1:1/url-canary"}}
        )
        async with running(redis_url, path, registry=registry, budget_s=2) as client:
            await write(client, final("CA1", 2, text="word-canary"))
            await settled(client, "crm", 1)
            await settled(client, "off", 1)
            kept: list[Any] = []
            for key in await client.keys("*push:*"):
                if b"queue" not in key and await client.type(key) == b"stream":
                    kept += [key, await client.xrange(key)]
                elif await client.type(key) == b"hash":
                    kept += [key, await client.hgetall(key)]
    text = caplog.text + generate_latest(registry).decode() + str(kept)
    assert "msg_" in str(kept)
    for canary in ("url-canary", SECRET[6:], "word-canary", "response-canary"):
        assert canary not in text


async def test_secret_is_replaced_without_a_lost_message(redis_url: str, tmp_path: Path) -> None:
    """Three starts: the old secret, both, the new one. A receiver that has one accepts each."""
    async with receiving() as receiver:
        for n, secrets in enumerate((["secret"], ["secret", "other"], ["other"]), start=2):
            references = [f"file:{each}" for each in secrets]
            path = write_file(tmp_path, {"crm": {"url": receiver.url, "secrets": references}})
            async with running(redis_url, path) as client:
                await write(client, final("CA1", n))
                await eventually(lambda n=n: len(receiver.requests) == n - 1)  # type: ignore[misc]
    counts = [len(each.headers["webhook-signature"].split()) for each in receiver.requests]
    assert counts == [1, 2, 1]
    first, both, last = [set(e.headers["webhook-signature"].split()) for e in receiver.requests]
    assert len(first | both | last) == 4
