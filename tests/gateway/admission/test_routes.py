"""The routes file: valid and invalid files, and which route a call takes."""

from pathlib import Path
from typing import Any

import pytest

from common.settings import SettingsError
from gateway.admission.routes import DEFAULT_ROUTE, Priority, Routes, Spread, load_routes
from gateway.settings import Settings

ENDPOINTS = """
[endpoints.main]
endpoint = "voxtral"
variant = "blue"
instances = 2
sessions = 8
reserved = 4

[endpoints.spare]
url = "ws://vllm.internal:8000/v1/realtime"
model = "other"
"""
ROUTES = """
[[routes]]
name = "vip"
params = { queue = "vip" }
endpoints = ["spare"]

[[routes]]
name = "critical"
carrier = "twilio"
called = ["+15550000001", "+1555111*"]
endpoints = ["main"]
priority = "high"
spread = "in-order"
max_calls = 3

[[routes]]
name = "rest"
endpoints = ["main", "spare"]
"""
GOOD = ENDPOINTS + ROUTES


def settings(**values: Any) -> Settings:
    base: dict[str, Any] = {
        "public_url": "https://gw.example.com",
        "sagemaker_endpoint": "voxtral",
        "aws_region": "eu-central-1",
    }
    return Settings(_env_file=None, **base | values)


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(text: str) -> Routes:
        path = tmp_path / "routes.toml"
        path.write_text(text)
        return load_routes(settings(routes_file=path))

    return load


class TestFile:
    def test_all_fields_are_read(self, load: Any) -> None:
        routes = load(GOOD)
        main, spare = routes.endpoints["main"], routes.endpoints["spare"]
        assert (main.endpoint, main.variant, main.slots, main.reserved) == (
            "voxtral",
            "blue",
            16,
            4,
        )
        assert (spare.url, spare.model, spare.slots) == (
            "ws://vllm.internal:8000/v1/realtime",
            "other",
            None,
        )
        critical = routes.routes[1]
        assert (critical.priority, critical.spread, critical.max_calls) == (
            Priority.HIGH,
            Spread.IN_ORDER,
            3,
        )

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("[endpoints", "is not valid TOML: "),
            ("", "endpoints: must be set; routes: must be set"),
            (ENDPOINTS, "routes: must be set"),
            (ENDPOINTS + "[[routes]]\nname='a'\nendpoints=[]", "routes[1].endpoints: "),
            (
                ENDPOINTS + "[[routes]]\nname='a'\nendpoints=['main']\nroles={inbound='boss'}",
                "routes[1].roles.inbound: ",
            ),
            (
                ENDPOINTS + "[[routes]]\nname='a'\nendpoints=['nowhere']",
                "route a: no endpoint is named nowhere",
            ),
            (
                ENDPOINTS + "[[routes]]\nname='a'\nendpoints=['main','main']",
                "route a: an endpoint is named twice",
            ),
            (
                ENDPOINTS + "drain = true\n[[routes]]\nname='a'\nendpoints=['spare']",
                "route a: all its endpoints have drain = true",
            ),
            (ENDPOINTS + 2 * "[[routes]]\nname='a'\nendpoints=['main']\n", "named a"),
            (GOOD.replace("priority", "prio"), "routes[2].prio: is not a known setting"),
            (
                GOOD.replace("carrier", "carier"),
                "carier: is not a known setting (did you mean carrier?)",
            ),
            (
                GOOD.replace("instances", "instance"),
                "instance: is not a known setting (did you mean inst",
            ),
            (GOOD.replace("sessions = 8", "sessions = 0"), "sessions: must be more than 0"),
            (GOOD.replace('"high"', "3"), "priority: must be 'normal' or 'high'"),
            (GOOD.replace('"high"', '"highest"'), "routes[2].priority: "),
            (GOOD.replace('name = "vip"', 'name = "v/ip"'), "routes[1].name: "),
            (GOOD.replace('"+1555111*"', '"+1*555"'), "routes[2].called[2]: "),
            (GOOD.replace("max_calls = 3", "max_calls = 0"), "routes[2].max_calls: "),
            (GOOD.replace("instances = 2", "instances = 'x'"), "endpoints.main.instances: "),
            (GOOD.replace("reserved = 4", "reserved = 15"), "endpoints.main: instances x"),
            (GOOD.replace('endpoint = "voxtral"\n', ""), "endpoints.main: needs either"),
            (GOOD.replace("sessions = 8\n", ""), "endpoints.main: reserved needs sessions"),
            (GOOD.replace("ws://", "http://"), "endpoints.spare.url: "),
            (GOOD.replace('variant = "blue"', 'api_key = "a"'), "main: api_key is for WebSocket"),
            (GOOD.replace('model = "other"', 'dialect = "other"'), "endpoints.spare.dialect: "),
            (
                GOOD.replace('name = "rest"', 'name = "rest"\nlanguage = "de"'),
                "route rest: language can't be sent to endpoint main, whose dialect is voxtral",
            ),
            (
                GOOD.replace('name = "rest"', 'name = "rest"\nkeywords = ["Contoso"]'),
                "route rest: keywords can't be sent to endpoint main",
            ),
            (
                GOOD.replace('name = "rest"', 'name = "rest"\ndelay_ms = 480'),
                "route rest: delay_ms can't be sent to endpoint main",
            ),
            (GOOD.replace('name = "rest"', 'name = "rest"\nlanguage = "Deutsch!"'), "language: "),
            (GOOD.replace('name = "rest"', 'name = "rest"\nkeywords = ["<a>"]'), "keywords[1]: "),
            (GOOD.replace('model = "other"', 'variant = "b"'), "endpoints.spare: variant is"),
        ],
    )
    def test_invalid_file_is_refused_in_one_line(
        self, load: Any, text: str, complaint: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            load(text)
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "Input" not in str(caught.value)
        assert "String" not in str(caught.value)

    def test_errors_quote_no_number_and_no_parameter(self, load: Any) -> None:
        for text in (
            GOOD.replace('"+15550000001"', '"+1555 secret"'),
            GOOD.replace('queue = "vip"', 'queue = ["secret"]'),
        ):
            with pytest.raises(SettingsError) as caught:
                load(text)
            assert "secret" not in str(caught.value)
        assert "+1555" not in repr(load(GOOD))

    def test_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read: FileNotFoundError"):
            load_routes(settings(routes_file=tmp_path / "none.toml"))

    def test_sagemaker_needs_a_region(self, tmp_path: Path) -> None:
        path = tmp_path / "routes.toml"
        path.write_text(GOOD)
        with pytest.raises(SettingsError, match="AWS_REGION"):
            load_routes(
                settings(
                    routes_file=path,
                    upstream="websocket",
                    realtime_url="ws://127.0.0.1:1/",
                    aws_region=None,
                )
            )


SERVERS = """
    [endpoints.one]
    url = "wss://one.example/v1/realtime"
    [endpoints.two]
    url = "wss://two.example/v1/realtime"
    [[routes]]
    name = "all"
    endpoints = ["one", "two"]
"""


class TestKeyWithoutName:
    def load(self, tmp_path: Path, text: str) -> Routes:
        path = tmp_path / "routes.toml"
        path.write_text(text)
        return load_routes(settings(routes_file=path, realtime_api_key="hush"))

    def test_it_is_not_sent_to_several_hosts(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"several endpoints \(one, two\)") as caught:
            self.load(tmp_path, SERVERS)
        assert "hush" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(SERVERS.replace("//two", "//one"), id="one host"),
            pytest.param(SERVERS.replace("[[routes]]", 'api_key = "a"\n[[routes]]'), id="named"),
        ],
    )
    def test_one_host_may_receive_it(self, tmp_path: Path, text: str) -> None:
        assert len(self.load(tmp_path, text).endpoints) == 2


