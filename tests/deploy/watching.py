"""The rules and dashboards as data: their alerts, panels, expressions and selectors."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser
import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
PROMETHEUS: Final = ROOT / "deploy/prometheus"
RULES: Final = sorted(PROMETHEUS.glob("rules/*.yml"))
RULE_TESTS: Final = sorted((ROOT / "tests/deploy/prometheus").glob("*_test.yml"))
DASHBOARDS: Final = sorted(ROOT.glob("deploy/grafana/dashboards/*.json"))

_TIMEOUT_S: Final = 60


def _needs(tool: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(tool) is None,
        reason=f"{tool} is not installed: ./run test fetches it on Debian as root; elsewhere, "
        f"install your system's package {package}",
    )


needs_promtool = _needs("promtool", "prometheus")
needs_prometheus = _needs("prometheus", "prometheus")
needs_amtool = _needs("amtool", "prometheus-alertmanager")


def run(*command: str | Path) -> str:
    """Run a tool that must succeed; return its output."""
    done = subprocess.run(  # noqa: S603 (commands of the tests)
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parsed(path: Path) -> Any:
    """Return a YAML or JSON file's content."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def rules(kind: str) -> list[dict[str, Any]]:
    """Return all rules of a kind: `alert` or `record`."""
    groups = [group for path in RULES for group in parsed(path)["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def panels(path: Path) -> list[dict[str, Any]]:
    """Return a dashboard's panels."""
    found: list[dict[str, Any]] = parsed(path)["panels"]
    return found


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and which of its result's labels are shown."""

    where: str
    expression: str
    shown: frozenset[str] = frozenset()


def queries() -> list[Query]:
    """Return the expressions of all rules and of all panels with Prometheus as their source."""
    return [*_rule_queries(), *_panel_queries()]


def _rule_queries() -> Iterator[Query]:
    for rule in (*rules("alert"), *rules("record")):
        shown = re.findall(r"\$labels\.(\w+)", json.dumps(rule.get("annotations", {})))
        yield Query(rule.get("alert") or rule["record"], rule["expr"], frozenset(shown))


def _panel_queries() -> Iterator[Query]:
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                if "expr" in target:
                    expression = target["expr"].replace("$__rate_interval", "5m")
                    shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
                    yield Query(f"{path.name}: {panel['title']}", expression, frozenset(shown))


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric's name in an expression, and its matchers: label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> list[Selector]:
    """Return the selectors of an expression."""
    found: list[Selector] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            matchers = ((each.name, str(each.op), each.value) for each in node.matchers.matchers)
            found.append(Selector(node.name or "", tuple(matchers)))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def grouped_by(expression: str) -> set[str]:
    """Return the labels that an expression's aggregations name."""
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found
