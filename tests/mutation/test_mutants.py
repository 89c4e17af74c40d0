"""The mutator: its mutants compile, differ from the original, and cover each kind of change."""

import ast

import pytest

from tests.mutation.mutants import mutants
from tests.mutation.targets import ROOT, TARGETS


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", [("a < b", "a <= b")]),
        ("a is b", [("a is b", "a is not b")]),
        ("a < b == c", [("a < b == c", "a <= b == c"), ("a < b == c", "a < b != c")]),
        ("a and b", [("a and b", "a or b")]),
        ("not a", [("not a", "a")]),
        ("a = True", [("True", "False")]),
        ("a = 80", [("80", "81")]),
        ("a + b", [("a + b", "a - b")]),
        ("f(a, b)", [("f(a, b)", "pass"), ("f(a, b)", "f(b, a)")]),
        ("f(*a, b)", [("f(*a, b)", "pass")]),
        ("f(a, a)", [("f(a, a)", "pass")]),
        ("x = b if a else c", [("b if a else c", "b if not a else c")]),
        ("a += b", [("a += b", "pass")]),
        ("a.b = c", [("a.b = c", "pass")]),
        ("raise a", [("raise a", "pass")]),
        ("a = b", []),
        ("'text'", []),
    ],
)
def test_each_kind_of_change(source: str, expected: list[tuple[str, str]]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "a: Final[4]",
        "def f(a: x[1]) -> y[2]: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "class A(Struct, frozen=True): ...",
        '"""4 < 5."""',
    ],
)
def test_types_options_of_classes_and_docstrings_stay(source: str) -> None:
    assert changes(source) == []


def test_line_is_that_of_the_change() -> None:
    [mutant] = mutants("# a comment\n\nx = (\n    a\n    + b\n)\n")
    assert mutant.line == 4
    assert mutant.change == "a + b  =>  a - b"


@pytest.mark.parametrize("path", TARGETS)
def test_mutants_of_a_module_compile_and_differ(path: str) -> None:
    source = (ROOT / path).read_text()
    original = "\n".join(ast.unparse(statement) for statement in ast.parse(source).body)
    found = list(mutants(source))
    assert found
    for mutant in found[::5]:
        compile(mutant.source, path, "exec", dont_inherit=True)
        assert mutant.source != original
        assert 1 <= mutant.line <= source.count("\n")


@pytest.mark.parametrize("path", TARGETS)
def test_tests_of_a_module_exist(path: str) -> None:
    assert [name for name in TARGETS[path] if not (ROOT / name).exists()] == []
