"""The admin API over real HTTP: authorization, responses, and the audit line of each action."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse, ClientSession, web
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from yarl import URL

from gateway.admission.routes import load_routes
from gateway.calls.registry import LiveStreams
from gateway.calls.snapshot import StreamSnapshot, TrackSnapshot
from gateway.calls.termination import Termination
from gateway.carriers.vendors.browser import Browser
from gateway.ingress.admin_api import AdminApi, path_call_id
from gateway.ingress.admin_tokens import read_tokens
from gateway.ingress.token_issuer import TokenIssuer
from gateway.settings import Settings
from gateway.transcript.events import Status
from gateway.transcript.keys import encode_id

SCOPES = ("read", "terminate", "drain", "mint")
READ, TERMINATE, DRAIN, MINT = (f"{scope}-0123456789abcdef" for scope in SCOPES)
TOKENS = {
    "reader": {"token": READ, "scopes": ["read"]},
    "ender": {"token": TERMINATE, "scopes": ["terminate"]},
    "drainer": {"token": DRAIN, "scopes": ["drain"]},
    "minter": {"token": MINT, "scopes": ["mint"]},
}

SECRET = "a-secret-of-the-operator"


class Action(NamedTuple):
    """What may be asked, and what its audit line names."""

    name: str
    method: str
    path: str
    token: str  # that may
    call_id: str | None = None
    body: str | None = None


ACTIONS = [
    Action("list", "GET", "/calls", READ),
    Action("read", "GET", "/calls/CA1", READ, "CA1"),
    Action("terminate", "DELETE", "/calls/CA1", TERMINATE, "CA1"),
    Action("drain", "POST", "/drain", DRAIN),
    Action(
        "mint",
        "POST",
        "/stream-tokens",
        MINT,
        "CA1",
        '{"carrier": "browser", "call_id": "CA1"}',
    ),
]
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)

TRACK = TrackSnapshot(
    track="inbound",
    role="customer",
    state="live",
    endpoint="main",
    position_ms=4000,
    answered_ms=3600,
    lag_ms=400,
    buffered_ms=80,
    reconnects=1,
    rollovers=2,
    segments=3,
    gap_ms=20,
    first_audio_s=0.25,
    first_partial_s=None,
    suspected_encoding="pcma",
)


class Stream:
    """A live stream of call CA1, or of another."""

    def __init__(self, call_id: str, stream_id: str, carrier: str = "twilio") -> None:
        self.call_id = encode_id(call_id)
        self.carrier = carrier
        self.stream_id = stream_id
        self.terminations: list[Termination] = []

    def fail_unreachable(self, after_s: float) -> None:
        pass

    def end(self, termination: Termination) -> None:
        self.terminations.append(termination)

    def snapshot(self) -> StreamSnapshot:
        return StreamSnapshot(
            call_id=self.call_id,
            stream_id=self.stream_id,
            carrier=self.carrier,
            tenant="acme",
            state="live",
            epoch=1_792_577_216_123,
            age_s=5.0004,
            idle_s=0.0,
            tracks=(TRACK,),
        )


class Gateway:
    """The private port's application, with streams that do nothing."""

    client: ClientSession

    def __init__(self) -> None:
        self.streams = LiveStreams(9)
        self.live = [Stream("CA1", "MZ1"), Stream("a/b {ü}%2F", "MZ2"), Stream("CA1", "MZ3")]
        app = web.Application(client_max_size=65_536)
        browser = Browser(Browser.Settings(_env_file=None, secret=SECRET))
        settings = Settings(
            _env_file=None,
            public_url="https://gw.example.com",
            upstream="websocket",
            realtime_url="ws://127.0.0.1:1/v1/realtime",
        )
        issuer = TokenIssuer(
            [browser], settings, lambda: load_routes(settings), lambda: 1_792_577_216.5
        )
        AdminApi(read_tokens(json.dumps(TOKENS)), self.streams, issuer).add_to(app)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: str | bytes | None = None,
        **headers: str,
    ) -> ClientResponse:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{self.runner.addresses[0][1]}{path}"
        response = await self.client.request(
            method, URL(url, encoded=True), headers=headers, data=body
        )
        await response.read()
        return response


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.runner.setup()
    await web.TCPSite(gateway.runner, "127.0.0.1", 0).start()
    with ExitStack() as stack:
        for stream in gateway.live:
            stack.enter_context(gateway.streams.admit())
            stack.enter_context(gateway.streams.hold(stream))
        async with ClientSession() as gateway.client:
            yield gateway
    await gateway.runner.cleanup()


@pytest.fixture
def audit() -> Iterator[list[Any]]:
    """The lines of the audit log."""
    with capture_logs() as logs:
        yield logs


