"""`--help` and `--version` of every process."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from pydantic_settings import BaseSettings

from common.manual import describe
from common.version import version
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings

PROCESSES = [
    "gateway",
    "workers",
    "workers janitor",
    "container.bridge",
    "container.cpu",
    "deploy.local.sagemaker",
]


async def output(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=PIPE, stderr=PIPE
    )
    text, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return text.decode()


async def test_every_process_has_a_version() -> None:
    outputs = await asyncio.gather(*(output(*name.split(), "--version") for name in PROCESSES))
    assert outputs == [f"callscribe {version()}\n"] * len(PROCESSES)
    assert version()[0].isdigit()


async def test_help_has_headings() -> None:
    """Symptom: one flat list of a hundred settings."""
    text = await output("gateway", "--help")
    headings = [line for line in text.splitlines() if line and line[0].isupper()]
    for heading in ("Ports and load", "Redis", "The model", "How streams end", "Twilio", "Genesys"):
        assert heading in headings
    assert "--check" in text
    assert text.index("GATEWAY_REDIS_URL") > text.index("\nRedis\n")


def test_sections_begin_at_fields_that_exist() -> None:
    assert set(GatewaySettings.sections) <= set(GatewaySettings.model_fields)
    assert next(iter(GatewaySettings.model_fields)) in GatewaySettings.sections


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("GATEWAY_LEASE_S", "30 s"),
        ("GATEWAY_REPLAY_MS", "30000 ms"),
        ("GATEWAY_SPOOL_MAX_MB", "1024 MiB"),
        ("GATEWAY_PORT", "8000"),
        ("GATEWAY_PUBLIC_URL", "required"),
        ("GATEWAY_ROUTES_FILE", "unset"),
        ("GATEWAY_ID", "computed"),
    ],
)
def test_defaults_have_units(name: str, shown: str) -> None:
    assert f"  {name} ({shown})\n" in describe(GatewaySettings)


@pytest.mark.parametrize("kind", [GatewaySettings, *(each.Settings for each in CARRIERS)])
def test_help_fits_a_terminal(kind: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    texts = [line for line in describe(kind).splitlines() if line.startswith(" " * 6)]
    assert max(map(len, texts)) <= 80
