"""Dashboards have Grafana's form, are the ones that are written down, and ask only for what somebody exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import promql_parser
import pytest
from pydantic import BaseModel, ConfigDict, Field

from lamina.errors import LaminaError
from lamina.monitoring.dashboards import DASHBOARDS
from lamina.monitoring.grafana import COLUMNS, write
from lamina.settings import ROOT
from lamina.yaml_files import read_yaml
from tests.watching import DASHBOARD_FILES, MONITORING, OF_PROMETHEUS, OF_TARGETS, RECORDED, exported, panels, plain
from tests.watching import asked as asked_by

PANELS = list(panels())


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Source(Strict):
    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Target(Strict):
    refId: str = Field(pattern="^[A-Z]$")
    datasource: Source
    expr: str = Field(min_length=1)
    legendFormat: str


class Place(Strict):
    x: int = Field(ge=0)
    y: int = Field(ge=0)
    w: int = Field(gt=0, le=COLUMNS)
    h: int = Field(gt=0)


class Defaults(Strict):
    # Of Grafana's units those that are used here.
    unit: Literal["short", "none", "s", "bytes", "percentunit", "reqps", "wps"]


class FieldConfig(Strict):
    defaults: Defaults
    overrides: list[Any] = Field(max_length=0)


class GrafanaPanel(Strict):
    id: int
    type: Literal["timeseries", "stat"]
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    datasource: Source
    gridPos: Place
    fieldConfig: FieldConfig
    targets: list[Target] = Field(min_length=1)


class Time(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    begin: str = Field(alias="from", pattern=r"^now-\d+[hd]$")
    to: Literal["now"]


class Templating(Strict):
    list: list[dict[str, Any]]


class GrafanaDashboard(Strict):
    uid: str = Field(pattern="^[a-z-]{1,40}$")
    title: str = Field(min_length=1)
    tags: list[str]
    schemaVersion: int = Field(ge=36)
    editable: Literal[False]
    refresh: str
    time: Time
    templating: Templating
    panels: list[GrafanaPanel] = Field(min_length=1)


def read(file: Path) -> GrafanaDashboard:
    return GrafanaDashboard.model_validate_json(file.read_text())


@pytest.mark.parametrize("file", DASHBOARD_FILES, ids=lambda file: file.stem)
def test_a_dashboard_has_grafana_s_form(file: Path) -> None:
    found = read(file)
    assert len({panel.id for panel in found.panels}) == len(found.panels)
    names = {variable["name"] for variable in found.templating.list}
    assert "datasource" in names
    used = {name for panel in found.panels for target in panel.targets for name in re.findall(r"\$(\w+)", target.expr)}
    assert used - {"__rate_interval"} <= names


@pytest.mark.parametrize("file", DASHBOARD_FILES, ids=lambda file: file.stem)
def test_no_panel_lies_on_another(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(file).panels:
        at = panel.gridPos
        own = {(x, y) for x in range(at.x, at.x + at.w) for y in range(at.y, at.y + at.h)}
        assert at.x + at.w <= COLUMNS and not own & taken, panel.title
        taken |= own


def test_the_files_are_the_ones_that_are_written_down(tmp_path: Path) -> None:
    write(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        file.name: file.read_text() for file in DASHBOARD_FILES
    }, "run python -m lamina.monitoring.grafana deploy/monitoring/grafana/dashboards"
    assert [each.name for each in DASHBOARDS] == ["business", "model", "features", "system"]


@pytest.mark.parametrize(("name", "expr"), PANELS, ids=[name for name, _ in PANELS])
def test_no_panel_asks_for_what_nobody_exports(name: str, expr: str) -> None:
    wanted = asked_by(expr)
    assert wanted
    for series, labels in wanted.items():
        assert series in exported() or series in RECORDED | OF_PROMETHEUS, f"{name}: nobody exports {series}"
        if series in exported():
            assert labels <= exported()[series] | OF_TARGETS, f"{name}: {series} has no such labels"


@pytest.mark.parametrize(("name", "expr"), PANELS, ids=[name for name, _ in PANELS])
def test_no_panel_hides_that_there_is_no_value(name: str, expr: str) -> None:
    assert "vector(" not in str(promql_parser.parse(plain(expr)))


@pytest.mark.parametrize(("name", "expr"), PANELS, ids=[name for name, _ in PANELS])
def test_a_legend_names_only_labels_that_its_lines_have(name: str, expr: str) -> None:
    legends = [
        target["legendFormat"]
        for file in DASHBOARD_FILES
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
        if target["expr"] == expr and f"{file.stem}/{panel['title']}" == name
    ]
    kept = [{label.strip() for label in by.split(",")} for by in re.findall(r"\bby \(([^)]*)\)", expr)]
    series = list(asked_by(expr))
    if kept:
        own = set.union(*kept)
    elif series[0] in exported():
        own = set(exported()[series[0]] | OF_TARGETS)
    else:
        own = {"system", "topic", *OF_TARGETS}
    for legend in legends:
        assert set(re.findall(r"{{(\w+)}}", legend)) <= own


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    folder = MONITORING / "grafana" / "provisioning"
    (source,) = read_yaml(folder / "datasources" / "prometheus.yml", LaminaError)["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = read_yaml(folder / "dashboards" / "lamina.yml", LaminaError)["providers"]
    compose = read_yaml(ROOT / "docker-compose.yml", LaminaError)["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in compose["volumes"] if volume.startswith("./"))
    assert mounts == {
        "./deploy/monitoring/grafana/provisioning": "/etc/grafana/provisioning",
        "./deploy/monitoring/grafana/dashboards": provider["options"]["path"],
    }
