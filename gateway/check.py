"""`python -m gateway --check`: checks whether a call would succeed, without serving.

Prints one line per check and returns an exit code. Every check runs in bounded time, whatever the
results of the others: for later checks, invalid settings are replaced by their defaults. No port is
opened, so a gateway may run on the same host. The lines contain no secrets.
"""

import asyncio
import contextlib
import ipaddress
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop
from pydantic import ValidationError

from common.settings import SettingsError, secrets_folder, sentences, unknown, variable_of
from gateway import logs
from gateway.admission.routes import EndpointConfig, Routes, load_routes
from gateway.app import access_to
from gateway.audio.encodings import Encoding
from gateway.carriers.carrier import Carrier
from gateway.carriers.registry import CARRIERS
from gateway.errors import GatewayError, UpstreamError
from gateway.hints import hint
from gateway.ingress.admin_tokens import read_tokens
from gateway.publishing.redis_store import probe_writes
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import create_client, destination
from gateway.settings import Settings, Upstream
from gateway.tracing import require_sdk
from gateway.upstream.dialects.dialect import Answer, Speech
from gateway.upstream.sagemaker.credentials import CredentialSource
from gateway.upstream.session import RealtimeSession

_LIMIT_S: Final = 60.0  # for each check, whatever the settings say
_CREDENTIALS_S: Final = 10.0
_SESSION_S: Final = 1800.0  # credentials must be valid for longer: SageMaker's limit of a stream
_SILENCE_S: Final = 1.0
_BYTES_PER_S: Final = 32_000  # 16 kHz PCM16
_UNSET_URL: Final = "https://unset.invalid"
_NO_MODEL: Final[dict[str, Any]] = {
    "upstream": Upstream.WEBSOCKET,
    "realtime_url": "ws://unset.invalid",
}


class CheckError(Exception):
    """A failed check; its text is the rest of the line."""


def check() -> int:
    """Run all checks and print their results; return the exit code, 0 or 1."""
    logs.configure("ERROR")
    try:
        return uvloop.run(run_checks())
    except KeyboardInterrupt:
        return 1


async def run_checks() -> int:
    """Run all checks, print a line for each and return the exit code."""
    inputs = _read()
    failed = 0
    for name, run in _checks(inputs):
        try:
            async with asyncio.timeout(_LIMIT_S):
                text, ok = await run(), True
        except (CheckError, SettingsError) as error:
            text, ok = str(error), False
        except GatewayError as error:
            text, ok = f"{error}. {hint(error.reason)}", False
        except TimeoutError:
            text, ok = f"no result after {_LIMIT_S:g} s", False
        except Exception as error:  # noqa: BLE001 - the other checks must run
            text, ok = f"failed: {type(error).__name__}", False
        failed += not ok
        print(f"{_mark(ok=ok)} {name:<12}  {text}", flush=True)  # noqa: T201 - for the terminal
    return 1 if failed else 0


def _mark(*, ok: bool) -> str:
    if sys.stdout.isatty() and sys.stdout.encoding.lower().startswith("utf"):
        return "\N{CHECK MARK}" if ok else "\N{BALLOT X}"
    return "ok  " if ok else "fail"


# The settings


@dataclass
class _Inputs:
    """The settings that the checks use, and the problems found in them."""

    settings: Settings
    carriers: list[Carrier] = field(default_factory=list)
    routes: Routes | None = None
    problems: list[str] = field(default_factory=list)


def _read() -> _Inputs:
    """Read all settings, and collect the problems instead of raising."""
    folder = secrets_folder(Settings)
    try:
        unknown_names = unknown(Settings, [carrier.Settings for carrier in CARRIERS], folder)
    except SettingsError as error:
        unknown_names, folder = str(error), None
    settings, problems = _read_settings(folder)
    inputs = _Inputs(settings, problems=problems)
    if unknown_names:
        problems.append(unknown_names)
    for carrier in CARRIERS:
        try:
            inputs.carriers.append(carrier(carrier.Settings(_secrets_dir=folder)))
        except ValidationError as error:
            problems += sentences(carrier.Settings, error)
    with _noting(problems):
        inputs.routes = load_routes(settings)
    if settings.traces_url:
        with _noting(problems):
            require_sdk()
    if tokens := settings.admin_tokens:
        with _noting(problems):
            read_tokens(tokens.get_secret_value())
    return inputs


@contextlib.contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        problems.append(str(error))


def _read_settings(folder: Path | None) -> tuple[Settings, list[str]]:
    """Read the settings; replace invalid ones by defaults, so that the rest can be checked."""
    instead: dict[str, Any] = {}
    problems: list[str] = []
    while True:
        try:
            return Settings(_secrets_dir=folder, **instead), problems
        except ValidationError as error:
            problems += sentences(Settings, error)
            wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
        if not wrong - instead.keys():  # each is valid by itself: the upstream's address is missing
            return Settings(_secrets_dir=folder, **(instead | _NO_MODEL)), problems
        for name in wrong:
            known = Settings.model_fields[name]
            default = known.get_default(call_default_factory=True, validated_data={})
            instead[name] = _UNSET_URL if known.is_required() else default


# The checks

type _Run = Callable[[], Awaitable[str]]


