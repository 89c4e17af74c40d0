"""Values are documented, checked by the schema, and become settings that the processes accept."""

import json
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from cli import chart_schema
from common.settings import load
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings
from tests.deploy.helm.charts import (
    CHART,
    FOLDER,
    Values,
    each_installation,
    environment,
    example,
    helm,
    merged,
    pods,
    render,
)
from workers.redact.settings import Settings as RedactSettings
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.settings import Settings as WorkerSettings

VALUES: Values = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads(chart_schema.SCHEMA.read_text())
SECRET = {"name": "a", "key": "b"}
WORKERS = (RedactSettings, RelaySettings, SignInSettings)


def properties(schema: Any) -> dict[str, Any]:
    """Return the properties of an object in the schema; empty if any are allowed."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return dict(schema.get("properties", {}))


def paths(values: Any, schema: Any, path: str = "") -> tuple[set[str], set[str]]:
    """Return the paths of all values, and of all properties in the schema."""
    known = properties(schema)
    if not known or path.endswith((".apiKey", ".hfToken")):
        return {path}, {path}
    given, described = set(), {f"{path}.{name}" for name in known}
    for name, value in values.items():
        given.add(f"{path}.{name}")
        below = paths(value, known.get(name, {}), f"{path}.{name}")
        given |= below[0]
        described |= below[1]
    return given, described


def test_schema_lists_the_present_settings() -> None:
    """If this fails: ./run fix."""
    assert chart_schema.SCHEMA.read_text() == chart_schema.render()


def test_values_file_has_every_value_of_the_schema() -> None:
    given, described = paths(VALUES, SCHEMA)
    assert described - given == {".global"}
    assert given <= described


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"gateway": {"replica": 2}},
        {"gateway": {"publicUrl": "http://calls.example.com"}},
        {"gateway": {"publicUrl": "https://calls.example.com/prefix"}},
        {"gateway": {"drainTimeoutS": "1800"}},
        {"gateway": {"env": {"GATEWAY_MAX_CALL": "60"}}},
        {"gateway": {"env": {"GATEWAY_MAX_CALL_S": 60}}},
        {"gateway": {"env": {"GATEWAY_DRAIN_TIMEOUT_S": "60"}}},
        {"gateway": {"env": {"WORKER_TAKEOVER_S": "60"}}},
        {"gateway": {"env": {"GATEWAY_TWILIO_AUTH_TOKEN": "secret"}}},
        {"gateway": {"env": {"AWS_SECRET_ACCESS_KEY": "secret"}}},
        {"gateway": {"env": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"}}},
        {"gateway": {"secretEnv": {"GATEWAY_TWILIO_AUTH_TOKEN": "secret"}}},
        {"gateway": {"secretEnv": {"GATEWAY_TWILIO_AUTH_TOKEN": {"value": "secret"}}}},
        {"gateway": {"secretEnv": {"GATEWAY_TWILIO_AUTH_TOKEN": {"name": "a", "key": ""}}}},
        {"gateway": {"secretEnv": {"GATEWAY_REDIS_URL": SECRET}}},
        {"gateway": {"secretFiles": {"AWS_ACCESS_KEY_ID": SECRET}}},
        {"janitor": {"env": {"WORKER_ID": "one"}}},
        {"janitor": {"secretEnv": {"WORKER_RELAY_SECRET": SECRET}}},
        {"relay": {"env": {"WORKER_RELAY_SECRET": "secret"}}},
        {"relay": {"env": {"WORKER_REDACT_LANGUAGE": "de"}}},
        {"vllm": {"apiKey": "secret"}},
        {"vllm": {"apiKey": {"name": "a"}}},
    ],
    ids=str,
)
def test_schema_refuses(change: Values) -> None:
    with pytest.raises(helm.HelmError, match="schema"):
        render(merged(example("sagemaker"), change))


def test_examples_and_values_name_no_other_secrets() -> None:
    """A plain password in a file would be copied."""
    for file in (CHART / "values.yaml", *(FOLDER / "examples").iterdir()):
        values = yaml.safe_load(file.read_text())
        assert "rediss://" not in json.dumps(values)
        assert "redis://" not in json.dumps(values)


def accepted(variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> BaseSettings:
    """Read a pod's variables as its process does; a text takes the place of each secret."""
    for name, value in variables.items():
        text = f"{name}-{'x' * 32}" if isinstance(value, dict) else value
        monkeypatch.setenv(name, text)
    if "GATEWAY_PUBLIC_URL" in variables:
        carriers = [carrier.Settings for carrier in CARRIERS]
        monkeypatch.delenv("GATEWAY_SECRETS_DIR", raising=False)  # a mount
        return load(GatewaySettings, carriers)
    for kind in WORKERS:
        load(kind, [other for other in WORKERS if other is not kind])
    return load(WorkerSettings, WORKERS)


@each_installation
def test_processes_accept_their_settings(
    values: Values, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Symptom to prevent: an unknown or invalid setting, so that no pod starts."""
    monkeypatch.chdir(tmp_path)  # no .env
    read = 0
    for name, pod in pods(render(values)).items():
        if not name.endswith("-vllm"):
            with monkeypatch.context() as patch:
                accepted(environment(pod), patch)
            read += 1
    assert read == 4


def test_shared_settings_are_equal_everywhere() -> None:
    events = {"partitions": 8, "retentionS": 3_000_000, "leaseS": 20}
    found = set()
    for pod in pods(render(merged(example("sagemaker"), {"events": events}))).values():
        shared = ("PARTITIONS", "RETENTION_S", "LEASE_S")
        given = {name.partition("_")[2]: value for name, value in environment(pod).items()}
        found.add(tuple(given[name] for name in shared))
    assert found == {("8", "3000000", "20")}


def test_model_here_sets_what_the_values_do_not() -> None:
    base = example("sagemaker", "vllm")
    chosen = {"gateway": {"env": {"GATEWAY_ENDPOINT_SESSIONS": "3"}}}
    found = environment(pods(render(merged(base, chosen)))["demo-callscribe-gateway"])
    settings = {
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": "ws://demo-callscribe-vllm:8000/v1/realtime",
        "GATEWAY_ENDPOINT_INSTANCES": "2",
        "GATEWAY_ENDPOINT_SESSIONS": "3",
        "GATEWAY_MODEL": "mistralai/Voxtral-Mini-4B-Realtime-2602",
        "GATEWAY_REALTIME_API_KEY": {"secretKeyRef": {"name": "callscribe-vllm", "key": "api-key"}},
    }
    assert found.items() >= settings.items()
