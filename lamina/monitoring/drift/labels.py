"""What labels say once they are there: whether positives became more or fewer, and whether they are ranked worse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.monitoring.drift.distances import shares_p
from lamina.monitoring.drift.distributions import Floats
from lamina.monitoring.drift.findings import Finding, Kind, State, not_compared
from lamina.monitoring.drift.ranking import Flags, fall_p, measure_ranking
from lamina.monitoring.drift.reference import Reference


def compare_prior(
    reference: Reference, positive: Flags, weight: Floats, *, threshold: float, least_positives: int
) -> Finding:
    """Whether the share of positive rows changed, by the ratio of the larger to the smaller less one.

    Args: positive, weight: bool[n] and float64[n] of rows whose label is complete, weight as in a training set;
    threshold: 0.3 lets a share rise, or fall, by the factor 1.3; least_positives: that are expected by the reference.
    """
    rows, before = float(weight.sum()), reference.positive_share
    found = Finding(
        kind=Kind.PRIOR,
        subject="label",
        statistic="change of the positive share",
        threshold=threshold,
        reference_rows=round(reference.rows),
        rows=round(rows),
    )
    state = not_compared(round(rows), round(reference.rows * before), 1)
    if state is None and min(rows, reference.rows) * before < least_positives:
        state = State.TOO_FEW
    if state is not None:
        return replace(found, state=state)
    now = float((weight * positive).sum()) / rows
    # None at all is a fall without a bound: half a positive row stands in, as is usual for empty cells.
    ratio = max(now, 0.5 / rows) / before
    return replace(
        found,
        effect=max(ratio, 1 / ratio) - 1,
        p=shares_p(before, reference.rows, now, rows, reference.dispersion),
        further={"reference_share": before, "share": now, "dispersion": reference.dispersion},
    )


def compare_concept(
    reference: Reference,
    positive: Flags,
    score: Floats,
    unit: NDArray[Any],
    *,
    threshold: float,
    least_positives: int,
) -> Finding:
    """Whether the AUC fell below that of the model's own test, by the difference.

    Args: positive, score, unit: [n] of rows that the version scored and whose label is complete.
    """
    baseline, now = reference.ranking, measure_ranking(positive, score, unit)
    found = Finding(
        kind=Kind.CONCEPT,
        subject="label",
        statistic="fall of the AUC",
        threshold=threshold,
        reference_rows=0 if baseline is None else baseline.rows,
        rows=len(positive),
    )
    state = not_compared(len(positive), found.reference_rows, 1)
    if state is not None or baseline is None:
        return replace(found, state=state or State.NO_REFERENCE)
    if now is None or min(now.positives, baseline.positives) < least_positives:
        return replace(found, state=State.TOO_FEW)
    return replace(
        found,
        effect=baseline.auc - now.auc,
        p=fall_p(baseline, now),
        further={"reference_auc": baseline.auc, "auc": now.auc, "deviation": float(np.sqrt(now.variance))},
    )
