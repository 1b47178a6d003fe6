"""The page of a report of what is watched: what is to be told, charts by day, and tables. No script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from lamina.reporting.report import TEMPLATES, environment

Cell = str | tuple[str, str]
"""What stands in a table, or that and a note below it."""


@dataclass(frozen=True)
class Sheet:
    """A section: charts as SVG text, and a table whose first column names the row."""

    title: str
    note: str = ""
    charts: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[Sequence[Cell], ...] = ()


def render(title: str, report: Any, sheets: Sequence[Sheet]) -> bytes:
    """The page of a report, which has a window, a time, alerts and why there is no verdict. Every text is escaped."""
    templates = environment()
    templates.filters["time"] = lambda at_ms: datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%-d %B %Y, %H:%M")
    # Markup is right here: matplotlib wrote the charts, and escapes the texts it is given.
    sections = [{**vars(sheet), "charts": [Markup(chart) for chart in sheet.charts]} for sheet in sheets]
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    page = templates.get_template("watched.html.j2").render(title=title, report=report, sections=sections, style=style)
    return page.encode()
