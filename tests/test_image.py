"""The images, as far as they can be checked without Docker: context, COPYs, installation."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("gateway", "local")

# Imports every module of the installed packages as the image would: from the installation and the
# dependencies it asks for, not from this checkout.
IMPORT_ALL = """
import importlib, pkgutil, sys
target, packages, missing = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
sys.path.insert(0, target)
sys.modules.update(dict.fromkeys(missing))
for name in packages:
    package = importlib.import_module(name)
    assert package.__file__.startswith(target), package.__file__
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def ignored() -> list[tuple[re.Pattern[str], bool]]:
    """Read .dockerignore: its patterns in order, and whether each one is an exception."""
    rules = []
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if pattern := line.split("#")[0].strip():
            is_exception = pattern.startswith("!")
            parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("!").strip("/"))
            wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
            text = "".join(wild.get(part, re.escape(part)) for part in parts)
            rules.append((re.compile(text), is_exception))
    return rules


def in_context(path: Path) -> bool:
    """Return whether a file is sent to the builder: the last matching pattern decides."""
    names = [str(path), *map(str, path.parents[:-1])]
    is_sent = True
    for pattern, is_exception in ignored():
        if any(pattern.fullmatch(name) for name in names):
            is_sent = is_exception
    return is_sent


def copies(stage: str) -> Iterator[tuple[str, str]]:
    """Yield the COPY instructions of a stage: source and destination."""
    current = ""
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        match line.split():
            case ["FROM", *_, name]:
                current = name
            case ["COPY", *sources, destination] if current == stage:
                yield from ((source, destination) for source in sources)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `docker build` would send."""
    folder = tmp_path_factory.mktemp("context")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(name)
        if in_context(path) and (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / path)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_every_copy_finds_its_source(context: Path, stage: str) -> None:
    """Symptom: `workers` was hidden from the build, so the image could not be built."""
    sources = [source for source, _ in copies(stage)]
    assert sources
    assert [source for source in sources if not (context / source).exists()] == []


def test_context_contains_only_copied_files(context: Path) -> None:
    needed = {source.rstrip("/") for stage in STAGES for source, _ in copies(stage)}
    assert {path.name for path in context.iterdir()} == needed


@pytest.mark.parametrize("stage", STAGES)
def test_installed_packages_import(context: Path, tmp_path: Path, stage: str) -> None:
    source, target = tmp_path / "src", tmp_path / "installed"
    source.mkdir()
    for name, destination in copies(stage):
        where = source / (name if destination == "./" else destination)
        if (context / name).is_dir():
            shutil.copytree(context / name, where)
        else:
            shutil.copyfile(context / name, where)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603 - ours
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(source)],
        check=True,
        timeout=100,
    )
    packages = sorted(path.name for path in target.iterdir() if (path / "__init__.py").is_file())
    assert {name for name, _ in copies(stage) if (ROOT / name / "__init__.py").is_file()} == set(
        packages
    )
    assert [name for name in packages if not (target / name / "py.typed").is_file()] == []
    check = [sys.executable, "-I", "-c", IMPORT_ALL, str(target), ",".join(packages)]
    subprocess.run([*check, ",".join(not_installed(stage))], check=True, timeout=100)  # noqa: S603


def not_installed(stage: str) -> list[str]:
    """Return the modules that an image of this stage does not have, by its extras."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = extras["optional-dependencies"]["dev"]
    if stage == "gateway":
        names = names + extras["optional-dependencies"]["local"] + ["moonshine-voice"]
    found = (re.split(r"[\[=;<>]", name)[0].replace("-", "_") for name in names)
    return [name for name in found if name != "callscribe"]
