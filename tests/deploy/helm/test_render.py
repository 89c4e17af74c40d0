"""The chart is valid for Helm and for Kubernetes, whatever values are used together."""

import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.helm.charts import (
    CHART,
    Object,
    Values,
    container,
    each_installation,
    example,
    helm,
    merged,
    of_kind,
    pods,
    render,
)

# Objects of operators: (kind, version). Kubernetes' own schemas do not describe them.
OTHERS = {
    ("ServiceMonitor", "monitoring.coreos.com/v1"),
    ("ScaledObject", "keda.sh/v1alpha1"),
    ("ExternalSecret", "external-secrets.io/v1"),
    ("HTTPRoute", "gateway.networking.k8s.io/v1"),
}
ROOT = Path(__file__).resolve().parents[3]


def lint(values: Values) -> list[str]:
    """Return what `helm lint --strict` finds."""
    report = helm.lint(CHART, values, strict=True, kube_version="v1.30.0")
    found = [each["error"] for each in report["messages"] if each["severity"] >= 2]
    return [*found, *report["errors"]]


@each_installation
def test_helm_lint_finds_nothing(values: Values) -> None:
    assert lint(values) == []


def test_helm_lint_finds_nothing_without_values() -> None:
    assert lint({}) == []


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@each_installation
def test_objects_are_valid(values: Values, version: str) -> None:
    objects = render(values)
    assert len(objects) > 10
    for each in objects:
        if (each["kind"], each["apiVersion"]) not in OTHERS:
            kubernetes_validate.validate(each, version, strict=True)


@each_installation
def test_names_are_unique_and_short(values: Values) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in render(values)]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_default_installation_has_two_gateways_and_each_worker() -> None:
    deployments = of_kind(render(example("sagemaker")), "Deployment")
    replicas = {name: each["spec"]["replicas"] for name, each in deployments.items()}
    names = ("gateway", "janitor", "redact", "relay")
    assert replicas == {f"demo-callscribe-{name}": 2 for name in names}


def test_worker_can_be_left_out() -> None:
    objects = render(merged(example("sagemaker"), {"relay": {"enabled": False}}))
    named = [each["metadata"]["name"] for each in objects]
    assert not [name for name in named if "relay" in name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gateway": {"publicUrl": ""}}, "gateway.publicUrl is required"),
        ({"relay": {"publicUrl": ""}}, "relay.publicUrl is required"),
        ({"model": {"sagemaker": {"endpoint": ""}}}, "set: none"),
        ({"model": {"realtimeUrl": "wss://x/v1/realtime"}}, "sagemaker, model.realtimeUrl"),
        ({"vllm": {"enabled": True}}, "set: model.sagemaker, vllm"),
        ({"model": {"sagemaker": {"region": ""}}}, "needs model.sagemaker.region"),
        (
            {"redact": {"keda": {"enabled": True, "prometheusUrl": "http://p", "maxReplicas": 65}}},
            "more than events.partitions",
        ),
        ({"redact": {"keda": {"enabled": True}}}, "redact.keda.prometheusUrl is required"),
        (
            {"externalSecrets": {"enabled": True, "secrets": {"a": {"b": {"key": "c"}}}}},
            "externalSecrets.store.name is required",
        ),
    ],
)
def test_values_that_can_not_work_are_refused(change: Values, message: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=message):
        render(merged(example("sagemaker"), change))


def test_default_image_is_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container(pod)["image"] for pod in pods(render(example("sagemaker"))).values()}
    assert images == {f"registry.example.com/callscribe/gateway:{version}"}


def test_routes_are_mounted_unchanged_and_a_change_restarts_gateways() -> None:
    def gateway(routes: str) -> tuple[Any, Object]:
        objects = render(merged(example("sagemaker"), {"gateway": {"routes": routes}}))
        config = of_kind(objects, "ConfigMap")["demo-callscribe-gateway-routes"]
        return config["data"]["routes.toml"], pods(objects)["demo-callscribe-gateway"]

    text = '# a comment\n[endpoints.main]\nendpoint = "a: {b}"\n'
    mounted, pod = gateway(text)
    assert mounted == text
    assert pod != gateway(text + "\n")[1]
