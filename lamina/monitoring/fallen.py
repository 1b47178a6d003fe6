"""Whether figures of a version are so bad that a person has to be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lamina.contracts.watching import Watching
from lamina.monitoring.forms import Figure
from lamina.monitoring.reports import Alert

LOW_AUC = "auc_below_minimum"
FALLING = ("auc", "accuracy")
"""Figures that are held against those of the version's own evaluation."""


def alerts_of(
    watching: Watching, subject: str, figures: Mapping[str, Figure], baseline: Mapping[str, float]
) -> Iterator[Alert]:
    """An alert for each figure that chance cannot explain: an AUC whose whole interval is below the minimum, and a
    figure that fell as far as is allowed, or further, below the baseline, which its interval does not reach.

    Args: subject: what the figures are of; baseline: the version's own evaluation, where it has one.
    """
    auc = figures.get("auc")
    if auc is not None and auc.high is not None and auc.high < watching.min_auc:
        yield Alert(
            name=LOW_AUC,
            severity="critical",
            subject=subject,
            value=auc.value,
            threshold=watching.min_auc,
            message=f"AUC of {subject} is {auc.value:.3f}, at most {auc.high:.3f}: below {watching.min_auc:g}",
        )
    for name in FALLING:
        found, was = figures.get(name), baseline.get(name)
        if found is None or found.high is None or was is None:
            continue
        if found.value <= was - watching.max_fall and found.high < was:
            yield Alert(
                name=f"{name}_fell",
                severity="warning",
                subject=subject,
                value=found.value,
                threshold=was - watching.max_fall,
                message=f"{name} of {subject} is {found.value:.3f}, at most {found.high:.3f}: {was - found.value:.3f} "
                f"below the {was:.3f} of its own evaluation, and {watching.max_fall:g} are allowed",
            )