class TestAuthorization:
    @each_action
    async def test_token_with_scope_is_accepted(
        self, gateway: Gateway, audit: list[Any], action: Action
    ) -> None:
        response = await gateway.ask(action.method, action.path, action.token, action.body)
        assert response.status in (200, 202)
        assert response.content_type == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        (line,) = audit
        who = next(name for name, grant in TOKENS.items() if grant["token"] == action.token)
        assert line == {
            "event": "admin-action",
            "log_level": "info",
            "who": who,
            "action": action.name,
            "call_id": action.call_id,
            "outcome": "ok",
        }

    @each_action
    async def test_token_without_scope_is_forbidden(
        self, gateway: Gateway, audit: list[Any], action: Action
    ) -> None:
        other = READ if action.token != READ else DRAIN
        response = await gateway.ask(action.method, action.path, other, action.body)
        assert response.status == 403
        scope = action.token.partition("-")[0]
        challenge = f'Bearer realm="callscribe", error="insufficient_scope", scope="{scope}"'
        assert response.headers["WWW-Authenticate"] == challenge
        assert [(line["who"], line["action"], line["outcome"]) for line in audit] == [
            ("reader" if other == READ else "drainer", action.name, "forbidden")
        ]
        assert not gateway.streams.draining
        assert gateway.live[0].terminations == []

    @each_action
    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer no-such-token", "Basic {}", "{}"])
    async def test_request_without_valid_token_is_unauthorized(
        self, gateway: Gateway, audit: list[Any], action: Action, header: str
    ) -> None:
        headers = {"Authorization": header.format(action.token)} if header else {}
        response = await gateway.ask(action.method, action.path, None, action.body, **headers)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="callscribe"'
        assert [(line["who"], line["call_id"], line["outcome"]) for line in audit] == [
            (None, None, "unauthorized")
        ]
        assert action.token not in repr(audit)
        assert not gateway.streams.draining
        assert gateway.live[0].terminations == []

    async def test_path_of_unauthenticated_request_is_not_audited(
        self, gateway: Gateway, audit: list[Any]
    ) -> None:
        """Symptom: the log contained the path of unauthenticated requests."""
        for path in ("/calls/+15550109876", "/calls/%0Afake", "/calls/a?token=secret"):
            assert (await gateway.ask("GET", path)).status == 401
            assert (await gateway.ask("PUT", path, "no-such-token")).status == 401
        assert {line["call_id"] for line in audit} == {None}
        assert not re.search("5550109876|fake|secret", repr(audit))

    async def test_authorization_scheme_is_case_insensitive(self, gateway: Gateway) -> None:
        """RFC 9110 section 11.1: the scheme is case-insensitive."""
        response = await gateway.ask("GET", "/calls", Authorization=f"bearer  {READ} ")
        assert response.status == 200


class TestRead:
    async def test_list_returns_all_live_calls(self, gateway: Gateway) -> None:
        response = await gateway.ask("GET", "/calls", READ)
        calls = (await response.json())["calls"]
        assert [call["stream_id"] for call in calls] == ["MZ1", "MZ2", "MZ3"]
        assert calls[1] == {
            "call_id": "a%2Fb%20%7B%C3%BC%7D%252F",
            "stream_id": "MZ2",
            "carrier": "twilio",
            "tenant": "acme",
            "state": "live",
            "started": "2026-10-21T10:06:56.123Z",
            "tracks": ["inbound"],
            "duration_ms": 4000,
            "reconnects": 1,
        }

    async def test_read_returns_all_streams_of_a_call(self, gateway: Gateway) -> None:
        response = await gateway.ask("GET", "/calls/CA1", READ)
        call = await response.json()
        assert call["call_id"] == "CA1"
        assert [stream["stream_id"] for stream in call["streams"]] == ["MZ1", "MZ3"]
        assert call["streams"][0] == {
            "stream_id": "MZ1",
            "carrier": "twilio",
            "tenant": "acme",
            "state": "live",
            "started": "2026-10-21T10:06:56.123Z",
            "age_s": 5.0,
            "duration_ms": 4000,
            "tracks": [
                {
                    "track": "inbound",
                    "role": "customer",
                    "state": "live",
                    "endpoint": "main",
                    "position_ms": 4000,
                    "answered_ms": 3600,
                    "lag_ms": 400,
                    "buffered_ms": 80,
                    "reconnects": 1,
                    "rollovers": 2,
                    "segments": 3,
                    "gap_ms": 20,
                    "first_audio_s": 0.25,
                    "first_partial_s": None,
                    "suspected_encoding": "pcma",
                }
            ],
        }

    async def test_calls_of_two_carriers_with_the_same_id_are_both_returned(
        self, gateway: Gateway
    ) -> None:
        """The path contains only the id; each stream names its carrier."""
        with gateway.streams.hold(Stream("CA1", "MZ1", "plivo")):
            response = await gateway.ask("GET", "/calls/CA1", READ)
            found = [(s["stream_id"], s["carrier"]) for s in (await response.json())["streams"]]
            assert found == [("MZ1", "twilio"), ("MZ3", "twilio"), ("MZ1", "plivo")]
            response = await gateway.ask("DELETE", "/calls/CA1", TERMINATE)
            assert (await response.json())["ending"] == ["MZ1", "MZ3", "MZ1"]

    async def test_call_id_of_events_is_accepted_as_path(self, gateway: Gateway) -> None:
        """Symptom: a call whose id contains braces was not found."""
        for stream in gateway.live:
            response = await gateway.ask("GET", f"/calls/{stream.call_id}", READ)
            assert (await response.json())["call_id"] == stream.call_id

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    @pytest.mark.parametrize("call_id", ["CA2", "a", "a%2Fb", "%FF", "%", "CA1%00", "x" * 5000])
    async def test_unknown_call_is_not_found(
        self, gateway: Gateway, audit: list[Any], method: str, call_id: str
    ) -> None:
        token = READ if method == "GET" else TERMINATE
        response = await gateway.ask(method, f"/calls/{call_id}", token)
        assert response.status == 404
        assert await response.json() == {"error": "no such call here"}
        (line,) = audit
        assert line["outcome"] == "not-found"
        assert len(line["call_id"]) <= 128


