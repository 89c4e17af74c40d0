"""Renders the chart with Helm itself, without a cluster."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

helm = pytest.importorskip(
    "helm_python", reason="helm-python-sdk has no wheel for this platform, so Helm is not here"
)

FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy/helm"
CHART: Final = FOLDER / "callscribe"
NAMESPACE: Final = "voice"

# Values files that are used together, as a user passes several to `helm install`.
INSTALLATIONS: Final = {
    "sagemaker": ("sagemaker",),
    "vllm": ("sagemaker", "vllm"),
    "nginx": ("sagemaker", "nginx"),
    "alb": ("sagemaker", "alb"),
    "gateway-api": ("sagemaker", "gateway-api"),
    "scaling": ("sagemaker", "scaling"),
    "external-secrets": ("sagemaker", "external-secrets"),
    "everything": ("sagemaker", "vllm", "nginx", "gateway-api", "scaling", "external-secrets"),
}
MORE: Final[dict[str, Any]] = {  # what no example uses
    "fullnameOverride": "other",
    "listenOn": "::",
    "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
    "redis": {"tlsSecretName": "redis-tls"},
    "gateway": {
        "routes": '[[routes]]\nname = "all"\nendpoints = ["main"]\n',
        "env": {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        },
        "secretEnv": {
            "AWS_ACCESS_KEY_ID": {"name": "aws", "key": "id"},
            "OTEL_EXPORTER_OTLP_HEADERS": {"name": "collector", "key": "headers"},
        },
        "tolerations": [{"key": "calls", "operator": "Exists"}],
        "priorityClassName": "calls",
    },
    "redact": {"nodeSelector": {"pool": "workers"}},
    "networkPolicy": {
        "publicFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "gatewayEgress": [{"ports": [{"port": 8001}]}],
        "relayEgress": [{"ports": [{"port": 8002}]}],
    },
    "vllm": {"cacheClaim": "weights", "hfToken": {"name": "hf", "key": "token"}},
}

type Values = dict[str, Any]
type Object = dict[str, Any]  # a Kubernetes object


def merged(*layers: Mapping[str, Any]) -> Values:
    """Merge values as Helm does: later ones win, maps are merged."""
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


def example(*names: str) -> Values:
    """Return the values of some examples together."""
    files = [FOLDER / "examples" / f"{name}.yaml" for name in names]
    return merged(*(yaml.safe_load(file.read_text()) for file in files))


def installations() -> Iterator[tuple[str, Values]]:
    """Yield the values of each installation by name."""
    for name, files in INSTALLATIONS.items():
        yield name, example(*files)
    yield "more", merged(example(*INSTALLATIONS["everything"]), MORE)


each_installation = pytest.mark.parametrize(
    "values", [pytest.param(values, id=name) for name, values in installations()]
)


def render(values: Values) -> list[Object]:
    """Return the objects that an installation creates."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name="demo", namespace=NAMESPACE)
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def pods(objects: list[Object]) -> dict[str, Object]:
    """Return the pod templates by the name of their Deployment."""
    found = of_kind(objects, "Deployment").items()
    return {name: deployment["spec"]["template"] for name, deployment in found}


def container(pod: Object) -> Any:
    """Return the only container of a pod."""
    (only,) = pod["spec"]["containers"]
    return only


def environment(pod: Object) -> dict[str, Any]:
    """Return the variables of a pod: their text, or where Kubernetes reads it."""
    listed = container(pod)["env"]
    found = {each["name"]: each.get("value", each.get("valueFrom")) for each in listed}
    assert len(found) == len(listed), "a variable is set twice"
    return found
