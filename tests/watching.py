"""What the tests of alerts and dashboards share: the files, what is exported, and what an expression asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest.mock import patch

import promql_parser
from prometheus_client import REGISTRY, CollectorRegistry

from lamina.errors import LaminaError
from lamina.monitoring import metrics
from lamina.settings import ROOT
from lamina.streams.sink_metrics import SinkMetrics
from lamina.streams.topic_metrics import TopicCollector, TopicState
from lamina.yaml_files import read_yaml

MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULE_FILES = sorted((MONITORING / "rules").glob("*.yml"))
DASHBOARD_FILES = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
RULES: list[dict[str, Any]] = [
    rule for file in RULE_FILES for group in read_yaml(file, LaminaError)["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
OF_PROMETHEUS = frozenset({"up", "ALERTS"})
"""What Prometheus makes itself."""
OF_TARGETS = frozenset({"instance", "job"})


@cache
def exported() -> dict[str, frozenset[str]]:
    """The labels of every series that a process of ours may export, by its name."""
    registries: list[CollectorRegistry] = [REGISTRY]
    with patch("prometheus_client.start_http_server", lambda *_, registry: registries.append(registry)):
        SinkMetrics(1, "127.0.0.1", [TopicCollector(lambda: TopicState({"t": 1}, {("s", "t"): 1}))])
    assert metrics.PREDICTIONS, "they are registered by being imported"
    found: dict[str, frozenset[str]] = {}
    for registry in registries:
        for family, labels in _families(registry):
            kinds = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            for kind in kinds:
                found[family.name + kind] = labels | ({"le"} if kind == "_bucket" else set())
    return found


def _families(registry: CollectorRegistry) -> Iterator[tuple[Any, frozenset[str]]]:
    # A metric without a value yet tells its labels by itself alone.
    named = {
        each._name: frozenset(each._labelnames)
        for each in registry._collector_to_names
        if hasattr(each, "_labelnames") and hasattr(each, "_name")
    }
    for family in registry.collect():
        told = frozenset(name for sample in family.samples for name in sample.labels) - {"le"}
        yield family, named.get(family.name, told)


def asked(expression: str) -> dict[str, set[str]]:
    """The labels that an expression wants of each series that it asks for, by the series' name."""
    found: dict[str, set[str]] = {}
    for selector in _selectors(promql_parser.parse(plain(expression))):
        wanted = found.setdefault(selector.name, set())
        wanted |= {matcher.name for matcher in selector.matchers.matchers}
    return found


def plain(expression: str) -> str:
    """An expression of a dashboard without Grafana's variables, as Prometheus takes it."""
    expression = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return re.sub(r'"\$\{?\w+\}?"', '".*"', expression)


def panels() -> Iterator[tuple[str, str]]:
    """Where it stands and what it asks, of each query of each dashboard."""
    for file in DASHBOARD_FILES:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}/{panel['title']}", target["expr"]


def _selectors(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    if isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
        return
    for name in ("expr", "lhs", "rhs", "args", "param"):
        child = getattr(node, name, None)
        for each in child if isinstance(child, list) else [child]:
            if each is not None:
                yield from _selectors(each)
