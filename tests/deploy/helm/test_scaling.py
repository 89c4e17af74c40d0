"""What scales on what; every metric is one that the processes have."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.helm.charts import (
    FOLDER,
    NAMESPACE,
    Object,
    Values,
    example,
    helm,
    merged,
    of_kind,
    render,
)

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/metrics.md"
METRICS = set(re.findall(r"^\| `(callscribe_\w+)` \|", DOCUMENT.read_text(), re.MULTILINE))


def scaling() -> list[Object]:
    return render(example("sagemaker", "scaling"))


def gateway_scaler() -> Object:
    return of_kind(scaling(), "HorizontalPodAutoscaler")["demo-callscribe-gateway"]


def test_gateways_scale_on_live_calls_and_cpu() -> None:
    calls, cpu = gateway_scaler()["spec"]["metrics"]
    assert calls["pods"]["metric"]["name"] == "callscribe_live_calls"
    assert calls["pods"]["metric"]["name"] in METRICS
    assert cpu["resource"]["name"] == "cpu"
    # Below the share of a core at which calls are refused: GATEWAY_OVERLOAD_CPU.
    assert cpu["resource"]["target"]["averageUtilization"] < 85


def test_gateways_grow_fast_and_shrink_slowly() -> None:
    behavior = gateway_scaler()["spec"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_relays_scale_on_cpu_and_shrink_slowly() -> None:
    objects = scaling()
    spec = of_kind(objects, "HorizontalPodAutoscaler")["demo-callscribe-relay"]["spec"]
    assert spec["scaleTargetRef"]["name"] in of_kind(objects, "Deployment")
    [cpu] = spec["metrics"]
    assert cpu["resource"]["name"] == "cpu"
    assert spec["behavior"]["scaleDown"]["policies"][0]["value"] == 1


def test_relays_do_not_scale_unless_enabled() -> None:
    objects = render(example("sagemaker"))
    assert of_kind(objects, "HorizontalPodAutoscaler") == {}
    assert of_kind(objects, "Deployment")["demo-callscribe-relay"]["spec"]["replicas"] == 2
    off = render(merged(example("sagemaker", "scaling"), {"relay": {"enabled": False}}))
    assert "demo-callscribe-relay" not in of_kind(off, "HorizontalPodAutoscaler")


@pytest.mark.parametrize(
    ("redact", "refused"),
    [
        ({"replicas": 65}, "redact.replicas"),
        (
            {"keda": {"enabled": True, "maxReplicas": 65, "prometheusUrl": "http://prometheus"}},
            "redact.keda.maxReplicas",
        ),
    ],
)
def test_more_processes_than_partitions_are_refused(redact: Values, refused: str) -> None:
    """Symptom: processes were started that never got a partition."""
    values = merged(example("sagemaker"), {"redact": redact})
    with pytest.raises(helm.HelmError, match=f"{refused} is more than events.partitions"):
        render(values)
    render(merged(values, {"events": {"partitions": 65}}))


def test_replicas_that_do_not_apply_are_not_checked() -> None:
    render(merged(example("sagemaker", "scaling"), {"redact": {"replicas": 65}}))
    render(merged(example("sagemaker"), {"redact": {"replicas": 65, "enabled": False}}))


def test_scaled_deployments_name_no_replicas() -> None:
    """Symptom to prevent: an upgrade resets the number of processes."""
    deployments = of_kind(scaling(), "Deployment")
    for name in ("gateway", "redact", "relay"):
        assert "replicas" not in deployments[f"demo-callscribe-{name}"]["spec"]


def test_redaction_scales_on_lag_and_cpu() -> None:
    spec = of_kind(scaling(), "ScaledObject")["demo-callscribe-redact"]["spec"]
    assert spec["scaleTargetRef"] == {"name": "demo-callscribe-redact"}
    lag, cpu = spec["triggers"]
    assert (lag["type"], cpu["type"]) == ("prometheus", "cpu")
    query = lag["metadata"]["query"]
    assert set(re.findall(r"callscribe_\w+", query)) <= METRICS
    labels = dict(re.findall(r'(\w+)="([^"]*)"', query))
    assert labels["group"] == "redact"
    assert labels["namespace"] == NAMESPACE
    assert labels["service"] in of_kind(scaling(), "Service")


def test_processes_that_scale_request_cpu() -> None:
    """Utilization is relative to the request; without one, nothing scales."""
    deployments = of_kind(scaling(), "Deployment")
    for name in ("gateway", "redact", "relay"):
        template = deployments[f"demo-callscribe-{name}"]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"]


def test_adapter_serves_the_metric_of_the_scaler() -> None:
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert rule["seriesQuery"].startswith("callscribe_live_calls{")
    named = set(re.findall(r"callscribe_\w+", rule["seriesQuery"] + rule["metricsQuery"]))
    assert named <= METRICS


def test_monitor_scrapes_the_private_port_of_every_process() -> None:
    objects = render(example("sagemaker", "vllm", "scaling"))
    monitor = of_kind(objects, "ServiceMonitor")["demo-callscribe"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    ports = {each["port"] for each in monitor["spec"]["endpoints"]}
    scraped = {
        name: {port["name"] for port in service["spec"]["ports"]} & ports
        for name, service in of_kind(objects, "Service").items()
        if service["metadata"]["labels"].items() >= wanted
    }
    names = ("gateway", "janitor", "redact", "relay")
    private = {f"demo-callscribe-{name}-private": {"private"} for name in names}
    assert scraped == {**private, "demo-callscribe-vllm": {"realtime"}}


def test_gateways_are_scraped_while_they_drain() -> None:
    service = of_kind(scaling(), "Service")["demo-callscribe-gateway-private"]
    assert service["spec"]["publishNotReadyAddresses"] is True