@given(st.text(min_size=1, max_size=200))
def test_any_percent_encoding_of_an_id_is_accepted(carrier_id: str) -> None:
    assert path_call_id(quote(carrier_id, safe="")) == encode_id(carrier_id)
    assert path_call_id(quote(carrier_id, safe="!$&'()*+,;=:@")) == encode_id(carrier_id)


class TestTerminateAndDrain:
    async def test_terminate_ends_all_streams_of_the_call(self, gateway: Gateway) -> None:
        response = await gateway.ask("DELETE", "/calls/CA1", TERMINATE)
        assert response.status == 202
        assert await response.json() == {"call_id": "CA1", "ending": ["MZ1", "MZ3"]}
        termination = Termination(Status.COMPLETED, "terminated")
        assert [stream.terminations for stream in gateway.live] == [
            [termination],
            [],
            [termination],
        ]

    async def test_drain_refuses_new_calls_and_keeps_live_ones(self, gateway: Gateway) -> None:
        for _ in range(2):
            response = await gateway.ask("POST", "/drain", DRAIN)
            assert response.status == 202
            assert await response.json() == {"draining": True, "streams": 3}
        assert gateway.streams.draining
        assert [stream.terminations for stream in gateway.live] == [[], [], []]

    async def test_failed_action_is_audited(
        self, gateway: Gateway, audit: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(Stream, "snapshot")
        response = await gateway.ask("DELETE", "/calls/CA1", TERMINATE)
        assert response.status == 500
        assert [line["outcome"] for line in audit if line["event"] == "admin-action"] == ["failed"]


class TestStreamTokens:
    async def test_token_is_issued_with_url_and_expiry(
        self, gateway: Gateway, audit: list[Any]
    ) -> None:
        body = '{"carrier": "browser", "route": "default", "call_id": "a/b"}'
        issued = await (await gateway.ask("POST", "/stream-tokens", MINT, body)).json()
        token = issued.pop("token")
        assert issued == {
            "url": f"wss://gw.example.com/media/browser/default/{token}",
            "tenant": "default",
            "route": "default",
            "expires": "2026-10-21T10:11:56.000Z",
        }
        assert [(line["action"], line["call_id"]) for line in audit] == [("mint", "a%2Fb")]
        assert token not in repr(audit)

    @pytest.mark.parametrize(
        ("body", "status", "outcome"),
        [
            ("", 400, "bad-request"),
            ("{", 400, "bad-request"),
            (b"\xff", 400, "bad-request"),
            ("[]", 400, "bad-request"),
            ('{"route": "default"}', 400, "bad-request"),
            ('{"carrier": "browser", "call_id": ""}', 400, "bad-request"),
            ('{"carrier": "browser", "call_id": 7}', 400, "bad-request"),
            ('{"carrier": "browser", "ttl_s": 9}', 400, "bad-request"),
            ('{"carrier": "browser", "route": "vip"}', 404, "not-found"),
            ('{"carrier": "twilio"}', 404, "not-found"),
            (" " * 70_000, 413, "bad-request"),
        ],
    )
    async def test_invalid_token_request_is_refused(
        self,
        gateway: Gateway,
        audit: list[Any],
        body: str | bytes,
        status: int,
        outcome: str,
    ) -> None:
        response = await gateway.ask("POST", "/stream-tokens", MINT, body)
        assert response.status == status
        assert (await response.json()).keys() == {"error"}
        assert [(line["who"], line["outcome"]) for line in audit] == [("minter", outcome)]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/calls", "GET"),
        ("DELETE", "/calls", "GET"),
        ("PUT", "/calls/CA1", "GET, DELETE"),
        ("GET", "/drain", "POST"),
        ("GET", "/stream-tokens", "POST"),
    ],
)
async def test_other_methods_are_not_allowed(
    gateway: Gateway, audit: list[Any], method: str, path: str, allowed: str
) -> None:
    """Symptom: an unsupported method was answered in plain text and not audited."""
    response = await gateway.ask(method, path, READ)
    assert (response.status, response.headers["Allow"]) == (405, allowed)
    assert await response.json() == {"error": f"the method must be {allowed.replace(', ', ' or ')}"}
    assert (await gateway.ask(method, path)).status == 401
    assert [(line["who"], line["action"], line["outcome"]) for line in audit] == [
        ("reader", None, "not-allowed"),
        (None, None, "unauthorized"),
    ]
