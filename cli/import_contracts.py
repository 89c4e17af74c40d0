"""The import contract of pure modules, for import-linter."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any, Final

from importlinter.contracts.forbidden import ForbiddenContract

# As a sentence, or at the beginning of one: "Pure: bytes in, events out."
_MARK: Final = re.compile(r"(?<![\w\"])Pure[.:;]")


class PureContract(ForbiddenContract):
    """Forbids imports in each module or package that is marked as pure.

    The mark is the word "Pure" as a sentence, or before a colon or semicolon, in the first
    paragraph of the docstring. Options are those of import-linter's forbidden contract, without
    `source_modules`.
    """

    type_name = "pure"

    def __init__(
        self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]
    ) -> None:
        marked = pure_modules(session_options["root_packages"])
        options = {**contract_options, "source_modules": marked}
        super().__init__(name, session_options, options)


def pure_modules(packages: list[str]) -> list[str]:
    """Return the dotted names of modules and packages that are marked as pure."""
    return sorted(
        _name_of(path, package)
        for package in packages
        for path in _folder_of(package).rglob("*.py")
        if _is_marked(path)
    )


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent


def _is_marked(path: Path) -> bool:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return bool(_MARK.search(text.partition("\n\n")[0]))


def _name_of(path: Path, package: str) -> str:
    parts = path.relative_to(_folder_of(package)).with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))
