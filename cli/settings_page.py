"""Generates docs/settings.md from the settings classes of all processes."""

from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings

from common.manual import tabulate
from container.bridge.settings import Settings as BridgeSettings
from container.cpu.settings import Settings as EngineSettings
from container.entrypoint.settings import Settings as EntrypointSettings
from deploy.local.sagemaker.settings import Settings as EndpointSettings
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings
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

PAGE: Final = Path(__file__).resolve().parents[1] / "docs/settings.md"

_INTRODUCTION: Final = """# Settings

Every environment variable that a Callscribe process reads, with its default. The gateway and the
workers also read `.env` in the folder that they are started in; a variable of the environment wins.
An unknown or invalid variable prevents startup, with one line that names it.

Check a gateway's settings, and what they lead to, before you start it:

```sh
.venv/bin/python -m gateway --check
```

This page is generated: change the field in the code, then run `./run fix`.
"""

_PROCESSES: Final[tuple[tuple[str, str, tuple[type[BaseSettings], ...]], ...]] = (
    ("Gateway", "python -m gateway", (GatewaySettings, *(each.Settings for each in CARRIERS))),
    (
        "Workers",
        "python -m workers",
        (
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
        ),
    ),
    ("Bridge", "python -m container.bridge", (BridgeSettings,)),
    ("Model image", "python -m container.entrypoint", (EntrypointSettings,)),
    ("CPU speech engine", "python -m container.cpu", (EngineSettings,)),
    ("Local SageMaker endpoint", "python -m deploy.local.sagemaker", (EndpointSettings,)),
)


def render() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for title, command, kinds in _PROCESSES:
        tables = "\n\n".join(tabulate(kind) for kind in kinds)
        parts.append(f"## {title}\n\n`{command}`\n\n{tables}\n")
    return "\n".join(parts)
