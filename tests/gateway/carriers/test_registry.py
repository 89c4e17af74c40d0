"""Properties of all carriers together."""

import ast
from pathlib import Path

import pytest

from gateway.carriers.registry import CARRIERS

MODULES = {kind.__module__ for kind in CARRIERS}


def imported(module: str) -> set[str]:
    """Return the modules that a module imports."""
    path = Path(*module.split(".")).with_suffix(".py")
    tree = ast.parse((Path(__file__).resolve().parents[3] / path).read_text())
    found = {f"{n.module}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    names = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom | ast.Import)]
    for node in names:
        base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        found |= {base + alias.name for alias in node.names}
    return found


def test_carriers_have_distinct_names_and_settings_prefixes() -> None:
    assert len({kind.name for kind in CARRIERS}) == len(CARRIERS)
    prefixes = {kind.Settings.model_config["env_prefix"] for kind in CARRIERS}
    assert prefixes == {f"GATEWAY_{kind.name.upper()}_" for kind in CARRIERS}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_carrier_imports_no_other_carrier(module: str) -> None:
    assert imported(module) & MODULES == set()
