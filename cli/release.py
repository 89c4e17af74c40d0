"""`./run release`: cut the changelog, set the version, build, commit and tag."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from packaging.version import InvalidVersion, Version

from cli.errors import CommandError
from cli.supply import SHIPPED, bill_of_materials

_ROOT: Final = Path(__file__).resolve().parents[1]
_PROJECT: Final = _ROOT / "pyproject.toml"
_CHANGELOG: Final = _ROOT / "CHANGELOG.md"
_CHART: Final = _ROOT / "deploy/helm/callscribe/Chart.yaml"
_UNRELEASED: Final = "## Unreleased\n"
_VERSION: Final = re.compile(r'^version = "(.+)"$', re.MULTILINE)
_TIMEOUT_S: Final = 300


def release(
    version: Annotated[str, typer.Argument(help="The new version, such as 0.2.0.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build dist/ and show the notes; change nothing else.")
    ] = False,
) -> None:
    """Cut the changelog, set the version, build, commit and tag.

    Nothing is pushed. dist/ gets the wheel, which a second build must reproduce, a bill of
    materials and SHA256SUMS.
    """
    before = {path: path.read_text(encoding="utf-8") for path in (_PROJECT, _CHANGELOG, _CHART)}
    _check_repository(version)
    text, notes = cut(before[_CHANGELOG], version, datetime.now(UTC).date().isoformat())
    project = with_version(before[_PROJECT], version)
    _write({_PROJECT: project, _CHANGELOG: text, _CHART: of_version(before[_CHART], version)})
    try:
        _build(_ROOT / "dist")
        if not dry_run:
            _git("commit", "--quiet", "--message", f"Release {version}", *map(str, before))
    except BaseException:
        _write(before)
        raise
    print(notes)  # noqa: T201 - for the terminal
    if dry_run:
        _write(before)
        return
    text = f"Callscribe {version}\n\n{notes}"  # git would drop its headings as comments
    _git("tag", "--annotate", "--cleanup=whitespace", f"v{version}", "--message", text)
    print(f"Tagged v{version}. To publish it: git push --follow-tags")  # noqa: T201


def cut(changelog: str, version: str, day: str) -> tuple[str, str]:
    """Return the changelog with a section for a version, and the notes in that section.

    Raises:
        CommandError: nothing is unreleased.
    """
    before, found, rest = changelog.partition(_UNRELEASED)
    notes, next_section, older = rest.partition("\n## ")
    if not found or not notes.strip():
        raise CommandError("CHANGELOG.md has nothing under Unreleased")
    heading = f"{_UNRELEASED}\n## {version} - {day}\n"
    return f"{before}{heading}{notes}{next_section}{older}", notes.strip()


def with_version(project: str, version: str) -> str:
    """Return pyproject.toml with a newer version.

    Raises:
        CommandError: the version is malformed, or not newer.
    """
    match = _VERSION.search(project)
    if match is None:
        raise CommandError("pyproject.toml has no version")
    try:
        new, old = Version(version), Version(match[1])
    except InvalidVersion:
        raise CommandError(f"{version!r} is not a version; 0.2.0 is one") from None
    if str(new) != version:
        raise CommandError(f"write the version as {new}")
    if new <= old:
        raise CommandError(f"{version} is not newer than {old}")
    return _VERSION.sub(f'version = "{version}"', project, count=1)


def of_version(chart: str, version: str) -> str:
    """Return Chart.yaml with a version of the chart and of the images that it installs."""
    return re.sub(r"^(version|appVersion): \S+", rf"\1: {version}", chart, flags=re.MULTILINE)


def _check_repository(version: str) -> None:
    if _git("status", "--porcelain"):
        raise CommandError("there are uncommitted changes; commit or stash them first")
    if _git("tag", "--list", f"v{version}"):
        raise CommandError(f"the tag v{version} exists")


def _build(dist: Path) -> None:
    """Build the wheel twice, and write dist/ if both are equal.

    Raises:
        CommandError: the builds differ, or one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build_wheel(Path(folder) / name) for name in ("1", "2"))
        if first.read_bytes() != second.read_bytes():
            raise CommandError("two builds of the wheel differ")
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir()
        shutil.copy(first, dist)
    (dist / "sbom.json").write_text(bill_of_materials(SHIPPED), encoding="utf-8")
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(dist.iterdir())
    ]
    (dist / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the files in the working tree that git knows.

    Args:
        folder: for the sources and the wheel; it must not exist.
    """
    for name in _git("ls-files", "-z").split("\0"):
        if name and (_ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_ROOT / name, target)
    done = subprocess.run(  # noqa: S603 (ours)
        (
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-cache-dir"),
            *("--wheel-dir", str(folder), str(folder / "source")),
        ),
        env={**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct").strip()},
        capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"pip could not build the wheel: {done.stderr.strip()[-300:]}")
    return next(folder.glob("*.whl"))


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")


def _git(*arguments: str) -> str:
    """Return the output of git in the project's folder."""
    done = subprocess.run(  # noqa: S603 (ours)
        ("git", *arguments),  # noqa: S607
        cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
