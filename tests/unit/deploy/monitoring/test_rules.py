"""Alerts: each is about a metric that somebody exports, has a page that says what to do, and fires and clears."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from lamina.errors import LaminaError
from lamina.local.prometheus import Programs
from lamina.settings import ROOT
from lamina.yaml_files import read_yaml
from tests.watching import (
    ALERTS,
    MONITORING,
    OF_PROMETHEUS,
    OF_TARGETS,
    RECORDED,
    RULE_FILES,
    RULES,
    RUNBOOKS,
    exported,
)
from tests.watching import asked as asked_by

TESTS = sorted((MONITORING / "tests").glob("*.yml"))
HEADINGS = ["What it means", "What users see", "How to look", "What to do", "When it is over"]
SEVERITIES = {"page", "ticket"}


def named(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_no_rule_asks_for_what_nobody_exports(rule: dict[str, Any]) -> None:
    wanted = asked_by(rule["expr"])
    assert wanted
    for series, labels in wanted.items():
        if series in RECORDED or series in OF_PROMETHEUS:
            continue
        assert series in exported(), f"{named(rule)} asks for {series}, which nobody exports"
        assert labels <= exported()[series] | OF_TARGETS, f"{named(rule)} asks for labels that {series} has not"


def test_what_is_exported_is_known_with_its_labels() -> None:
    assert exported()["model_prediction_latency_seconds_bucket"] == {"system", "model_version", "le"}
    assert exported()["lamina_stream_lag_messages"] == {"system", "topic"}
    assert exported()["journal_bytes"] == frozenset()
    assert "journal_bytes_total" not in exported()


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_nothing_hides_that_there_is_no_value(rule: dict[str, Any]) -> None:
    assert "vector(" not in str(promql_parser.parse(rule["expr"]))


def test_every_recorded_series_is_read_by_an_alert_or_a_dashboard() -> None:
    dashboards = "".join(file.read_text() for file in (MONITORING / "grafana").rglob("*.json"))
    read = {series for rule in RULES for series in asked_by(rule["expr"])}
    assert {series for series in RECORDED if series not in read and series not in dashboards} == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


@pytest.mark.parametrize("alert", ALERTS)
def test_a_summary_names_only_labels_that_the_alert_has(alert: str) -> None:
    rule = ALERTS[alert]
    kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    by = {name.strip() for labels in kept for name in labels.split(",")}
    series = [name for name in asked_by(rule["expr"]) if name in exported()]
    own = set().union(*(exported()[name] for name in series), OF_TARGETS)
    recorded = {"system"} if any(name.startswith("system:") for name in asked_by(rule["expr"])) else set()
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert used <= recorded | (by if by else own)


@pytest.mark.parametrize("alert", ALERTS)
def test_the_page_of_an_alert_says_what_to_do(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert part.strip()
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert (RUNBOOKS / link).exists(), link


def test_there_is_no_page_of_an_alert_that_is_gone() -> None:
    assert {file.stem for file in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_the_queries_of_a_page_ask_for_what_is_exported(alert: str) -> None:
    for code in re.findall(r"`([^`\n]+)`", (RUNBOOKS / f"{alert}.md").read_text()):
        try:
            wanted = asked_by(code)
        except (ValueError, AttributeError):
            continue
        for series in wanted if re.search(r"[({\[]|_(total|bucket|seconds|bytes)$", code) else ():
            known = series in RECORDED or bool({series, f"{series}_bucket"} & exported().keys())
            assert known, f"{code} asks for {series}"


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_to_fire_and_to_clear(alert: str) -> None:
    found = [test for file in TESTS for test in read_yaml(file, LaminaError)["tests"] if test["name"].startswith(alert)]
    assert found, f"deploy/monitoring/tests has no test of {alert}"
    for test in found:
        samples = [each["exp_samples"] for each in test["promql_expr_test"]]
        assert any(f'alertname="{alert}"' in sample["labels"] for sample in samples[0])
        assert samples[-1] == [], "at last nothing fires"


def test_every_test_loads_every_rule() -> None:
    for file in TESTS:
        named_there = {(file.parent / name).resolve() for name in read_yaml(file, LaminaError)["rule_files"]}
        assert named_there == {rules.resolve() for rules in RULE_FILES}


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_fire_and_clear_in_promtool(prometheus: Programs, file: Path) -> None:
    done = _run(prometheus.promtool, "test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_with_all_rules(prometheus: Programs) -> None:
    done = _run(
        prometheus.promtool, "check", "config", "--lint=all", "--lint-fatal", str(MONITORING / "prometheus.yml")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") >= len(RULE_FILES)


def test_alertmanager_takes_its_configuration_and_pages_go_to_who_is_paged(prometheus: Programs) -> None:
    file = MONITORING / "alertmanager.yml"
    done = _run(prometheus.amtool, "check-config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        told = _run(prometheus.amtool, "config", "routes", "test", f"--config.file={file}", f"severity={severity}")
        assert told.stdout.strip() == receiver


def test_alertmanager_holds_no_secret() -> None:
    text = (MONITORING / "alertmanager.yml").read_text()
    for line in text.splitlines():
        if re.search(r"(key|token|password|credentials|secret)\w*:", line):
            assert re.search(r"_file: /run/secrets/", line), line


def test_what_is_inhibited_is_an_alert() -> None:
    for rule in read_yaml(MONITORING / "alertmanager.yml", LaminaError)["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            name, _, value = matcher.partition("=")
            if name.strip(" !") == "alertname":
                assert set(re.findall(r"\w+", value)) <= set(ALERTS), matcher


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
