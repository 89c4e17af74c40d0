"""docs/settings.md is current, and lists every variable that other pages name."""

import re
from pathlib import Path

import pytest

from cli import settings_page

ROOT = settings_page.PAGE.parents[1]
PREFIXES = "GATEWAY|WORKER|BRIDGE|ENGINE|ENDPOINT|ENTRYPOINT"
VARIABLE = re.compile(rf"\b(?:{PREFIXES})_[A-Z0-9_]*[A-Z0-9]\b(?![_*<])")


def test_page_is_current() -> None:
    assert settings_page.PAGE.read_text() == settings_page.render(), "run ./run fix"


def test_page_lists_each_variable_once() -> None:
    listed = re.findall(r"^\| `([A-Z0-9_]+)` \|", settings_page.render(), re.MULTILINE)
    own = [name for name in listed if VARIABLE.fullmatch(name)]
    assert len(own) > 150
    assert len(own) == len(set(own))


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))], ids=lambda page: page.name
)
def test_pages_name_only_variables_that_exist(page: Path) -> None:
    named = set(VARIABLE.findall(page.read_text()))
    listed = set(VARIABLE.findall(settings_page.render()))
    assert named - listed == set()
