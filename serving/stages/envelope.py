"""What every envelope says in the same way, of one answer or of each item of a list. Hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamina.contracts.served import MODEL, ModelUsed
from lamina.store.reader import FeatureVector
from serving.stages.routing import Lane


def models_used(lane: Lane, outputs: Mapping[str, float], further: Mapping[str, ModelUsed]) -> Mapping[str, ModelUsed]:
    """`further`, and the model of the lane where it gave `outputs`."""
    if not outputs or lane.model is None:
        return further
    return {MODEL: ModelUsed.trusted(name=lane.model.name, version=lane.model.version), **further}


def lane_and_features(lane: Lane, outputs: Mapping[str, float], vector: FeatureVector, at_ms: int) -> dict[str, Any]:
    """The fields of an envelope from `experiment` to `unknown`, in the contract's order."""
    return {
        "experiment": lane.running.label if lane.running is not None else None,
        "arm": lane.arm if outputs else None,
        "bucket": lane.bucket,
        "shadow": False,
        "features": vector.values,
        "seen": vector.seen,
        "through": vector.through,
        "feature_age_ms": None if vector.newest_ms is None else max(0, at_ms - vector.newest_ms),
        "stale": bool(vector.stale),
        "unknown": sorted(vector.unknown),
    }
