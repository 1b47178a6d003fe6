"""When one model is better than another, and when it may at least be tried beside it."""

from __future__ import annotations

from enum import StrEnum

from lamina.registry.evaluation import Contender, Interval

DECIDING = "average_precision"
"""The figure by which one model is better: where labels are rare it says most about the alarms that are raised."""

AUC_TOLERANCE = 0.01
"""A gain in the deciding figure may not cost more AUC than this."""


class Rule(StrEnum):
    """When one model counts as better: by the difference that was measured, or only when chance cannot explain it."""

    POINT = "point"
    INTERVAL = "interval"


def verdict(
    candidate: Contender,
    champion: Contender | None,
    min_auc: float,
    difference: Interval | None = None,
    rule: Rule = Rule.POINT,
) -> tuple[bool, tuple[str, ...]]:
    """Whether to promote, and why.

    Args: difference: of the deciding figure; by `Rule.INTERVAL` all of its interval must be a gain.
    """
    auc = candidate.metrics["auc"]
    if auc < min_auc:
        return False, (f"auc {auc:.4f} is below the minimum {min_auc:g}",)
    if champion is None:
        return True, (f"there is no champion to beat, and auc {auc:.4f} meets the minimum {min_auc:g}",)
    if champion.version == candidate.version:
        return False, (f"version {candidate.version} is the champion already",)
    if champion.logical_date > candidate.logical_date:
        return False, (f"the champion was trained for a later day, {champion.logical_date}",)
    lost = champion.metrics["auc"] - auc
    gained = candidate.metrics[DECIDING] - champion.metrics[DECIDING]
    comparison = f"{DECIDING} {candidate.metrics[DECIDING]:.4f} against the champion's {champion.metrics[DECIDING]:.4f}"
    if difference is not None:
        comparison += f" ({difference.confidence:.0%} interval {difference.low:+.4f} to {difference.high:+.4f})"
    if gained <= 0:
        return False, (f"not better: {comparison}",)
    if rule is Rule.INTERVAL and (difference is None or difference.low <= 0):
        return False, (f"not surely better: {comparison}",)
    if lost > AUC_TOLERANCE:
        return False, (f"{comparison}, but auc {auc:.4f} is {lost:.4f} below the champion's",)
    return True, (f"better: {comparison}",)


def challenges(
    candidate: Contender, champion: Contender | None, min_auc: float, difference: Interval | None
) -> str | None:
    """Why a version that is not promoted may still be tried beside the champion, or None where it may not.

    It may as long as it is not surely worse: the interval of the deciding figure reaches above zero.
    """
    if champion is None or difference is None or champion.version == candidate.version:
        return None
    if champion.logical_date > candidate.logical_date or candidate.metrics["auc"] < min_auc:
        return None
    if champion.metrics["auc"] - candidate.metrics["auc"] > AUC_TOLERANCE or difference.high <= 0:
        return None
    return f"not surely worse either, so it may be tried: the difference may be as large as {difference.high:+.4f}"
