"""Reads the code blocks of the pages, and the shell commands in them.

A block has a language: `sh` has commands only, `console` has a command after each `$` and what it
prints, `crontab` has a command after each time. If a command cannot run on any machine, the
paragraph before its block says what it needs: "Needs: Docker and an AWS account."
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(ROOT.glob("docs/*.md")),
]

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_NEEDS: Final = re.compile(r"\bNeeds: ([^.]+)\.")
_BREAK: Final = re.compile(r"\n\s*\n|^ *```$", re.MULTILINE)
_COMMENT: Final = re.compile(r" +# .*$", re.MULTILINE)

# What a page may say that a command needs, and how the command fails without it.
NEEDS: Final = {
    "an AWS account": r"[Uu]nable to locate credentials|no-credentials",
    "a model server": r"connect-refused|host-unreachable|ClientConnectorError|no worker makes",
    "a Kubernetes cluster": r"connection refused|was refused",
    "Docker": r"Cannot connect to the Docker daemon",
    "access to PyPI": r"tcp connect error",
}
# What else a reader may need, which shows later than in the first failure.
MORE_NEEDS: Final = {"a GPU", "a registry"}


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page: `text` is not indented, `needs` is what the page says above it."""

    language: str
    text: str
    needs: tuple[str, ...] = ()

    def commands(self) -> Iterator[str]:
        """Yield the block's shell commands; one may have several lines."""
        match self.language:
            case "sh":
                yield from _whole(_COMMENT.sub("", self.text).splitlines())
            case "console":
                yield from re.findall(r"^\$ (.+)$", self.text, re.MULTILINE)
            case "crontab":
                yield from (line.split(maxsplit=5)[5] for line in self.text.splitlines())
            case _:
                pass


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a page."""
    found = []
    for match in _FENCE.finditer(text):
        indent, language, code = match.groups()
        above = _BREAK.split(text[: match.start()].rstrip())[-1]
        needs = [
            need
            for listed in _NEEDS.findall(" ".join(above.split()))
            for need in re.split(r", | and | or ", listed)
        ]
        code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        found.append(Block(language, code, tuple(needs)))
    return found


def read(page: Path) -> list[Block]:
    """Return the code blocks of a page's file."""
    return blocks(page.read_text(encoding="utf-8"))


def documented(page: str, command: str) -> list[str]:
    """Return the arguments of a `./run` command of a page, for a test that runs it.

    Args:
        page: the page's path in the repository.
        command: the command as it is written there.
    """
    listed = [each for block in read(ROOT / page) for each in block.commands()]
    assert command in listed, f"{page} has no command {command}"
    return command.split()[1:]


def _whole(lines: list[str]) -> Iterator[str]:
    """Join lines until the shell accepts them as complete."""
    command = ""
    for line in lines:
        command += line
        if command.strip() and not command.endswith("\\") and _is_complete(command):
            yield command
            command = ""
        elif command:
            command += "\n"
    assert not command.strip(), f"not a shell command: {command}"


def _is_complete(command: str) -> bool:
    if not re.search(r"(^|[;{])\s*(for|if|while|\{)\b", command):
        return True
    check = ("bash", "-n", "-c", command)
    return subprocess.run(check, capture_output=True, check=False).returncode == 0  # noqa: S603
