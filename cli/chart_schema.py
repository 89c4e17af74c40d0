"""Generates the names of settings in the Helm chart's schema, so that a chart refuses unknown ones.

The rest of `values.schema.json` is written by hand. Each process has two lists: settings with plain
values, and secrets, which values may only name. A setting that a template sets is in neither list.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings

from common.settings import variable_of
from gateway.carriers.registry import CARRIERS
from gateway.settings import Settings as GatewaySettings
from workers.redact.settings import Settings as RedactSettings
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.settings import Settings as WorkerSettings

CHART: Final = Path(__file__).resolve().parents[1] / "deploy/helm/callscribe"
SCHEMA: Final = CHART / "values.schema.json"

_PROCESSES: Final[dict[str, tuple[type[BaseSettings], ...]]] = {
    "gateway": (GatewaySettings, *(each.Settings for each in CARRIERS)),
    "janitor": (WorkerSettings,),
    "redact": (WorkerSettings, RedactSettings),
    "relay": (WorkerSettings, RelaySettings, SignInSettings),
}
# How templates set a variable.
_SET: Final = re.compile(r'(?:name: |"variable" ")((?:GATEWAY|WORKER)_[A-Z_]+|AWS_REGION)\b')


def render() -> str:
    """Return the schema with the present settings."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    templates = (CHART / "templates").iterdir()
    is_set = {name for path in templates for name in _SET.findall(path.read_text(encoding="utf-8"))}
    for process, kinds in _PROCESSES.items():
        names = {name: secret for name, secret in _settings(kinds) if name not in is_set}
        plain = sorted(name for name, is_secret in names.items() if not is_secret)
        secret = sorted(name for name, is_secret in names.items() if is_secret)
        schema["definitions"][f"{process}Setting"] = {"enum": plain}
        if secret:
            schema["definitions"][f"{process}Secret"] = {"enum": secret}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _settings(kinds: Iterable[type[BaseSettings]]) -> Iterator[tuple[str, bool]]:
    """Yield each variable, and whether it is a secret."""
    for kind in kinds:
        for name, field in kind.model_fields.items():
            yield variable_of(kind, name), "Secret" in str(field.annotation)
