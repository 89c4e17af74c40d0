"""The version: pyproject.toml is the only place that contains it."""

import tomllib
from pathlib import Path

from common.version import version

ROOT = Path(__file__).resolve().parents[2]


def declared() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def test_version_is_that_of_pyproject() -> None:
    assert version() == declared()


def test_changelog_has_a_dated_section_for_the_version() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(f"## {declared()} - ")]
