"""Mutants of a module: copies of its source, each with one small change. Pure."""

import ast
import copy
from collections.abc import Iterator
from typing import Final, NamedTuple

_OPPOSITES: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
# Parts of the tree that tests cannot notice: types, and options of classes such as frozen=True.
_SKIPPED: Final = frozenset(
    {"annotation", "returns", "decorator_list", "type_params", "bases", "keywords_of_class"}
)


class Mutant(NamedTuple):
    """One change of one module."""

    line: int
    before: str
    after: str
    source: str

    @property
    def change(self) -> str:
        """The changed expression or statement, before and after, on one line."""
        return f"{_short(self.before)}  =>  {_short(self.after)}"


class _Site(NamedTuple):
    """A node, and where it can be replaced."""

    parent: ast.AST
    field: str
    position: int | None  # in the field, if that is a list
    node: ast.AST

    def put(self, node: ast.AST) -> None:
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


def mutants(source: str) -> Iterator[Mutant]:
    """Yield all mutants of a module, in the order of its lines within each block."""
    tree = ast.parse(source)
    parts = [ast.unparse(statement) for statement in tree.body]
    for number, statement in enumerate(tree.body):
        block = ast.Module([statement], [])
        before, after = parts[:number], parts[number + 1 :]
        for site in list(_sites(block)):
            for changed in _variants(site.node):
                site.put(changed)
                text = "\n".join((*before, ast.unparse(block), *after))
                site.put(site.node)
                line: int = getattr(site.node, "lineno", 0)
                yield Mutant(line, _text(site.node), _text(changed), text)


def _sites(parent: ast.AST) -> Iterator[_Site]:
    for field, value in ast.iter_fields(parent):
        name = f"{field}_of_class" if isinstance(parent, ast.ClassDef) else field
        if _SKIPPED & {field, name}:
            continue
        for position, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST):
                yield _Site(parent, field, position, node)
                yield from _sites(node)


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=operators):
            for index, operator in enumerate(operators):
                swapped = copy.copy(node)
                swapped.ops = [*operators]
                swapped.ops[index] = _OPPOSITES[type(operator)]()
                yield swapped
        case ast.BoolOp(op=both, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(both, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(number + 1)
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            yield ast.BinOp(node.left, _OPERATORS[type(operator)](), node.right)
        case ast.Call(func=ast.Name(id="min" | "max")):
            pass  # the order of arguments has no effect
        case ast.Call(args=[first, second, *others]) if _may_swap(first, second):
            yield ast.Call(node.func, [second, first, *others], node.keywords)
        case ast.If() | ast.While() | ast.IfExp() if _is_plain(node.test):
            negated = copy.copy(node)
            negated.test = ast.UnaryOp(ast.Not(), node.test)
            yield negated
        case (
            ast.Expr(value=ast.Call())
            | ast.AugAssign()
            | ast.Raise()
            | ast.Break()
            | ast.Continue()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
        ):
            yield ast.Pass()
        case _:
            pass


def _text(node: ast.AST) -> str:
    """Return the source of a node; of a statement with a body, only its condition."""
    if isinstance(node, ast.If | ast.While):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    return ast.unparse(node)


def _is_plain(test: ast.expr) -> bool:
    """Return whether no other variant negates this condition."""
    return not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant)


def _may_swap(first: ast.expr, second: ast.expr) -> bool:
    stars = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
    return not stars and ast.dump(first) != ast.dump(second)


def _short(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