def test_documented_example_is_valid(load: Any) -> None:
    page = (Path(__file__).parents[3] / "docs/routes.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    routes = load(example)
    assert routes.endpoints["main"].slots == 64
    assert [route.name for route in routes.routes] == [
        "claims-hotline",
        "tenant-b",
        "everything-else",
    ]


class TestChoice:
    @pytest.mark.parametrize(
        ("carrier", "called", "params", "name"),
        [
            ("twilio", "+15550000001", {}, "critical"),
            ("twilio", "+15551119999", {}, "critical"),
            ("twilio", "+1555111", {}, "critical"),
            ("twilio", "+155500000012", {}, "rest"),
            ("twilio", None, {}, "rest"),
            ("telnyx", "+15550000001", {}, "rest"),
            ("twilio", "+15550000001", {"queue": "vip"}, "vip"),
            ("twilio", "+15550000001", {"queue": "sales", "x": "y"}, "critical"),
            ("telnyx", None, {"queue": "vip", "x": "y"}, "vip"),
        ],
    )
    def test_first_matching_route_is_chosen(
        self, load: Any, carrier: str, called: str | None, params: dict[str, str], name: str
    ) -> None:
        route = load(GOOD).choose(carrier, called, params)
        assert route is not None
        assert route.name == name

    def test_named_route_ignores_other_conditions(self, load: Any) -> None:
        routes = load(GOOD)
        assert routes.named("twilio", "critical") is routes.routes[1]
        assert routes.named("telnyx", "critical") is None
        assert routes.named("twilio", "nowhere") is None

    def test_route_is_certain_only_without_conditions(self, load: Any) -> None:
        routes = load(GOOD)
        assert routes.certain("telnyx") is None
        only_rest = routes.model_copy(update={"routes": routes.routes[2:]})
        assert only_rest.certain("telnyx") is routes.routes[2]
        only_critical = routes.model_copy(update={"routes": routes.routes[1:2]})
        assert only_critical.certain("telnyx") is None
        assert not only_critical.serve("telnyx")
        assert only_critical.serve("twilio")
        assert only_critical.choose("twilio", "+2", {}) is None


class TestSettingsAlone:
    def test_sagemaker_endpoint(self) -> None:
        routes = load_routes(settings(sagemaker_variant="blue", endpoint_sessions=8))
        assert routes.endpoints.keys() == {"voxtral.blue"}
        endpoint = routes.endpoints["voxtral.blue"]
        assert (endpoint.endpoint, endpoint.variant, endpoint.slots) == ("voxtral", "blue", 8)
        route = routes.certain("any")
        assert route is not None
        assert route.name == DEFAULT_ROUTE

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("ws://127.0.0.1:8081/v1/realtime", "realtime-127.0.0.1-8081"),
            ("wss://user:secret@vllm.example.com/v1/realtime", "realtime-vllm.example.com"),
            ("ws://[::1]:8081/v1/realtime", "realtime----1--8081"),
        ],
    )
    def test_websocket_endpoint(self, url: str, name: str) -> None:
        routes = load_routes(settings(upstream="websocket", realtime_url=url))
        assert routes.endpoints.keys() == {name}
        assert routes.endpoints[name].slots is None

    def test_too_few_slots_for_one_call_are_refused(self) -> None:
        with pytest.raises(SettingsError, match="GATEWAY_ENDPOINT_SESSIONS"):
            load_routes(settings(endpoint_sessions=1))
