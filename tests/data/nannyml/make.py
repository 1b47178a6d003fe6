r"""Writes `cbpe.json`: what NannyML 0.13.1 answers about the seeded cases. Its packages do not go with the lock of the
platform, so it has an environment of its own:

    uv venv --python 3.11 /tmp/nannyml
    uv pip install --python /tmp/nannyml/bin/python nannyml==0.13.1 "lightgbm<4.6" "python-dateutil<3" "pandas<3" \
        statsmodels
    PYTHONPATH=. NML_DISABLE_USAGE_LOGGING=1 /tmp/nannyml/bin/python tests/data/nannyml/make.py
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.data.nannyml.cases import CASES, CHUNK, REFERENCE, Case

METRICS = ("roc_auc", "average_precision", "f1", "precision", "recall", "accuracy")
ASKED = ("value", "sampling_error", "lower_confidence_boundary", "upper_confidence_boundary", "realized")
PACKAGES = ("nannyml", "numpy", "pandas", "scikit-learn")


def answer(case: Case) -> dict[str, Any]:
    """What CBPE makes of the case, by chunk and metric."""
    import nannyml  # type: ignore[import-not-found]

    rows = pd.DataFrame({"truth": case.positive.astype(int), "score": case.score, "flagged": case.flagged.astype(int)})
    np.random.seed(0)  # average precision's sampling error is drawn from the global generator
    estimator = nannyml.CBPE(
        y_true="truth",
        y_pred_proba="score",
        y_pred="flagged",
        problem_type="classification_binary",
        metrics=list(METRICS),
        chunk_size=CHUNK,
    )
    estimator.fit(rows[:REFERENCE])
    found = estimator.estimate(rows[REFERENCE:].reset_index(drop=True)).filter(period="analysis").to_df()
    chunks = [
        {name: {each: float(row[name, each]) for each in ASKED} for name in METRICS} for _, row in found.iterrows()
    ]
    return {"needs_calibration": bool(estimator.needs_calibration), "chunks": chunks}


if __name__ == "__main__":
    written = {
        "versions": {name: version(name) for name in PACKAGES},
        "cases": {name: answer(case) for name, case in CASES.items()},
    }
    Path(__file__).with_name("cbpe.json").write_text(json.dumps(written, indent=1) + "\n")
    sys.stdout.write(json.dumps(written["versions"]) + "\n")
