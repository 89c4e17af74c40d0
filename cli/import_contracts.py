"""The import contract of pure modules, for import-linter."""

import ast
from pathlib import Path
from typing import Any, Final

from importlinter.contracts.forbidden import ForbiddenContract

_MARK: Final = "Pure."
_ROOT: Final = Path(__file__).resolve().parents[1]


class PureContract(ForbiddenContract):
    """Forbids imports in each module or package whose docstring has the mark "Pure" as a sentence.

    Options are those of import-linter's forbidden contract, without `source_modules`.
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
    paths = [path for package in packages for path in (_ROOT / package).rglob("*.py")]
    return sorted(_name_of(path) for path in paths if _is_marked(path))


def _is_marked(path: Path) -> bool:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return _MARK in text.partition("\n\n")[0]


def _name_of(path: Path) -> str:
    parts = path.relative_to(_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
