"""Log lines and metrics of refused requests, which the client does not receive."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from gateway.carriers.auth.signatures import twilio as signature
from gateway.carriers.vendors.browser import Browser
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.carriers.vendors.twilio import Twilio
from tests.gateway.ingress.served import PUBLIC_URL, Served, serving

AUTH_TOKEN = "an-auth-token"
SECRET = "a-secret-of-the-operator"
FORM = [("CallSid", "CA1"), ("To", "+15550000001")]
MEDIA_URL = PUBLIC_URL.replace("https", "wss") + "/media/twilio"


def twilio(**settings: Any) -> Twilio:
    values = {"auth_token": AUTH_TOKEN, "dial": "+15551234567", **settings}
    return Twilio(Twilio.Settings(_env_file=None, **values))


def browser() -> Browser:
    return Browser(Browser.Settings(_env_file=None, secret=SECRET))


def refused(logs: list[Any]) -> dict[str, Any]:
    [found] = [line for line in logs if line["event"] == "request-refused"]
    return dict(found)


class TestSignatureForAnotherUrl:
    @pytest.mark.parametrize("url", ["http://10.0.0.5:8000/voice/twilio", f"{PUBLIC_URL}:8443"])
    async def test_webhook_logs_the_checked_url(self, url: str) -> None:
        """Symptom: `signature-invalid`, without the URL that was checked."""
        async with serving(Served(twilio())) as gateway:
            headers = {
                signature.SIGNATURE_HEADER: signature.sign(AUTH_TOKEN, url, FORM),
                "Content-Type": "application/x-www-form-urlencoded",
                "Host": "gw.example.com",
            }
            with capture_logs() as logs:
                async with gateway.client.post(
                    "/voice/twilio", data=urlencode(FORM), headers=headers
                ) as response:
                    answer = await response.text()
            assert (response.status, answer) == (403, "forbidden\n")
        line = refused(logs)
        assert (line["carrier"], line["reason"]) == ("twilio", "signature-invalid")
        assert line["checked_url"] == f"{PUBLIC_URL}/voice/twilio"
        assert line["host_matches"] is True
        assert "Set GATEWAY_PUBLIC_URL to the URL that the carrier calls" in line["hint"]

    @pytest.mark.parametrize(
        ("path", "checked"),
        [
            ("", ""),
            ("?secret=hush", "?<query>"),
            ("/", "/"),
            ("/default", "/default"),
            ("/default/", "/default/"),
            ("/default/hush-token", "/default/<token>"),
            ("/hush-route/hush-token?a=hush", "/<route>/<token>?<query>"),
        ],
    )
    async def test_upgrade_logs_the_checked_url_without_secrets(
        self, path: str, checked: str
    ) -> None:
        async with serving(Served(twilio())) as gateway:
            signed = signature.sign(AUTH_TOKEN, "wss://other.example.com/media/twilio")
            with capture_logs() as logs:
                headers = {signature.SIGNATURE_HEADER: signed}
                assert await gateway.refusal("/media/twilio" + path, headers) == 403
        line = refused(logs)
        assert line["checked_url"] == MEDIA_URL + checked
        assert line["host_matches"] is False
        assert "hush" not in str(logs)
        assert signed not in str(logs)

    async def test_status_callback_logs_the_checked_url(self) -> None:
        async with serving(Served(twilio())) as gateway:
            headers = {
                signature.SIGNATURE_HEADER: "A" * 28,
                "Content-Type": "application/x-www-form-urlencoded",
            }
            with capture_logs() as logs:
                async with gateway.client.post(
                    "/voice/twilio/status", data=urlencode(FORM), headers=headers
                ) as response:
                    assert response.status == 403
        assert refused(logs)["checked_url"] == f"{PUBLIC_URL}/voice/twilio/status"


class TestMissingUpgrade:
    @pytest.mark.parametrize(
        ("headers", "wrong"),
        [
            ({}, "Upgrade, Connection, Sec-WebSocket-Key, Sec-WebSocket-Version"),
            ({"Connection": "close", "Sec-WebSocket-Key": "a"}, "Upgrade, Connection, Sec-"),
            ({"Upgrade": "h2c", "Connection": "Upgrade"}, "Upgrade, Sec-WebSocket-Key"),
            ({"Upgrade": "websocket", "Connection": "keep-alive"}, "wrong: Connection, Sec-"),
        ],
    )
    async def test_wrong_headers_are_logged_and_counted(
        self, headers: dict[str, str], wrong: str
    ) -> None:
        """Symptom: behind a proxy that drops the headers: 400, but no log line and no metric."""
        async with serving(Served(browser())) as gateway:
            with capture_logs() as logs:
                async with gateway.client.get(
                    "/media/browser", headers={"Authorization": f"Bearer {SECRET}", **headers}
                ) as response:
                    assert response.status == 400
                    assert "Upgrade" not in await response.text()
            labels = {"carrier": "browser", "reason": "not-an-upgrade"}
            assert gateway.metric("refused_requests_total", **labels) == 1
        line = refused(logs)
        assert line["reason"] == "not-an-upgrade"
        assert line["detail"].startswith("HTTP/1.1, missing or wrong: ")
        assert wrong in line["detail"]
        assert "docs/proxy.md" in line["hint"]

    async def test_http_1_0_is_logged(self) -> None:
        """What nginx sends without `proxy_http_version 1.1`."""
        async with serving(Served(browser())) as gateway:
            port = gateway.runner.addresses[0][1]
            with capture_logs() as logs:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(
                    b"GET /media/browser HTTP/1.0\r\nHost: a\r\nConnection: close\r\n"
                    b"Authorization: Bearer " + SECRET.encode() + b"\r\n\r\n"
                )
                assert b" 400 " in await asyncio.wait_for(reader.readline(), 20)
                writer.close()
                await writer.wait_closed()
        assert refused(logs)["detail"].startswith("HTTP/1.0, missing or wrong: Upgrade")

    async def test_authentication_precedes_the_header_check(self) -> None:
        async with serving(Served(browser())) as gateway:
            with capture_logs() as logs:
                async with gateway.client.get("/media/browser") as response:
                    assert response.status == 403
        assert refused(logs)["reason"] == "token-missing"


class TestClosedCarriers:
    @pytest.mark.parametrize(
        ("method", "path", "carrier", "needs"),
        [
            ("GET", "/media/twilio", "twilio", "GATEWAY_TWILIO_AUTH_TOKEN"),
            ("GET", "/media/twilio/default/hush", "twilio", "GATEWAY_TWILIO_AUTH_TOKEN"),
            ("POST", "/voice/twilio", "twilio", "GATEWAY_TWILIO_AUTH_TOKEN"),
            ("POST", "/voice/twilio/status", "twilio", "GATEWAY_TWILIO_AUTH_TOKEN"),
            ("GET", "/voice/twilio", "twilio", "GATEWAY_TWILIO_AUTH_TOKEN"),
            ("GET", "/media/telnyx", "telnyx", "GATEWAY_TELNYX_SECRET"),
            ("GET", "/media/genesys", "genesys", "GATEWAY_GENESYS_API_KEYS"),
        ],
    )
    async def test_missing_setting_is_logged(
        self, method: str, path: str, carrier: str, needs: str
    ) -> None:
        """Symptom: a call to a disabled /voice/x got 404 without a log line."""
        closed = [
            Twilio(Twilio.Settings(_env_file=None)),
            Telnyx(Telnyx.Settings(_env_file=None)),
            Genesys(Genesys.Settings(_env_file=None)),
        ]
        async with serving(Served(*closed)) as gateway:
            with capture_logs() as logs:
                async with gateway.client.request(method, path) as response:
                    assert response.status == 404
                    assert "GATEWAY" not in await response.text()
            labels = {"carrier": carrier, "reason": "carrier-not-open"}
            assert gateway.metric("refused_requests_total", **labels) == 1
        line = refused(logs)
        assert (line["log_level"], line["reason"]) == ("warning", "carrier-not-open")
        assert (line["carrier"], line["needs"]) == (carrier, needs)
        assert "hush" not in str(logs)

    async def test_webhook_without_dial_setting_is_logged(self) -> None:
        half = Plivo(Plivo.Settings(_env_file=None, auth_token=AUTH_TOKEN))
        async with serving(Served(half)) as gateway:
            with capture_logs() as logs:
                async with gateway.client.post("/voice/plivo") as response:
                    assert response.status == 404
        line = refused(logs)
        assert line["reason"] == "webhook-not-open"
        assert line["needs"] == "GATEWAY_PLIVO_DIAL or GATEWAY_PLIVO_REDIRECT_URL"


class TestUnservedRequests:
    @pytest.mark.parametrize("path", ["/", "/hush", "/media/hush", "/voice/hush?a=hush", "/media"])
    async def test_unknown_paths_are_counted_and_not_quoted(self, path: str) -> None:
        async with serving(Served(twilio())) as gateway:
            with capture_logs() as logs:
                async with gateway.client.get(path) as response:
                    assert response.status == 404
            labels = {"carrier": "unknown", "reason": "unknown-path"}
            assert gateway.metric("refused_requests_total", **labels) == 1
        line = refused(logs)
        assert (line["log_level"], line["carrier"]) == ("info", "unknown")
        assert "hush" not in str(logs)

    async def test_wrong_method_is_logged(self) -> None:
        async with serving(Served(twilio())) as gateway:
            with capture_logs() as logs:
                async with gateway.client.put("/voice/twilio") as response:
                    assert response.status == 405
        line = refused(logs)
        assert (line["carrier"], line["reason"]) == ("twilio", "wrong-method")

    async def test_too_big_body_is_logged(self) -> None:
        async with serving(Served(twilio())) as gateway:
            with capture_logs() as logs:
                body = b"x" * 100_000
                async with gateway.client.post("/voice/twilio", data=body) as response:
                    assert response.status == 413
        assert refused(logs)["reason"] == "body-too-big"


async def test_repeated_refusals_are_counted_and_logged_once() -> None:
    async with serving(Served(twilio(), browser())) as gateway:
        with capture_logs() as logs:
            for _ in range(5):
                assert await gateway.refusal("/media/twilio") == 403
            assert await gateway.refusal("/media/browser") == 403
        for carrier, reason, count in (
            ("twilio", "signature-missing", 5),
            ("browser", "token-missing", 1),
        ):
            labels = {"carrier": carrier, "reason": reason}
            assert gateway.metric("refused_requests_total", **labels) == count
    lines = [line for line in logs if line["event"] == "request-refused"]
    assert [(line["carrier"], line["suppressed"]) for line in lines] == [
        ("twilio", 0),
        ("browser", 0),
    ]
