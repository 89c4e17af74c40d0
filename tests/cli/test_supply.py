"""The packages that are shipped: locks, licences, bill of materials, audit."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from cli import supply
from cli.errors import CommandError

ROOT = Path(__file__).resolve().parents[2]
PROJECT: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def direct(extra: str) -> set[str]:
    """Return the pins of pyproject.toml that an extra installs, as name==version."""
    pins = set(PROJECT["dependencies"])
    names = [extra]
    while names:
        for pin in PROJECT["optional-dependencies"][names.pop()]:
            if included := re.fullmatch(r"callscribe\[(.+)\]", pin):
                names += included[1].split(",")
            else:
                pins.add(pin)
    return {re.sub(r"\[.*?\]", "", pin.partition(";")[0].strip()).lower() for pin in pins}


@pytest.mark.parametrize("extra", supply.EXTRAS)
def test_lock_has_each_direct_dependency_with_a_hash(extra: str) -> None:
    """If this fails, run `./run lock`."""
    assert direct(extra) <= {f"{name}=={version}" for name, version in supply.locked(extra).items()}
    text = (ROOT / f"requirements/{extra}.txt").read_text()
    packages = re.split(r"\n(?=\S)", text.strip())
    assert [each for each in packages if "--hash=sha256:" not in each] == []


@pytest.mark.parametrize("extra", [*supply.EXTRAS[:-1], *supply.GROUPS])
def test_locks_agree(extra: str) -> None:
    assert supply.locked(extra).items() <= supply.locked("dev").items()


def test_licences_of_what_is_shipped_are_allowed() -> None:
    extras = (supply.SHIPPED, *supply.OPTIONAL)
    listed = {name: each for extra in extras for name, each in supply.licences_of(extra).items()}
    assert len(listed) > 40
    assert [name for name, licence in listed.items() if not supply.is_allowed(licence)] == []


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT License", True),
        ("Apache-2.0 AND MIT", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0-only", False),
        ("GNU Lesser General Public License v2 (LGPLv2)", False),
        ("SSPL-1.0", False),
        ("UNKNOWN", False),
        ("Proprietary, limited use", False),
        ("Permitted for evaluation only", False),
        ("At our discretion", False),
        ("AGPL-3.0 AND LGPL-3.0 AND MIT", False),
        ("MIT-0", True),
        ("Proprietary", False),
    ],
)
def test_licences_that_oblige_the_user_are_refused(licence: str, allowed: bool) -> None:
    assert supply.is_allowed(licence) is allowed


def test_bill_of_materials_lists_each_package_with_its_hashes() -> None:
    found = json.loads(supply.bill_of_materials("workers"))
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "callscribe"
    versions = {each["name"].lower(): each["version"] for each in found["components"]}
    assert versions == supply.locked("workers")
    assert all(each["externalReferences"][0]["hashes"] for each in found["components"])


def test_unknown_extra_is_refused() -> None:
    with pytest.raises(CommandError, match="choose one of"):
        supply.bill_of_materials("everything")


def test_audit_reports_vulnerabilities(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}
    clean = {"name": "b", "version": "2", "vulns": []}
    skipped = {"name": "c", "skip_reason": "not found"}
    with pytest.raises(typer.Exit):
        supply.report([found, clean, skipped])
    assert capsys.readouterr().out.splitlines() == [
        "a 1: CVE-1",
        "c: not audited, not found",
        "2 packages audited, 1 with vulnerabilities",
    ]


def test_audit_without_data_is_no_success() -> None:
    with pytest.raises(CommandError, match="nothing was audited"):
        supply.report([{"name": "c", "skip_reason": "not found"}])
