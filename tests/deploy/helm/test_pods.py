"""Pods are confined, drain within their grace period, and are spread over nodes."""

import pytest

from gateway.settings import Settings as GatewaySettings
from tests.deploy.helm.charts import (
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
from workers.settings import Settings as WorkerSettings

MARGIN_S = 90  # docs/admin.md: what kills a gateway waits for the drain timeout and this


@each_installation
def test_pods_are_confined(values: Values) -> None:
    for pod in pods(render(values)).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


@each_installation
def test_service_accounts_have_no_token(values: Values) -> None:
    accounts = of_kind(render(values), "ServiceAccount").values()
    assert [each["automountServiceAccountToken"] for each in accounts] == [False]


@each_installation
def test_secrets_come_from_secrets_only(values: Values) -> None:
    objects = render(values)
    assert of_kind(objects, "Secret") == {}
    for pod in pods(objects).values():
        for name, value in environment(pod).items():
            if any(word in name for word in ("SECRET", "TOKEN", "KEY", "REDIS_URL")):
                is_folder = name == "GATEWAY_SECRETS_DIR"
                assert is_folder or value.keys() == {"secretKeyRef"}, name


def test_each_process_has_its_own_redis_url() -> None:
    refs = [
        value["secretKeyRef"]["key"]
        for pod in pods(render(example("sagemaker"))).values()
        for name, value in environment(pod).items()
        if name.endswith("_REDIS_URL")
    ]
    assert sorted(refs) == ["gateway-url", "janitor-url", "redact-url", "relay-url"]


def test_secret_files_are_named_like_their_variables() -> None:
    pod = pods(render(example("sagemaker")))["demo-callscribe-gateway"]
    folder = environment(pod)["GATEWAY_SECRETS_DIR"]
    mounts = {each["mountPath"]: each["name"] for each in container(pod)["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    (source,) = volumes[mounts[folder]]["projected"]["sources"]
    assert source["secret"] == {
        "name": "callscribe-gateway",
        "items": [{"key": "twilio-auth-token", "path": "GATEWAY_TWILIO_AUTH_TOKEN"}],
    }


@each_installation
def test_every_mount_has_a_volume(values: Values) -> None:
    for pod in pods(render(values)).values():
        mounted = {each["name"] for each in container(pod).get("volumeMounts", [])}
        assert mounted == {each["name"] for each in pod["spec"].get("volumes", [])}


@each_installation
def test_only_volumes_that_end_with_the_pod_are_writable(values: Values) -> None:
    for name, pod in pods(render(values)).items():
        mounts = {each["name"]: each for each in container(pod).get("volumeMounts", [])}
        for volume in pod["spec"].get("volumes", []):
            is_scratch = "emptyDir" in volume or name.endswith("-vllm")
            assert is_scratch or mounts[volume["name"]].get("readOnly")


def test_spool_is_a_folder_in_a_volume_that_can_hold_it() -> None:
    """Symptom: the gateway refused its spool, because the volume's own folder belongs to root."""
    pod = pods(render(merged(example("sagemaker"), {"gateway": {"spoolMaxMb": 100}})))
    gateway = pod["demo-callscribe-gateway"]
    variables = environment(gateway)
    mounts = {each["name"]: each["mountPath"] for each in container(gateway)["volumeMounts"]}
    volumes = {each["name"]: each for each in gateway["spec"]["volumes"]}
    assert variables["GATEWAY_SPOOL_DIR"] == f"{mounts['spool']}/gateway"
    assert variables["GATEWAY_SPOOL_MAX_MB"] == "100"
    assert volumes["spool"]["emptyDir"] == {"sizeLimit": "125Mi"}


@pytest.mark.parametrize(("drain_s", "pre_stop_s"), [(1800, 5), (0, 5), (7200, 60)])
def test_grace_period_covers_the_drain(drain_s: int, pre_stop_s: int) -> None:
    change = {"gateway": {"drainTimeoutS": drain_s, "preStopS": pre_stop_s}}
    pod = pods(render(merged(example("sagemaker"), change)))["demo-callscribe-gateway"]
    assert environment(pod)["GATEWAY_DRAIN_TIMEOUT_S"] == str(drain_s)
    pre_stop = container(pod)["lifecycle"]["preStop"]
    assert pre_stop == {"sleep": {"seconds": pre_stop_s}}
    assert pod["spec"]["terminationGracePeriodSeconds"] == drain_s + pre_stop_s + MARGIN_S


def test_grace_period_of_other_pods_is_longer_than_their_pre_stop() -> None:
    for pod in pods(render(example("sagemaker", "vllm"))).values():
        pre_stop_s = container(pod).get("lifecycle", {}).get("preStop", {})
        seconds = pre_stop_s.get("sleep", {}).get("seconds", 0)
        assert pod["spec"]["terminationGracePeriodSeconds"] >= seconds + 25


def test_hung_gateway_is_killed_before_its_grace_period() -> None:
    pod = pods(render(example("sagemaker")))["demo-callscribe-gateway"]
    liveness = container(pod)["livenessProbe"]
    assert liveness["terminationGracePeriodSeconds"] <= 60
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60


def test_probes_and_ports_are_those_of_the_processes() -> None:
    found = pods(render(example("sagemaker")))
    gateway = GatewaySettings.model_fields
    metrics = WorkerSettings.model_fields["metrics_port"].default
    expected = {
        "gateway": {"public": gateway["port"].default, "private": gateway["admin_port"].default},
        "janitor": {"private": metrics},
        "redact": {"private": metrics},
        "relay": {"private": metrics, "public": 8100},
    }
    for name, ports in expected.items():
        only = container(found[f"demo-callscribe-{name}"])
        assert {each["name"]: each["containerPort"] for each in only["ports"]} == ports
        assert only["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "private"}
    ready = container(found["demo-callscribe-gateway"])["readinessProbe"]
    assert ready["httpGet"] == {"path": "/readyz", "port": "private"}


def hosts_constraint(pod: Object) -> Object:
    constraints = pod["spec"]["topologySpreadConstraints"]
    (found,) = [each for each in constraints if each["topologyKey"] == "kubernetes.io/hostname"]
    selected = found["labelSelector"]["matchLabels"]
    assert pod["metadata"]["labels"].items() >= selected.items()
    return dict(found)


def test_gateways_are_on_two_nodes() -> None:
    found = pods(render(example("sagemaker")))
    gateway = hosts_constraint(found.pop("demo-callscribe-gateway"))
    assert (gateway["whenUnsatisfiable"], gateway["minDomains"]) == ("DoNotSchedule", 2)
    assert gateway["maxSkew"] == 1
    for pod in found.values():
        assert hosts_constraint(pod)["whenUnsatisfiable"] == "ScheduleAnyway"


def test_rollout_takes_no_gateway_away_first() -> None:
    deployment = of_kind(render(example("sagemaker")), "Deployment")["demo-callscribe-gateway"]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@each_installation
def test_every_process_has_a_disruption_budget(values: Values) -> None:
    objects = render(values)
    budgets = of_kind(objects, "PodDisruptionBudget")
    deployments = of_kind(objects, "Deployment")
    assert {name for name in deployments if not name.endswith("-vllm")} == budgets.keys()
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]
