"""The compose file as Compose reads it, and its settings as the processes read them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from container.bridge.settings import Settings as BridgeSettings
from container.cpu.settings import Settings as EngineSettings
from deploy.local import stack
from deploy.local.credentials import gateway_settings
from deploy.local.sagemaker.settings import Settings as EndpointSettings
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings
from workers.redact.settings import Settings as RedactSettings
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.settings import Settings as WorkerSettings

ROOT = Path(__file__).resolve().parents[1]

WORKERS: tuple[type[BaseSettings], ...] = (
    WorkerSettings,
    RedactSettings,
    RelaySettings,
    SignInSettings,
)
PROCESSES: tuple[type[BaseSettings], ...] = (
    GatewaySettings,
    *(carrier.Settings for carrier in CARRIERS),
    EndpointSettings,
    BridgeSettings,
    EngineSettings,
    *WORKERS,
)


def config(*options: str, **env: str) -> Any:
    """Return the resolved file, independent of the environment of this machine."""
    compose = str(Path(sys.executable).parent / "docker-compose")
    command = (compose, *options, "config", "--format=json")
    clean = {"PATH": os.environ["PATH"], "COMPOSE_DISABLE_ENV_FILE": "1", **env}
    done = subprocess.run(  # noqa: S603 (fixed command)
        command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def local() -> Any:
    return config("--env-file", "deploy/local/compose.env", "--profile", "local")


def test_default_services_are_redis_gateway_and_workers() -> None:
    assert sorted(config()["services"]) == ["gateway", "redis", "workers"]


def test_local_profile_adds_the_sagemaker_replacement(local: Any) -> None:
    added = {"bridge", "endpoint", "engine"}
    assert set(local["services"]) == {"gateway", "workers", "redis", *added}


def test_every_service_has_a_health_check(local: Any) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name, service in local["services"].items():
        assert "healthcheck" in service or (name == "gateway" and "HEALTHCHECK" in dockerfile)


def test_nothing_is_published_beyond_loopback(local: Any) -> None:
    published = [p for service in local["services"].values() for p in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_setting_exists(local: Any) -> None:
    """An unknown setting prevents startup."""
    known = {
        f"{kind.model_config['env_prefix']}{field.upper()}"
        for kind in PROCESSES
        for field in kind.model_fields
    }
    prefixes = tuple(kind.model_config["env_prefix"] for kind in PROCESSES)
    for service in local["services"].values():
        for name in service.get("environment", {}):
            if name.startswith(prefixes):
                assert name in known


def test_gateway_and_endpoint_share_credentials(local: Any) -> None:
    gateway = local["services"]["gateway"]["environment"]
    endpoint = local["services"]["endpoint"]["environment"]
    assert gateway["AWS_ACCESS_KEY_ID"] == endpoint["ENDPOINT_ACCESS_KEY_ID"]
    assert gateway["AWS_SECRET_ACCESS_KEY"] == endpoint["ENDPOINT_SECRET_ACCESS_KEY"]
    assert "endpoint" in endpoint["ENDPOINT_CERT_NAMES"].split(",")


def test_run_call_works_without_options(local: Any) -> None:
    gateway = local["services"]["gateway"]["environment"]
    assert gateway.items() >= gateway_settings().items()  # as any carrier
    assert gateway["AWS_ACCESS_KEY_ID"] == stack.ACCESS_KEY_ID
    assert gateway["GATEWAY_PUBLIC_URL"] == stack.public_url(8000)


def test_workers_start_with_and_without_the_local_settings(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that exclude each other, or can't be parsed, prevent startup."""
    for services in (config()["services"], local["services"]):
        for name, value in services["workers"]["environment"].items():
            monkeypatch.setenv(name, value)
        for kind in WORKERS:
            kind(_env_file=None)
        relay, sign_in = RelaySettings(_env_file=None), SignInSettings(_env_file=None)
        is_local = services == local["services"]
        assert (bool(sign_in.secret), bool(relay.microphone_route)) == (is_local, is_local)


def test_default_workers_are_closed_and_get_no_secrets_of_the_gateway() -> None:
    given = {"WORKER_RELAY_SECRET": "given", "GATEWAY_TWILIO_AUTH_TOKEN": "given"}
    workers = config(**given)["services"]["workers"]["environment"]
    assert [name for name in workers if workers[name] == "given"] == ["WORKER_RELAY_SECRET"]
    assert not config()["services"]["workers"]["environment"]["WORKER_RELAY_SECRET"]
    assert all(name.startswith("WORKER_") for name in workers)


def test_default_gateway_has_no_secrets() -> None:
    """Symptom to prevent: a gateway on the internet that uses a token of this file."""
    gateway = config()["services"]["gateway"]["environment"]
    ours = {"GATEWAY_REDIS_URL", "GATEWAY_SPOOL_DIR"}
    assert {gateway[name] for name in gateway if name not in ours} == {""}


def test_settings_named_in_the_readme_are_passed_on() -> None:
    """Symptom: a setting in .env did not reach the container."""
    named = set(re.findall(r"GATEWAY_[A-Z_]+|AWS_[A-Z_]+", (ROOT / "README.md").read_text()))
    given = dict.fromkeys(named - {"GATEWAY_REDIS_URL"}, "given")  # Redis comes with the file
    gateway = config(**given)["services"]["gateway"]["environment"]
    assert len(given) >= 8
    assert gateway.items() >= given.items()


def test_any_setting_in_the_env_file_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_TELNYX_SECRET=given\n")
    where = ("--project-directory", str(tmp_path), "--file", str(ROOT / "docker-compose.yml"))
    gateway = config(*where)["services"]["gateway"]["environment"]
    assert gateway["GATEWAY_TELNYX_SECRET"] == "given"


def test_images_use_pinned_dependencies_and_no_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[2:]
    assert len(stages) == 2
    for stage in stages:
        assert "pip install --require-hashes -r" in stage
        assert stage.rindex("USER callscribe") > stage.rindex("RUN ")