def _checks(inputs: _Inputs) -> Iterator[tuple[str, _Run]]:
    """Yield all checks in order, each with its name."""
    yield "settings", lambda: _check_settings(inputs)
    yield "carriers", lambda: _check_carriers(inputs)
    yield "public-url", lambda: _check_public_url(inputs)
    yield "redis", lambda: _check_redis(inputs)
    endpoints = inputs.routes.endpoints if inputs.routes else {}
    if not endpoints:
        yield "model", _check_no_endpoint
    if any(endpoint.endpoint for endpoint in endpoints.values()):
        yield "credentials", _check_credentials
    for name, endpoint in endpoints.items():
        yield f"model {name}", _model_check(inputs, endpoint)


async def _check_settings(inputs: _Inputs) -> str:
    if inputs.problems:
        raise CheckError("; ".join(inputs.problems))
    return "all valid"


async def _check_carriers(inputs: _Inputs) -> str:
    named = [(carrier.name, carrier.missing_setting) for carrier in inputs.carriers]
    if names := [name for name, needs in named if needs is None]:
        return f"open: {', '.join(names)}"
    examples = ", ".join(f"{name} needs {needs}" for name, needs in named[:3])
    raise CheckError(
        f"all are closed; set what one of them needs: {examples} ... (docs/carriers.md)"
    )


async def _check_public_url(inputs: _Inputs) -> str:
    settings = inputs.settings
    if settings.public_url == _UNSET_URL:
        raise CheckError("not checked: see settings")
    url = urlsplit(settings.public_url)
    label, host = variable_of(Settings, "public_url"), url.hostname or ""
    if "/voice" in url.path or "/media" in url.path:
        raise CheckError(f"{label} must end before /voice/<carrier> and /media/<carrier>")
    if url.scheme == "http" and not _is_near(host):
        raise CheckError(
            f"{label} must be https: carriers on the internet require TLS, and URLs contain tokens"
        )
    where = "; only reachable from the local network" if _is_near(host) else ""
    media_url = settings.media_url("<carrier>")
    return f"webhooks {settings.public_url}/voice/<carrier>, media {media_url}{where}"


def _is_near(host: str) -> bool:
    """Return whether a host is on this machine or a private network, as far as its name shows."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost", ".lan"))


async def _check_redis(inputs: _Inputs) -> str:
    settings = inputs.settings
    client = create_client(settings.redis_url.get_secret_value())
    began_s = time.monotonic()
    async with contextlib.aclosing(client):
        if problem := await check_settings(client):
            raise CheckError(problem)
        failures = await probe_writes(client, settings.partitions, 2.0)
        if failure := next((each for each in failures if each), None):
            raise failure
        return f"{destination(client)} accepts writes ({_ms_since(began_s)} ms)"


async def _check_no_endpoint() -> str:
    raise CheckError("not checked: see settings")


async def _check_credentials() -> str:
    await CredentialSource(timeout_s=_CREDENTIALS_S).frozen(_SESSION_S)
    return "AWS credentials found, valid for a whole session"


def _model_check(inputs: _Inputs, endpoint: EndpointConfig) -> _Run:
    settings = inputs.settings

    async def run() -> str:
        if endpoint.url == _NO_MODEL["realtime_url"]:
            raise CheckError("not checked: see settings")
        began_s = time.monotonic()
        async with _session(settings, endpoint) as (session, counter):
            opened_ms = _ms_since(began_s)
            chunk = bytes(_BYTES_PER_S * settings.chunk_ms // 1000)
            for _ in range(int(_SILENCE_S * _BYTES_PER_S) // len(chunk)):
                session.append(chunk)
            session.cut(Speech(0, int(1000 * _SILENCE_S)))  # else a turn has no end
            await session.finish()
            return (
                f"opened in {opened_ms} ms, {_SILENCE_S:g} s of silence transcribed in "
                f"{_ms_since(began_s) - opened_ms} ms ({counter.answers} answers)"
            )

    return run


@contextlib.asynccontextmanager
async def _session(
    settings: Settings, endpoint: EndpointConfig
) -> AsyncIterator[tuple[RealtimeSession, "_AnswerCounter"]]:
    access = access_to(endpoint, settings)
    dialect, options = access.dialect, access.options
    if Encoding.PCMU in dialect.capabilities.encodings:  # as most calls
        options = replace(options, encoding=Encoding.PCMU)
    counter = _AnswerCounter()
    session = RealtimeSession(
        counter,
        dialect.session(options),
        done_timeout_s=settings.done_timeout_s,
        is_audio_binary=dialect.capabilities.is_audio_binary,
    )
    try:
        await session.open(access.transport, settings.open_timeout_s, access.address(options))
        yield session, counter
    finally:
        session.abort()
        await access.transport.close()


class _AnswerCounter:
    """Counts the model's answers."""

    answers = 0

    def on_answer(self, answer: Answer) -> None:
        """Count an answer."""
        self.answers += 1

    def on_writable(self) -> None:
        """Do nothing: a second of audio always fits."""

    def on_ended(self, error: UpstreamError | None) -> None:
        """Do nothing: `finish` raises the error."""


def _ms_since(began_s: float) -> int:
    return round(1000 * (time.monotonic() - began_s))
