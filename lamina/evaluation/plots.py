"""Precision-recall and ROC curves of a test, as data and as pictures for MLflow's UI."""

from __future__ import annotations

import json
from pathlib import Path

from lamina.evaluation.metrics import Flags, Floats, curves, reliability

CURVES_FILE = "curves.json"
RELIABILITY_FILE = "reliability.json"
AXES = {"pr": ("recall", "precision"), "roc": ("false positive rate", "recall")}


def write_curves(folder: Path, positive: Flags, score: Floats) -> None:
    """Write `curves.json`, `reliability.json`, `pr.png` and `roc.png` into `folder`, which is created."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    found = curves(positive, score)
    (folder / CURVES_FILE).write_text(json.dumps(found), encoding="utf-8")
    (folder / RELIABILITY_FILE).write_text(json.dumps(reliability(positive, score), indent=2), encoding="utf-8")
    for name, (across, up) in AXES.items():
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*zip(*found[name], strict=True))
        axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.01))
        axes.grid(alpha=0.3)
        figure.savefig(folder / f"{name}.png", dpi=110)
