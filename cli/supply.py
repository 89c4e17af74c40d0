"""`./run lock`, `sbom`, `licences` and `audit`: the packages that the product is made of."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError

_ROOT: Final = Path(__file__).resolve().parents[1]
_BIN: Final = Path(sys.executable).parent
_LOCKS: Final = _ROOT / "requirements"
_OLDEST_PYTHON: Final = "3.12"
# "dev" contains all of them.
EXTRAS: Final = ("otel", "kafka", "search-postgres", "workers", "wrapup", "local", "dev")
GROUPS: Final = ("bridge",)  # of pyproject.toml, without the product's own dependencies
OPTIONAL: Final = ("otel", "kafka", "search-postgres")  # shipped to those who want them
SHIPPED: Final = "local"  # everything that runs outside the development of the product

# Licences that allow what the product does with a package: use it and distribute it unchanged.
_ALLOWED: Final = (
    "Apache", "BSD", "MIT", "ISC", "Python Software Foundation", "PSF", "MPL-2.0",
    "Mozilla Public License 2.0", "Unlicense", "Zlib", "0BSD", "CC0",
)  # fmt: skip
_REFUSED: Final = re.compile(
    r"GPL|General Public|SSPL|Commons Clause|proprietary|evaluation|unknown", re.IGNORECASE
)

Extra = Annotated[str, typer.Argument(help=f"One of {', '.join(EXTRAS)}.")]


def lock(
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest versions that pyproject.toml allows.")
    ] = False,
) -> None:
    """Write requirements/: each package with its hashes.

    The files are for Python 3.12 and newer. Without --upgrade, versions that still fit stay as they
    are.
    """
    for extra in (*reversed(EXTRAS), *GROUPS):
        others = () if extra == "dev" else ("--constraints", str(_LOCKS / "dev.txt"))
        more = ("--upgrade",) if upgrade else ()
        source = ("pyproject.toml", "--extra") if extra in EXTRAS else ("--group",)
        _tool(
            *("uv", "pip", "compile", "requirements/build.in", *source, extra),
            *("--universal", f"--python-version={_OLDEST_PYTHON}", "--generate-hashes"),
            *("--no-annotate", "--no-header", "--quiet", *others, *more),
            *("--output-file", f"requirements/{extra}.txt"),
        )
        print(f"requirements/{extra}.txt")  # noqa: T201 - for the terminal


def sbom(extra: Extra = SHIPPED, out: Annotated[Path | None, typer.Option()] = None) -> None:
    """Write a bill of materials with hashes, in CycloneDX JSON."""
    text = bill_of_materials(extra)
    if out is None:
        print(text)  # noqa: T201 - for a pipe
    else:
        out.write_text(text, encoding="utf-8")


def bill_of_materials(extra: str) -> str:
    """Return the bill of materials of an extra as CycloneDX JSON.

    Raises:
        CommandError: there is no such extra.
    """
    return _tool(
        *("cyclonedx-py", "requirements", str(_lock_of(extra)), "--pyproject", "pyproject.toml"),
        *("--mc-type", "application", "--output-reproducible", "--of", "JSON"),
    )


def licences() -> None:
    """List the licences of what is shipped; refuse some."""
    listed: dict[str, str] = {}
    for extra in (SHIPPED, *OPTIONAL):
        listed |= licences_of(extra)
    for name, licence in listed.items():
        print(f"{name:32} {licence}")  # noqa: T201 - for the terminal
    if refused := [name for name, licence in listed.items() if not is_allowed(licence)]:
        raise CommandError(f"these licences must be reviewed: {', '.join(refused)}")


def licences_of(extra: str) -> dict[str, str]:
    """Return the licence of each installed package of an extra."""
    names = sorted(locked(extra))
    found = json.loads(_tool("pip-licenses", "--from=mixed", "--format=json", "--packages", *names))
    return {each["Name"]: each["License"] for each in found}


def is_allowed(licence: str) -> bool:
    """Return whether a package with this licence may be shipped."""

    def names(each: str) -> bool:
        return re.search(rf"\b{re.escape(each)}(?![a-z])", licence, re.IGNORECASE) is not None

    return not _REFUSED.search(licence) and any(map(names, _ALLOWED))


def audit(extra: Extra = SHIPPED) -> None:
    """Look for published vulnerabilities of the packages.

    Code 1: there are some. Code 2: pypi.org has no data here, so nothing is known.
    """
    command = ("pip-audit", "--requirement", str(_lock_of(extra)), "--no-deps", "--disable-pip")
    done = subprocess.run(  # noqa: S603 (ours)
        (_BIN / command[0], *command[1:], "--format=json", "--progress-spinner=off"),
        cwd=_ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise CommandError(f"pip-audit failed: {_last_line(done.stderr)}") from None
    report(packages)


def report(packages: Sequence[Mapping[str, Any]]) -> None:
    """Print the result of an audit.

    Raises:
        CommandError: no package was audited.
    """
    skipped = [each for each in packages if "skip_reason" in each]
    if len(skipped) == len(packages):
        raise CommandError(
            "nothing was audited: the index that pip uses here has no vulnerability data"
        )
    hits = [each for each in packages if each.get("vulns")]
    for each in hits:
        ids = ", ".join(vuln["id"] for vuln in each["vulns"])
        print(f"{each['name']} {each['version']}: {ids}")  # noqa: T201 - for the terminal
    for each in skipped:
        print(f"{each['name']}: not audited, {each['skip_reason']}")  # noqa: T201
    audited = len(packages) - len(skipped)
    print(f"{audited} packages audited, {len(hits)} with vulnerabilities")  # noqa: T201
    if hits:
        raise typer.Exit(1)


def locked(extra: str) -> dict[str, str]:
    """Return the version of each package in a lock."""
    lines = _lock_of(extra).read_text(encoding="utf-8").splitlines()
    pins = (line.split(" ")[0].partition("==") for line in lines if line[:1].isalnum())
    return {name: version for name, _, version in pins}


def _lock_of(extra: str) -> Path:
    if extra not in (*EXTRAS, *GROUPS):
        raise CommandError(f"there is no extra {extra!r}; choose one of {', '.join(EXTRAS)}")
    return _LOCKS / f"{extra}.txt"


def _tool(name: str, *arguments: str) -> str:
    """Run a tool of the environment in the project's folder; return what it printed."""
    done = subprocess.run(  # noqa: S603 (ours)
        (_BIN / name, *arguments),
        cwd=_ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"{name} failed: {_last_line(done.stderr or done.stdout)}")
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a message"])[-1]
