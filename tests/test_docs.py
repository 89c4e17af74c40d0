"""The pages' links lead somewhere; their commands and paths exist."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import typer

from cli.__main__ import app

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            page
            for folder in ROOT.glob("[!.]*/")
            for page in folder.rglob("*.md")
            if "node_modules" not in page.parts
        ),
    ]
)

_FENCE: Final = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_RUN: Final = re.compile(r"\./run +([a-z]+(?:-[a-z]+)*)((?: +[^\n#|`]*)?)")
_MODULE: Final = re.compile(r"python[0-9.]* -m ([a-z_.]+)")
_OPTION: Final = re.compile(r"(?<!\S)(--[a-z][a-z-]*|-[a-z])\b")
_TOP: Final = "gateway|workers|container|deploy|common|cli|tests|docs"
_PATH: Final = re.compile(rf"(?<![\w/.-])(?:{_TOP})(?:/[\w.<>-]+)+/?")
_FILE: Final = re.compile(r"(?<![\w/.<>*-])[\w/]+\.(?:py|lua|md)\b")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code(page: Path) -> Iterator[str]:
    """Yield a page's code blocks and the code in its sentences."""
    text = page.read_text(encoding="utf-8")
    yield from _FENCE.findall(text)
    yield from _CODE.findall(_FENCE.sub("", text))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: list[str] = []
    for heading in _HEADING.findall(prose(page)):
        text = _LINK.sub(lambda match: match[0].partition("]")[0].lstrip("!["), heading)
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each `./run` command of a page with its options."""
    for piece in code(page):
        for name, arguments in _RUN.findall(piece.replace("\\\n", " ")):
            yield name, _OPTION.findall(arguments)


def broken_links(page: Path) -> list[str]:
    """Return a page's relative links without a file, or without the heading in it."""
    broken = []
    for link in _LINK.findall(_CODE.sub("", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def unknown_commands(page: Path) -> list[str]:
    """Return a page's `./run` commands and options that the program does not accept."""
    known = typer.main.get_group(app).commands
    unknown = []
    for name, options in commands(page):
        if name not in known:
            unknown.append(name)
        elif "ignore_unknown_options" not in known[name].context_settings:
            accepted = _options(known[name])
            unknown += [f"{name} {each}" for each in options if each not in {*accepted, "--help"}]
    return unknown


def _options(command: Any) -> set[str]:
    """Return the options of a command, or of all commands of a group."""
    own = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return own.union(*(_options(each) for each in getattr(command, "commands", {}).values()))


def missing_paths(page: Path) -> list[str]:
    """Return the paths in a page's sentences, in code style, that do not exist.

    A path is relative to the page, the repository or `gateway/`; the end of a file's path is
    enough. Of a path with a placeholder (`tests/wire/<carrier>/`), the folder before it must exist.
    """
    text = "\n".join(_CODE.findall(prose(page)))
    paths = set(_PATH.findall(text))
    files = set(_FILE.findall(text)) - paths
    return sorted(
        [path for path in paths if not (ROOT / path.partition("<")[0]).exists()]
        + [name for name in files if not (page.parent / name).exists() and not _is_path_end(name)]
    )


def _is_path_end(name: str) -> bool:
    """Return whether a name is the end of some file's path."""
    return (ROOT / name).exists() or any(
        str(path).endswith(f"/{name}")
        for folder in ROOT.glob("[!.]*/")
        for path in folder.rglob(Path(name).name)
    )


def test_pages_are_found() -> None:
    assert {ROOT / "README.md", ROOT / "docs/glossary.md"} <= set(PAGES)


@each_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert not broken_links(page)


@each_page
def test_commands_and_options_exist(page: Path) -> None:
    assert not unknown_commands(page)


@each_page
def test_started_modules_exist(page: Path) -> None:
    named = {name for piece in code(page) for name in _MODULE.findall(piece)}
    assert not {name for name in named if importlib.util.find_spec(name) is None}


@each_page
def test_paths_in_code_exist(page: Path) -> None:
    assert not missing_paths(page)


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_readme_links_to_each_page(page: Path) -> None:
    if page.name != "fault-matrix.md":  # reliability.md links to it
        assert str(page.relative_to(ROOT)) in _LINK.findall(prose(ROOT / "README.md"))


def test_mistakes_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `page`: the 2nd\n[ok](#a-page-the-2nd) [file](other.md) [heading](page.md#none)\n"
        "`gateway/none.py`, `gateway/app.py`, `calls/none.py`, `calls/track.py`, "
        "`tests/wire/<carrier>`, `none/<carrier>`\n"
        "```\n./run demo --none --json\n./run none\n./run test -x\n```\n"
    )
    assert broken_links(page) == ["other.md", "page.md#none"]
    assert missing_paths(page) == ["calls/none.py", "gateway/none.py"]
    assert unknown_commands(page) == ["demo --none", "none"]
