"""Who reaches what: Services, policies, and what is exposed."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gateway.settings import Settings as GatewaySettings
from tests.deploy.helm.charts import (
    FOLDER,
    Object,
    Values,
    container,
    each_installation,
    environment,
    example,
    merged,
    of_kind,
    pods,
    render,
)


def selected(objects: list[Object], labels: dict[str, str]) -> list[str]:
    """Return the names of the pods that labels select."""
    found = pods(objects).items()
    return [name for name, pod in found if pod["metadata"]["labels"].items() >= labels.items()]


def port_names(pod: Object) -> set[str]:
    return {each["name"] for each in container(pod)["ports"]}


@each_installation
def test_services_lead_to_pods(values: Values) -> None:
    objects = render(values)
    for service in of_kind(objects, "Service").values():
        (name,) = selected(objects, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            (target,) = [
                each["containerPort"]
                for each in container(pods(objects)[name])["ports"]
                if each["name"] == port["targetPort"]
            ]
            assert target == port["port"]


def test_no_service_begins_with_a_prefix_of_settings() -> None:
    """A Service named `gateway` becomes GATEWAY_SERVICE_HOST, which prevents startup."""
    for name in of_kind(render(example("sagemaker")), "Service"):
        assert not name.startswith(("gateway", "worker"))


@each_installation
def test_every_pod_has_a_policy_for_its_ports(values: Values) -> None:
    objects = render(values)
    covered = []
    for policy in of_kind(objects, "NetworkPolicy").values():
        spec = policy["spec"]
        (name,) = selected(objects, spec["podSelector"]["matchLabels"])
        covered.append(name)
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        opened = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
        assert opened == port_names(pods(objects)[name])
        assert all("ports" in rule for rule in spec["egress"])
    assert sorted(covered) == sorted(pods(objects))


@each_installation
def test_private_ports_are_not_open_to_anyone(values: Values) -> None:
    for policy in of_kind(render(values), "NetworkPolicy").values():
        for rule in policy["spec"]["ingress"]:
            if rule["ports"] != [{"port": "public"}]:
                assert rule["from"]


def test_workers_without_pages_reach_redis_and_names_only() -> None:
    policies = of_kind(render(example("sagemaker")), "NetworkPolicy")
    for name in ("janitor", "redact"):
        rules = policies[f"demo-callscribe-{name}"]["spec"]["egress"]
        assert sorted(port["port"] for rule in rules for port in rule["ports"]) == [53, 53, 6379]


def test_nothing_is_exposed_by_default() -> None:
    objects = render(example("sagemaker"))
    assert not of_kind(objects, "Ingress")
    assert not of_kind(objects, "HTTPRoute")
    types = {each["spec"].get("type", "ClusterIP") for each in of_kind(objects, "Service").values()}
    assert types == {"ClusterIP"}


def exposed(objects: list[Object]) -> Iterator[tuple[str, str, str, Any]]:
    """Yield what is exposed: host, path, Service and port."""
    for ingress in of_kind(objects, "Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield rule["host"], path["path"], service["name"], service["port"]["name"]
    for route in of_kind(objects, "HTTPRoute").values():
        for rule in route["spec"]["rules"]:
            (backend,) = rule["backendRefs"]
            for match in rule["matches"]:
                (host,) = route["spec"]["hostnames"]
                yield host, match["path"]["value"], backend["name"], backend["port"]


@pytest.mark.parametrize("name", ["nginx", "alb", "gateway-api"])
def test_examples_expose_the_public_ports_only(name: str) -> None:
    change = {"gateway": {"publicUrl": "https://calls.example.com:8443"}}
    found = set(exposed(render(merged(example("sagemaker", name), change))))
    by_name = name != "gateway-api"
    gateway, relay = ("public", "public") if by_name else (8000, 8100)
    assert found == {
        ("calls.example.com", "/voice/", "demo-callscribe-gateway", gateway),
        ("calls.example.com", "/media/", "demo-callscribe-gateway", gateway),
        ("relay.example.com", "/", "demo-callscribe-relay", relay),
    }


def annotations(name: str) -> dict[str, str]:
    ingress = of_kind(render(example("sagemaker", name)), "Ingress")["demo-callscribe-gateway"]
    return dict(ingress["metadata"]["annotations"])


def default(name: str) -> int:
    return int(GatewaySettings.model_fields[name].default)


def test_nginx_keeps_sockets_for_as_long_as_a_call() -> None:
    found = annotations("nginx")
    for name in ("read", "send"):
        key = f"nginx.ingress.kubernetes.io/proxy-{name}-timeout"
        assert int(found[key]) >= default("max_call_s")
    assert found["nginx.ingress.kubernetes.io/enable-access-log"] == "false"


def attributes(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split(","))


def test_load_balancer_keeps_sockets_for_as_long_as_a_drain() -> None:
    found = annotations("alb")
    group = attributes(found["alb.ingress.kubernetes.io/target-group-attributes"])
    pre_stop_s = example("alb")["gateway"]["preStopS"]
    delay_s = int(group["deregistration_delay.timeout_seconds"])
    assert default("drain_timeout_s") + pre_stop_s < delay_s <= 3600
    balancer = attributes(found["alb.ingress.kubernetes.io/load-balancer-attributes"])
    idle_s = int(balancer["idle_timeout.timeout_seconds"])
    assert default("heartbeat_s") < idle_s < 75  # docs/proxy.md
    assert int(balancer["client_keep_alive.seconds"]) >= default("max_call_s")
    assert found["alb.ingress.kubernetes.io/healthcheck-port"] == "9000"


def test_load_balancer_reaches_the_health_check() -> None:
    policy = of_kind(render(example("sagemaker", "alb")), "NetworkPolicy")
    rules = policy["demo-callscribe-gateway"]["spec"]["ingress"]
    sources = [rule["from"] for rule in rules if rule["ports"] == [{"port": "private"}]]
    assert [{"ipBlock": {"cidr": "10.0.0.0/16"}}] in sources


def test_gateway_api_routes_have_no_time_limit() -> None:
    for route in of_kind(render(example("sagemaker", "gateway-api")), "HTTPRoute").values():
        (rule,) = route["spec"]["rules"]
        assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}
        assert route["spec"]["parentRefs"]


def test_route_timeouts_can_be_left_out() -> None:
    change = {"gateway": {"httpRoute": {"timeout": None}}}
    objects = render(merged(example("sagemaker", "gateway-api"), change))
    (rule,) = of_kind(objects, "HTTPRoute")["demo-callscribe-gateway"]["spec"]["rules"]
    assert "timeouts" not in rule


def test_external_secrets_create_what_the_example_names() -> None:
    objects = render(example("sagemaker", "external-secrets"))
    created = {
        (each["spec"]["target"]["name"], data["secretKey"])
        for each in of_kind(objects, "ExternalSecret").values()
        for data in each["spec"]["data"]
    }
    needed = {
        (value["secretKeyRef"]["name"], value["secretKeyRef"]["key"])
        for pod in pods(objects).values()
        for value in environment(pod).values()
        if isinstance(value, dict) and "secretKeyRef" in value
    }
    files = yaml.safe_load((FOLDER / "examples/sagemaker.yaml").read_text())["gateway"]
    needed |= {(ref["name"], ref["key"]) for ref in files["secretFiles"].values()}
    assert created == needed
