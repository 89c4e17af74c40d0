"""The rules, as promtool and amtool check them, and the page that explains the alerts."""

import re
from pathlib import Path

import pytest

from tests.deploy.watching import (
    DASHBOARDS,
    PROMETHEUS,
    ROOT,
    RULE_TESTS,
    RULES,
    needs_amtool,
    needs_promtool,
    panels,
    parsed,
    rules,
    run,
)
from tests.test_docs import anchors

RUNBOOK = ROOT / "docs/runbook.md"
ALERTMANAGER = PROMETHEUS / "alertmanager.yml"
ALERTS = {rule["alert"]: rule for rule in rules("alert")}

each_alert = pytest.mark.parametrize("alert", ALERTS)


@needs_promtool
def test_prometheus_accepts_the_configuration_and_its_rules() -> None:
    said = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert f"SUCCESS: {len(RULES)} rule files found" in said


@needs_promtool
def test_alerts_fire_when_they_must_and_only_then() -> None:
    assert RULE_TESTS
    run("promtool", "test", "rules", *RULE_TESTS)


@each_alert
def test_alert_is_tested_firing_and_not_firing(alert: str) -> None:
    cases = [
        case
        for path in RULE_TESTS
        for test in parsed(path)["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert
    ]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


@each_alert
def test_alert_has_severity_summary_and_runbook_section(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{alert.lower()}"
    assert alert.lower() in anchors(RUNBOOK)


def test_alerts_have_different_names() -> None:
    assert len(ALERTS) == len(rules("alert")) > 20


def test_runbook_explains_existing_alerts_in_three_steps() -> None:
    sections = re.split(r"^###? ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    explained = {each.split("\n")[0]: each for each in sections if each.startswith("Callscribe")}
    assert explained.keys() == ALERTS.keys()
    for text in explained.values():
        assert re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE) == ["Means", "Look", "Do"]


def panel_titles(dashboard: Path) -> set[str]:
    return {panel["title"] for panel in panels(dashboard)}


def test_runbook_names_existing_dashboards_and_panels() -> None:
    text = " ".join(RUNBOOK.read_text(encoding="utf-8").split())
    titles = {
        parsed(path)["title"]: {each["title"] for each in panels(path)} for path in DASHBOARDS
    }
    assert set(re.findall(r"\| (Callscribe / [^|]+) \|", text)) == titles.keys()
    named = re.findall(r"[Dd]ashboard ((?:[A-Z][a-z]+)(?: and workers)?)(?:, \"([^\"]+)\")?", text)
    assert len(named) > 10
    for dashboard, panel in named:
        assert not panel or panel in titles[f"Callscribe / {dashboard}"]


@needs_amtool
def test_alertmanager_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@needs_amtool
@pytest.mark.parametrize(("severity", "receiver"), [("page", "on-call"), ("ticket", "tickets")])
def test_severity_selects_the_receiver(severity: str, receiver: str) -> None:
    route = ("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}")
    assert run(*route, f"severity={severity}").strip() == receiver


def test_suppressed_alerts_exist() -> None:
    """A misspelled name would suppress nothing."""
    named = set(re.findall(r"Callscribe\w+", str(parsed(ALERTMANAGER)["inhibit_rules"])))
    assert named
    assert named <= ALERTS.keys()
