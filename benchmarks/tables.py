"""`python -m benchmarks.tables`: writes docs/benchmarks.md from the results that the long forms left."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from benchmarks.report import meets

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
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
    name, bars = result["name"], result["bars"]
    rows = ["| figure | value | bar | met |", "|---|---|---|---|"]
    for key, value in result["figures"].items():
        bar = bars.get(key, "")
        met = ("yes" if meets(value, bar) else "**no**") if bar else ""
        shown = f"{value:,}" if isinstance(value, int | float) else value
        rows.append(f"| `{key}` | {shown} | {bar} | {met} |")
    about = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    where = f"{result['machine']}; commit {result['commit']}."
    return "\n".join((f"## {name}", about, "", *rows, "", where, ""))


if __name__ == "__main__":
    PAGE.write_text(page())
