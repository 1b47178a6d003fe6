"""Jobs as commands start them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from lamina.settings import ROOT


def run_job(job: str, arguments: Sequence[str]) -> int:
    """Run a job of `jobs/spark` in a process of its own; its exit code."""
    return run_module(f"jobs.spark.{job}", arguments)


def run_module(module: str, arguments: Sequence[str]) -> int:
    """Run a module, such as a system's own in `models`, in a process of its own; its exit code."""
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False).returncode
