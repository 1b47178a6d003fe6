"""The API for benchmarks: waiting until it serves a model, and k6's open loop against its decisions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamina.local.stack import Stack

READY_S = 60.0


def await_model(stack: Stack) -> None:
    """Return once every dependency of the API does well, a champion among them; else end the benchmark."""
    url = f"{stack.addresses['api']}/health/ready"
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                ready: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            ready = json.load(error)
        if ready["status"] == "ready":
            return
        if time.monotonic() > deadline:
            sys.exit(f"the API was not ready after {READY_S:.0f} s: {ready}")
        time.sleep(0.2)


def run_k6(
    script: Path, stack: Stack, folder: Path, variables: Mapping[str, str], samples: Path | None = None
) -> dict[str, Any]:
    """k6's metrics of `script` against the decisions of `stack`.

    Args: folder: for k6's summary; variables: what the script reads, beside `URL` and `SUMMARY`; samples: a CSV file
    for every single sample, times in epoch milliseconds.
    """
    summary = folder / "summary.json"
    given = {"URL": f"{stack.addresses['api']}/fraud/decisions", "SUMMARY": str(summary), **variables}
    options = [part for name, value in given.items() for part in ("-e", f"{name}={value}")]
    if samples is not None:
        options += ["--out", f"csv={samples}", "--log-output", "none"]  # what failed is among the samples
    k6 = Path(sys.executable).with_name("k6")
    env = os.environ | {"K6_CSV_TIME_FORMAT": "unix_milli"}
    subprocess.run([str(k6), "run", "--quiet", "--no-usage-report", *options, str(script)], check=True, env=env)
    metrics: dict[str, Any] = json.loads(summary.read_text())
    return metrics
