"""How every benchmark reports: a table for people, JSON for machines, and whether the bars were met."""

from __future__ import annotations

import json
import operator
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

Figure = float | int | str
OPERATORS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
LIBRARIES = ("fastapi", "pyspark", "redis", "confluent-kafka", "xgboost", "lightgbm", "numpy")
ROOT = Path(__file__).resolve().parent.parent


def meets(figure: Figure, bar: str) -> bool:
    """Whether a figure is on the right side of its bar.

    >>> meets(24.5, "<= 25"), meets(1, "== 0")
    (True, False)
    """
    sign, _, limit = bar.partition(" ")
    return bool(OPERATORS[sign](float(figure), float(limit)))


def emit(name: str, figures: Mapping[str, Figure], bars: Mapping[str, str], json_file: Path | None = None) -> bool:
    """Print the figures of benchmark `name` beside their bars, write them to `json_file`; whether all bars were met.

    >>> emit("example", {"rows": 3}, {"speed": ">= 1"})
    Traceback (most recent call last):
    KeyError: "bars without a figure: ['speed']"
    """
    if lacking := sorted(set(bars) - set(figures)):
        raise KeyError(f"bars without a figure: {lacking}")
    met = {key: meets(figures[key], bar) for key, bar in bars.items()}
    table = Table("figure", "value", "bar", "met", title=name, caption=f"{machine()}, commit {commit()}")
    for key, value in figures.items():
        table.add_row(key, str(value), bars.get(key, ""), {True: "yes", False: "NO", None: ""}[met.get(key)])
    Console().print(table)
    if json_file is not None:
        document = {
            "name": name,
            "machine": machine(),
            "versions": {library: version(library) for library in LIBRARIES},
            "commit": commit(),
            "figures": dict(figures),
            "bars": dict(bars),
        }
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return all(met.values())


def machine() -> str:
    """The machine in words: processor, cores, memory, system."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}"
    )


def commit() -> str:
    """The commit of the checkout, `unknown` outside one."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
