"""The images, as far as they can be checked without Docker: context, COPYs, installation, start.

Each stage is installed into an environment in a plain directory. Only the download is left out: the
dependencies are those of the environment that runs the tests, without those that the stage does not
ask for.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import AsyncExitStack
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from cli import supply
from deploy.local.processes import Part, RunningPart
from tests.redis_servers import free_port
from tests.test_compose import config

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("gateway", "local")

# Imports every module of the installed packages, unless it needs an extra.
IMPORT_ALL = """
import importlib, pkgutil, sys
optional = {"workers.wrapup.client": ("httpx2", "openai")}
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    assert package.__file__.startswith(sys.prefix), package.__file__
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                assert error.name in optional.get(module.name, ()), (module.name, error)
"""


def ignored() -> list[tuple[re.Pattern[str], bool]]:
    """Read .dockerignore: its patterns in order, and whether each one is an exception."""
    rules = []
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if pattern := line.split("#")[0].strip():
            is_exception = pattern.startswith("!")
            parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("!").strip("/"))
            wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
            text = "".join(wild.get(part, re.escape(part)) for part in parts)
            rules.append((re.compile(text), is_exception))
    return rules


def in_context(path: Path) -> bool:
    """Return whether a file is sent to the builder: the last matching pattern decides."""
    names = [str(path), *map(str, path.parents[:-1])]
    is_sent = True
    for pattern, is_exception in ignored():
        if any(pattern.fullmatch(name) for name in names):
            is_sent = is_exception
    return is_sent


def copies(stage: str) -> Iterator[tuple[str, str]]:
    """Yield the COPY instructions of a stage: source and destination."""
    current = ""
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        match line.split():
            case ["FROM", *_, name]:
                current = name
            case ["COPY", *sources, destination] if current == stage:
                yield from ((source, destination) for source in sources)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `docker build` would send."""
    folder = tmp_path_factory.mktemp("context")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(name)
        if in_context(path) and (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / path)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_every_copy_finds_its_source(context: Path, stage: str) -> None:
    """Symptom: `workers` was hidden from the build, so the image could not be built."""
    sources = [source for source, _ in copies(stage)]
    assert sources
    assert [source for source in sources if not (context / source).exists()] == []


def test_context_contains_only_copied_files(context: Path) -> None:
    needed = {source.rstrip("/") for stage in STAGES for source, _ in copies(stage)}
    assert {path.name for path in context.iterdir()} == needed


@pytest.fixture(scope="module")
def environments(context: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The environment of each stage."""
    return {stage: installed(context, stage, tmp_path_factory.mktemp(stage)) for stage in STAGES}


def installed(context: Path, stage: str, folder: Path) -> Path:
    """Copy and install what a stage copies and installs; return the environment."""
    source, environment = folder / "src", folder / "venv"
    source.mkdir()
    for name, destination in copies(stage):
        where = source / (name if destination == "./" else destination)
        if (context / name).is_dir():
            shutil.copytree(context / name, where)
        else:
            shutil.copyfile(context / name, where)
    venv.create(environment)
    packages = packages_of(environment)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603 - ours
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(packages), str(source)],
        check=True,
        timeout=100,
    )
    # Python ignores .pth files in a folder that a .pth file names, so this checkout is not found.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({not_installed(stage)}))\n"
    (packages / "sitecustomize.py").write_text(blocked)
    return environment


def packages_of(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))


@pytest.mark.parametrize("stage", STAGES)
def test_installed_packages_import(
    environments: dict[str, Path], tmp_path: Path, stage: str
) -> None:
    environment = environments[stage]
    found = [path.parent for path in packages_of(environment).glob("*/__init__.py")]
    names = {path.name for path in found}
    assert {name for name, _ in copies(stage) if (ROOT / name / "__init__.py").is_file()} == names
    assert [path.name for path in found if not (path / "py.typed").is_file()] == []
    check = [str(environment / "bin/python"), "-I", "-c", IMPORT_ALL, *sorted(names)]
    subprocess.run(check, cwd=tmp_path, check=True, timeout=100)  # noqa: S603 - ours


def not_installed(stage: str) -> list[str]:
    """Return the modules of this environment that an image of the stage does not have."""
    lock = {"gateway": "workers"}.get(stage, stage)
    # cli/import_contracts.py is a plug-in of import-linter, which the image does not run.
    allowed = {*supply.locked(lock), "callscribe", "pip", "import-linter", "grimp"}
    return [
        module
        for module, names in packages_distributions().items()
        if allowed.isdisjoint(re.sub("[-_.]+", "-", name).lower() for name in names)
    ]


# Where the processes listen in their containers, and the settings of these ports.
PORTS = {
    "8000": "GATEWAY_PORT",
    "9000": "GATEWAY_ADMIN_PORT",
    "9100": "WORKER_METRICS_PORT",
    "8100": "WORKER_RELAY_PORT",
    "8443": "ENDPOINT_PORT",
    "8080": "BRIDGE_PORT",
    "8081": "ENGINE_PORT",
}


def defaults() -> dict[str, list[str]]:
    """Return the start command and the health check in the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.findall(r"^(CMD|HEALTHCHECK).*?(\[.*\])$", text, re.MULTILINE)
    return {name: json.loads(command) for name, command in found}


async def test_services_start_and_pass_their_health_checks(
    environments: dict[str, Path], redis_url: str, tmp_path: Path
) -> None:
    """The services of the local profile run as in Compose, but at other ports of one machine."""
    services = config("--env-file", "deploy/local/compose.env", "--profile", "local")["services"]
    ports = {port: str(free_port()) for port in PORTS}

    def here(value: str) -> str:
        value = re.sub(r"^redis://.*@redis:6379", redis_url, value)
        value = re.sub(r"\b(gateway|endpoint|bridge|engine)(?=:\d)", "127.0.0.1", value)
        value = re.sub(r"^(file://)?/(certs|spool|words)\b", rf"\1{tmp_path}/\2", value)
        value = re.sub(r"^/rules\b", str(ROOT / "deploy/rules"), value)
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda port: ports[port[0]], value)

    def part(name: str, prefix: str) -> Part:
        service = services[name]
        environment = environments[service["image"].removeprefix("callscribe/")]
        process = {"PATH": str(environment / "bin"), "HOME": str(tmp_path)}
        process |= {each: here(value) for each, value in service["environment"].items()}
        process |= {each: ports[at] for at, each in PORTS.items() if each.startswith(prefix)}
        command = service.get("command") or defaults()["CMD"]
        check = service.get("healthcheck", {}).get("test", defaults()["HEALTHCHECK"])
        check = [here(each) for each in check if each != "CMD"]

        async def ready() -> bool:
            checking = await asyncio.create_subprocess_exec(
                environment / "bin" / check[0],
                *check[1:],
                cwd=tmp_path,
                stderr=asyncio.subprocess.DEVNULL,
            )
            return await checking.wait() == 0

        return Part(name, [str(environment / "bin" / command[0]), *command[1:]], process, ready)

    started = {"engine": "ENGINE", "bridge": "BRIDGE", "endpoint": "ENDPOINT"}
    started |= {"gateway": "GATEWAY", "workers": "WORKER"}
    async with AsyncExitStack() as stack:
        for name, prefix in started.items():
            running = await RunningPart.start(part(name, prefix), tmp_path)
            stack.push_async_callback(running.end)
            await running.until_ready(60)
    assert {name for name in services if "build" in services[name]} | {"workers"} == started.keys()
