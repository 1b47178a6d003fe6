"""Dashboards in Grafana's form. `python -m lamina.monitoring.grafana FOLDER` writes a file for each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lamina.monitoring.dashboards import DASHBOARDS
from lamina.monitoring.panels import Dashboard, Panel

SCHEMA_VERSION = 39
"""That of Grafana 11; newer ones lead older dashboards over by themselves."""
COLUMNS, PANEL_WIDTH, PANEL_HEIGHT, STAT_HEIGHT = 24, 12, 8, 5
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def to_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard in Grafana's form."""
    variables: list[dict[str, Any]] = [{"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0}]
    if dashboard.by_system:
        query = "label_values(model_predictions_total, system)"
        variables.append(
            {
                "name": "system",
                "type": "query",
                "datasource": SOURCE,
                "definition": query,
                "query": {"query": query, "refId": "systems"},
                "refresh": 2,
                "includeAll": True,
                "multi": True,
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return {
        "uid": f"lamina-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["lamina"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": list(_panels(dashboard.panels)),
    }


def _panels(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    x = y = 0
    for number, panel in enumerate(panels, 1):
        height = STAT_HEIGHT if panel.kind == "stat" else PANEL_HEIGHT
        yield {
            "id": number,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.about,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": PANEL_WIDTH, "h": height},
            "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend}
                for i, query in enumerate(panel.queries)
            ],
        }
        x += PANEL_WIDTH
        if x == COLUMNS:
            x, y = 0, y + max(height, PANEL_HEIGHT)


def write(folder: Path) -> None:
    """Write a file a dashboard into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (folder / f"{dashboard.name}.json").write_text(json.dumps(to_json(dashboard), indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
