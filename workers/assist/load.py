"""Read a rules file: its text becomes rules, or all its errors at once, with their lines."""

import difflib
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from common import wording
from workers.assist.document import MAX_BYTES, Document, DocumentError, Path, Problem, parse
from workers.assist.program import Ruleset
from workers.assist.rules import KINDS, Rule, RuleFile

_BY_KIND: Final[dict[str, type[BaseModel]]] = dict(
    zip(KINDS, get_args(Rule.__value__), strict=True)
)
_OF_LISTS: Final = {"too_short": "must not be empty", "too_long": "has too many items"}


class RulesError(Exception):
    """A rules file can't be used. The message has a line per problem, without the file's name."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


class RulesUnreadableError(Exception):
    """The file can't be read. The message says why, without the file's name."""


def read_file(path: FilePath) -> bytes:
    """Return the contents of a rules file.

    Raises:
        RulesUnreadableError: it can't be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RulesUnreadableError(error.strerror or "can't be read") from None
    if len(data) > MAX_BYTES:
        raise RulesUnreadableError(f"exceeds {MAX_BYTES} bytes")
    return data


def compile_file(data: bytes) -> Ruleset:
    """Return the rules in the contents of a file, ready to be applied.

    Raises:
        RulesError: it has mistakes.
        RulesUnreadableError: it is not text in UTF-8.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise RulesUnreadableError("is not text in UTF-8") from None
    ruleset = Ruleset(read_rules(text))
    ruleset.compile_all()
    return ruleset


def read_rules(text: str) -> RuleFile:
    """Parse and check the text of a rules file.

    Raises:
        RulesError: it has mistakes; all of them are in the error.
    """
    try:
        document = parse(text)
    except DocumentError as error:
        raise RulesError(error.problems) from None
    problems: list[Problem] = []
    file = None
    try:
        file = RuleFile.model_validate(document.value)
    except ValidationError as error:
        details = error.errors(include_context=True, include_input=False, include_url=False)
        problems += [_problem(document, each) for each in details]
    problems += _repeated_ids(document)
    if file is None or problems:
        raise RulesError(problems)
    return file


def _problem(document: Document, detail: Any) -> Problem:  # noqa: ANN401  # pydantic's ErrorDetails
    path, kind = _located(document, detail["loc"])
    name = _name(path)
    match detail["type"]:
        case "extra_forbidden":
            place = document.key_places.get(path, document.place(path))
            return Problem(place, f"{name} is not a key here{_suggestion(str(path[-1]), kind)}")
        case "union_tag_invalid":
            place = document.place((*path, "kind"))
            return Problem(place, f"{name}.kind must be one of {', '.join(KINDS)}")
        case "union_tag_not_found":
            return Problem(document.place(path), f"{name} needs a kind: {', '.join(KINDS)}")
        case "model_attributes_type" | "dict_type" | "model_type":
            return Problem(document.place(path), f"{name} must be a mapping of keys to values")
        case other:
            is_list = detail.get("ctx", {}).get("field_type") == "Tuple"
            message = (is_list and _OF_LISTS.get(other)) or wording.sentence(detail, None)
            return Problem(document.place(path), f"{name} {message}")


def _located(document: Document, location: tuple[str | int, ...]) -> tuple[Path, str]:
    """Return the path of an error in the document, and the kind of the rule around it.

    Pydantic's locations contain the kinds of rules, which are no keys of the document.
    """
    path: Path = ()
    kind = ""
    for part in location:
        if len(path) == 2 and path[0] == "rules" and not kind and part in _BY_KIND:
            kind = str(part)
            continue
        path = (*path, part)
    return path, kind


def _name(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the file"


def _suggestion(key: str, kind: str) -> str:
    known = list((_BY_KIND.get(kind) or RuleFile).model_fields)
    close = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def _repeated_ids(document: Document) -> list[Problem]:
    rules = document.value.get("rules") if isinstance(document.value, dict) else None
    seen: set[str] = set()
    problems = []
    for at, rule in enumerate(rules if isinstance(rules, list) else ()):
        rule_id = rule.get("id") if isinstance(rule, dict) else None
        if isinstance(rule_id, str):
            if rule_id in seen:
                place = document.place(("rules", at, "id"))
                problems.append(Problem(place, f"rules[{at}].id is the id of an earlier rule, too"))
            seen.add(rule_id)
    return problems
