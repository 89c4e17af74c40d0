"""The release: changelog, version, a wheel that a second build reproduces."""

import re
import zipfile
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.release import build_wheel, cut, of_version, with_version

CHANGELOG = """# Changelog

## Unreleased

### Added

- A thing.

## 0.1.0 - 2026-01-01

- The first.
"""


def test_what_is_unreleased_gets_a_version_and_a_day() -> None:
    text, notes = cut(CHANGELOG, "0.2.0", "2026-11-30")
    assert notes == "### Added\n\n- A thing."
    assert text == CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 - 2026-11-30\n")


def test_first_release_needs_no_older_section() -> None:
    text, notes = cut("# Changelog\n\n## Unreleased\n\n- A thing.\n", "0.1.0", "2026-11-30")
    assert notes == "- A thing."
    assert text.endswith("## Unreleased\n\n## 0.1.0 - 2026-11-30\n\n- A thing.\n")


def test_release_of_nothing_is_refused() -> None:
    empty = CHANGELOG.replace("### Added\n\n- A thing.\n\n", "")
    with pytest.raises(CommandError, match="nothing under Unreleased"):
        cut(empty, "0.2.0", "2026-11-30")


def test_version_is_set_once() -> None:
    project = '[project]\nversion = "0.1.0"\n[tool]\nversion = "0.1.0"\n'
    assert with_version(project, "0.2.0") == project.replace("0.1.0", "0.2.0", 1)


def test_chart_has_the_version_twice() -> None:
    chart = (Path(__file__).resolve().parents[2] / "deploy/helm/callscribe/Chart.yaml").read_text()
    changed = of_version(chart, "9.8.7")
    assert changed.count("9.8.7") == 2
    assert with_version('version = "0.0.1"', "9.8.7").count("9.8.7") == 1
    project = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    [version] = re.findall(r'^version = "(.+)"', project, re.MULTILINE)
    assert of_version(chart, version) == chart


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "1.0.0rc", "v?", "v2.0.0", " 2.0.0"])
def test_version_that_is_not_newer_is_refused(version: str) -> None:
    with pytest.raises(CommandError):
        with_version('version = "1.0.0"', version)


def test_two_builds_of_the_wheel_are_equal(tmp_path: Path) -> None:
    first, second = build_wheel(tmp_path / "1"), build_wheel(tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert "gateway/app.py" in names
    assert "workers/consumer/commit.lua" in names
    assert not any(name.startswith("tests/") for name in names)
