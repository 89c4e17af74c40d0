"""The check "style" of `./run check`: rules of plain technical English that a tool can test.

Three rules, for files under version control:

 - a function's docstring opens with what the function does: not with a verb of `_FIRST_VERBS`;
 - a property's docstring is a noun phrase: it does not open with such a verb, nor with "Return";
 - no comment, docstring or page holds a phrase of `style_phrases.txt`.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_ROOT: Final = Path(__file__).resolve().parents[1]
_PHRASES: Final = Path(__file__).with_name("style_phrases.txt")
_FIRST_VERBS: Final = frozenset(
    ["Give", "Take", "Learn", "Have", "Tell", "Say", "Let", "Know", "See", "Live"]
)
_PROPERTIES: Final = frozenset({"property", "cached_property"})
_QUOTED: Final = re.compile(r"`[^`]*`|\"[^\"\n]*\"")
_FENCED: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

type Definition = ast.FunctionDef | ast.AsyncFunctionDef


class Finding(NamedTuple):
    """One place where a rule is broken."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Phrase(NamedTuple):
    """A phrase not to use."""

    pattern: re.Pattern[str]
    instead: str


def main() -> None:
    """Check the files named on the command line, or all; exit with 1 if a rule is broken."""
    names = sys.argv[1:] or _listed()
    phrases = read_phrases(_PHRASES.read_text(encoding="utf-8"))
    found = [each for name in names for each in check(name, _read(name), phrases)]
    sys.stdout.writelines(f"{each}\n" for each in found)
    sys.exit(bool(found))


def check(path: str, text: str, phrases: list[Phrase]) -> list[Finding]:
    """Return the findings in one file, in the order of its lines."""
    if path.endswith(".md"):
        prose = [(1, _blank(_FENCED, text))]
        found = []
    else:
        prose = [*_comments(text)]
        found = [Finding(path, *each) for each in _openings(ast.parse(text))]
    for line, passage in prose:
        found += [Finding(path, line + at, why) for at, why in _banned(passage, phrases)]
    return sorted(found)


def read_phrases(text: str) -> list[Phrase]:
    """Parse the list of phrases: one regular expression and its suggestion per line."""
    pairs = [line.split(" => ") for line in text.splitlines() if line and not line.startswith("#")]
    return [Phrase(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in pairs]


def _listed() -> list[str]:
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md")
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return [name for name in done.stdout.splitlines() if (_ROOT / name).is_file()]


def _read(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def _openings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, Definition.__value__) and (text := ast.get_docstring(node)):
            first = re.split(r"\W", text, maxsplit=1)[0]
            if first in _FIRST_VERBS or (first == "Return" and _is_property(node)):
                yield node.lineno, f"docstring of {node.name} opens with {first}"


def _is_property(node: Definition) -> bool:
    return any(
        isinstance(each, ast.Name) and each.id in _PROPERTIES for each in node.decorator_list
    )


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and docstrings, each with its first line's number."""
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        starts_statement = previous in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and starts_statement):
            yield token.start[0], token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            previous = token.type


def _banned(passage: str, phrases: list[Phrase]) -> Iterator[tuple[int, str]]:
    plain = passage if passage.startswith("#") else passage.strip('"')
    plain = _blank(_QUOTED, plain)
    for phrase in phrases:
        for match in phrase.pattern.finditer(plain):
            line = plain.count("\n", 0, match.start())
            yield line, f'"{match[0]}": {phrase.instead}'


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Remove what matches, but keep its line breaks."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


if __name__ == "__main__":
    main()
