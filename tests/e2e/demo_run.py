"""A demo as a user starts it, on a world of a chosen size."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lamina.settings import ROOT


@dataclass(frozen=True)
class DemoRun:
    """What `make demo` printed, the figures it wrote, and its folder."""

    printed: str
    results: dict[str, Any]
    folder: Path

    @property
    def page(self) -> str:
        """The report that a person reads."""
        [report] = (self.folder / "reports").glob("*.html")
        assert str(report) in self.printed
        return report.read_text()

    def left_running(self) -> list[dict[str, Any]]:
        """Processes of its stack that are still there."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            try:
                if process.environ().get("LAMINA_STACK_CHILD", "").startswith(str(self.folder)):
                    found.append(process.info)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found


def outside(folder: Path) -> dict[str, str]:
    """The environment of a user whose stacks live in `folder`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA_", "AIRFLOW"))}
    return env | {"LAMINA_STACK_DIR": str(folder)}


def run_demo(folder: Path, args: str, *variables: str) -> DemoRun:
    """Run it to its end, which has to be a good one.

    Args: args: of `lamina.demo`; variables: of make, such as `SYSTEM=activity`.
    """
    command = ["make", "demo", f"ARGS={args}", *variables]
    env = outside(folder) | {"COLUMNS": "160"}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=2400)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-6000:]
    [figures] = (folder / "reports").glob("*.json")
    return DemoRun(run.stdout, json.loads(figures.read_text()), folder)
