"""`python -m benchmarks.tables`: writes docs/benchmarks.md from the results that the long forms left."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, meets

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
AT_RATE = re.compile(r"(?P<figure>.+)_at_(?P<rate>\d+)(?:_(?P<whose>[a-z]+))?")
INTRODUCTION = """# Benchmarks

Made by `python -m benchmarks.tables` from `benchmarks/results/`, which `make bench` writes; `make bench-quick` runs
short forms of all and keeps nothing. Machines are shared and noisy: compare ratios of one run rather than seconds of
two. A bar that was missed says **no**.
"""


def page() -> str:
    """The whole page, as Markdown."""
    results = [json.loads(file.read_text()) for file in sorted((HERE / "results").glob("*.json"))]
    return "\n".join((INTRODUCTION, *(_section(result) for result in results)))


def _section(result: dict[str, Any]) -> str:
    name, figures, bars = result["name"], result["figures"], result["bars"]
    about = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    where = f"{result['machine']}; commit {result['commit']}."
    rates = {found: key for key in figures if (found := AT_RATE.fullmatch(key))}
    alone = [key for key in figures if key not in rates.values()]
    rows = ["| figure | value | bar | met |", "|---|---|---|---|"]
    for key in alone:
        bar = bars.get(key, "")
        rows.append(f"| `{key}` | {_shown(figures[key])} | {bar} | {_met(figures[key], bar)} |")
    by_rate = ["", *_by_rate(rates, figures, bars)] if rates else []
    return "\n".join((f"## {name}", about, "", *rows, *by_rate, "", where, ""))


def _by_rate(rates: Mapping[re.Match[str], str], figures: Mapping[str, Any], bars: Mapping[str, str]) -> list[str]:
    """The figures that name a rate: a row for each, with those of another server in rows of their own."""
    columns = list(dict.fromkeys(found["figure"] for found in rates))
    cells: dict[str, dict[str, str]] = {}
    for found, key in rates.items():
        row = cells.setdefault(f"{int(found['rate']):,} {found['whose'] or ''}".strip(), {})
        bar = bars.get(key, "")
        row[found["figure"]] = (
            f"{_shown(figures[key])} ({bar}: {_met(figures[key], bar)})" if bar else _shown(figures[key])
        )
    head = f"| at, a second | {' | '.join(f'`{column}`' for column in columns)} |"
    body = (f"| {at} | {' | '.join(row.get(column, '') for column in columns)} |" for at, row in cells.items())
    return [head, "|---" * (1 + len(columns)) + "|", *body]


def _shown(value: Figure) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _met(value: Figure, bar: str) -> str:
    return ("yes" if meets(value, bar) else "**no**") if bar else ""


if __name__ == "__main__":
    PAGE.write_text(page())
