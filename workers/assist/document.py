"""Parse YAML into plain values, and keep the line of each. Pure.

The parser accepts a part of YAML: mappings, lists and scalars. Anchors, aliases and tags are
refused, so a small file can't become a large value. Scalars stay text: `no` is a word to listen
for, not a truth value.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import yaml

MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 12

type Value = str | list[Value] | dict[str, Value]
type Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A place in the file, counted from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One thing that is wrong in the file."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place.line}:{self.place.column}: {self.message}"


class DocumentError(Exception):
    """The text is not a document that this parser accepts."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(slots=True)
class Document:
    """The values of a file, and where they are.

    Attributes:
        value: the whole document.
        places: by path, where a value begins; `key_places` where the key of a mapping begins.
    """

    value: Value = ""
    places: dict[Path, Place] = field(default_factory=dict)
    key_places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Return the place of a value, or of the nearest one around it that exists."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def parse(text: str) -> Document:
    """Parse a document.

    Raises:
        DocumentError: it is too large or nested too deeply, malformed, or uses what is not
            accepted.
    """
    if len(text) > MAX_BYTES:
        raise DocumentError([Problem(Place(1, 1), f"the file exceeds {MAX_BYTES} bytes")])
    try:
        problems = _refused(text)
        if problems:
            raise DocumentError(problems)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not YAML: {error.problem or error.context}"
        raise DocumentError([Problem(_place(mark), message)]) from None
    except (yaml.YAMLError, ValueError) as error:  # e.g. characters that are not printable
        reason = getattr(error, "reason", "malformed")
        raise DocumentError([Problem(Place(1, 1), f"is not YAML: {reason}")]) from None
    if root is None:
        raise DocumentError([Problem(Place(1, 1), "the file is empty")])
    document = Document()
    found: list[Problem] = []
    document.value = _value(root, (), document, found)
    if found:
        raise DocumentError(found)
    return document


def _refused(text: str) -> list[Problem]:
    """Return what the parser does not accept, before anything is built from the text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            return [Problem(place, "anchors and aliases (& and *) are not accepted")]
        if getattr(event, "tag", None):
            return [Problem(place, "tags (!) are not accepted")]
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                return [Problem(place, f"nested more than {_MAX_DEPTH} levels deep")]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return []


def _value(node: yaml.Node, path: Path, document: Document, problems: list[Problem]) -> Value:
    document.places[path] = _place(node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*path, at), document, problems) for at, each in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document, problems)
    return str(node.value)


def _mapping(
    node: yaml.MappingNode, path: Path, document: Document, problems: list[Problem]
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, value in node.value:
        place = _place(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            problems.append(Problem(place, "a key must be text"))
            continue
        name = str(key.value)
        if name in values:
            problems.append(Problem(place, f"{name} is given twice"))
        document.key_places[*path, name] = place
        values[name] = _value(value, (*path, name), document, problems)
    return values


def _place(mark: Any) -> Place:  # noqa: ANN401  # the C parser has a class of its own
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
