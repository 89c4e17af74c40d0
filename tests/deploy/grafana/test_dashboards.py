"""The dashboards: valid for Grafana, uniform, and without metrics that do not exist.

`tests/deploy/prometheus/test_exported.py` compares their expressions with running processes.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.deploy.watching import DASHBOARDS, ROOT, panels, parsed
from tests.npm import installed

TYPES = Path(__file__).with_name("dashboard.ts")
GRAFANA = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["image"]
PACKAGES = (
    ("@grafana/schema", GRAFANA.rpartition(":")[2]),
    ("@grafana/grafana-foundation-sdk", "0.0.21"),
)
OPTIONS = {
    "noEmit": True,
    "strict": True,
    "skipLibCheck": True,
    "module": "esnext",
    "moduleResolution": "bundler",
    "target": "es2022",
}
PROVISIONING = ROOT / "deploy/grafana/provisioning"

# Names from AWS's documentation of SageMaker; not tried against a real endpoint.
CLOUDWATCH = {
    "AWS/SageMaker": {
        "ConcurrentRequestsPerModel",
        "FirstChunkLatency",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "InvocationModelErrors",
        "MidStreamErrors",
    },
    "/aws/sagemaker/Endpoints": {
        "CPUUtilization",
        "GPUMemoryUtilization",
        "GPUUtilization",
        "MemoryUtilization",
    },
}

each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def problems(dashboards: Mapping[str, str], folder: Path) -> list[str]:
    """Return what TypeScript finds in dashboards, as constants of Grafana's types."""
    compiler = installed("typescript", "7.0.2") / "bin/tsc"
    paths = {f"{name}/*": [f"{installed(name, version)}/*"] for name, version in PACKAGES}
    shutil.copy(TYPES, folder)
    for name, text in dashboards.items():
        constant = f"import type {{ File }} from './dashboard';\nexport const it: File = {text};"
        (folder / f"{name}-it.ts").write_text(constant, encoding="utf-8")
    config = {"compilerOptions": {**OPTIONS, "paths": paths}, "include": ["*-it.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(  # noqa: S603 (files of the project)
        ("node", str(compiler)),  # noqa: S607 (npm needs it, too)
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if line.strip()]


def test_dashboards_have_grafanas_types(tmp_path: Path) -> None:
    """Grafana ignores names that it does not know, so a misspelled one has no effect."""
    assert problems({path.stem: path.read_text() for path in DASHBOARDS}, tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"graphTooltip": 1', '"graphTooltip": 3'),
        ('"fieldConfig"', '"fieldconfig"'),
        ('"fillOpacity"', '"fillOpcity"'),
        ('"mode": "multi"', '"mode": "many"'),
        ('"legendFormat"', '"legend"'),
        ('"statistic"', '"statistics"'),
        ('"query": "cloudwatch"', '"queries": "cloudwatch"'),
    ],
)
def test_wrong_names_and_values_are_found(right: str, wrong: str, tmp_path: Path) -> None:
    texts = [path.read_text() for path in DASHBOARDS]
    text = next(each for each in texts if right in each)
    assert problems({"wrong": text.replace(right, wrong, 1)}, tmp_path)


@each_dashboard
def test_dashboards_and_panels_are_described_in_sentences(path: Path) -> None:
    for each in (parsed(path), *panels(path)):
        assert each["description"].endswith(".")


def test_there_is_a_dashboard_for_each_question() -> None:
    names = {"bridge", "calls", "capacity", "endpoint", "failures", "latency", "redis-workers"}
    assert {parsed(path)["uid"] for path in DASHBOARDS} == {f"callscribe-{each}" for each in names}
    assert {path.stem for path in DASHBOARDS} == names


@each_dashboard
def test_panels_have_different_names_ids_and_places(path: Path) -> None:
    found = panels(path)
    assert len({panel["title"] for panel in found}) == len(found)
    assert len({panel["id"] for panel in found}) == len(found)
    for one, other in combinations((panel["gridPos"] for panel in found), 2):
        assert not (overlap(one, other, "x", "w") and overlap(one, other, "y", "h"))
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in found))


def overlap(one: dict[str, int], other: dict[str, int], start: str, size: str) -> bool:
    return one[start] < other[start] + other[size] and other[start] < one[start] + one[size]


@each_dashboard
def test_panels_and_queries_use_one_source(path: Path) -> None:
    [source] = [each for each in parsed(path)["templating"]["list"] if each["name"] == "datasource"]
    for panel in panels(path):
        assert panel["datasource"]["type"] == source["query"]
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids)
        assert {"expr" in target for target in panel["targets"]} == {
            source["query"] != "cloudwatch"
        }


@each_dashboard
def test_shares_have_units_of_shares(path: Path) -> None:
    """Symptom to prevent: a ratio of 0.5 that is displayed as 0.5 %."""
    for panel in panels(path):
        is_share = any("ratio" in target.get("expr", "") for target in panel["targets"])
        assert is_share == (panel["fieldConfig"]["defaults"]["unit"] == "percentunit")


@each_dashboard
def test_the_first_event_of_a_kind_is_shown(path: Path) -> None:
    """Symptom: an alert fired at the first dropped event, and the panel about them stayed empty.

    A counter with labels has no series before it counts, and its rate does not see that step. Where
    events are rare, series that are younger than the window count, too.
    """
    frequent = {"audio_seconds", "words", "consumer_entries"}
    for panel in panels(path):
        for expression in (target.get("expr", "") for target in panel["targets"]):
            # All series of a bridge exist from its start.
            counter = re.search(r"\bsum by .*\bcallscribe_(?!bridge_)(\w+)_total", expression)
            if counter and counter[1] not in frequent:
                assert " unless " in expression


@each_dashboard
def test_cloudwatch_documents_each_metric(path: Path) -> None:
    for panel in panels(path):
        for target in panel["targets"]:
            if "namespace" in target:
                assert target["metricName"] in CLOUDWATCH[target["namespace"]]


def test_grafana_is_provisioned_with_the_sources_that_dashboards_need() -> None:
    sources = parsed(PROVISIONING / "datasources/callscribe.yml")["datasources"]
    needed = {panel["datasource"]["type"] for path in DASHBOARDS for panel in panels(path)}
    assert needed <= {source["type"] for source in sources}
    assert len({source["uid"] for source in sources}) == len(sources)
