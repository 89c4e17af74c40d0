"""The dashboards: valid for Grafana, uniform, and without metrics that do not exist.

`tests/deploy/prometheus/test_exported.py` compares their expressions with running processes.
"""

from itertools import combinations
from pathlib import Path

import jsonschema
import pytest

from tests.deploy.watching import DASHBOARDS, ROOT, panels, parsed

SCHEMA = parsed(Path(__file__).with_name("dashboard.schema.json"))
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


@each_dashboard
def test_dashboard_matches_the_schema(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert [error.message for error in validator.iter_errors(parsed(path))] == []


def test_schema_refuses_misspelled_names() -> None:
    dashboard = parsed(DASHBOARDS[0])
    dashboard["panels"][0]["fieldconfig"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(dashboard, SCHEMA, jsonschema.Draft202012Validator)


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
