"""What activity is asked about, and what it answers: whether the user of a page view buys its item within a day."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lamina.contracts.base import EpochMs, Event, Identifier, RequestId
from lamina.contracts.served import MODEL, FeatureValue, Served
from lamina.contracts.user_events import UserEvent

PURCHASE = "purchase"
"""The model's output: the probability."""
SHOPPER, ITEM = "shopper", "item"


class PageView(UserEvent):
    """A user looks at an item."""

    event_type: Literal["page_view"]


class PurchasePrediction(Event):
    """The answer to a page view. `features`, `seen` and `through` are in it where they were asked for."""

    request_id: RequestId
    event_id: Identifier
    user_id: Identifier
    item_id: Identifier
    probability: float | None = Field(ge=0, le=1, description="Of a purchase within a day; absent in a fallback.")
    model_version: str | None
    fallback: str = Field(description="`none`, or what the answer was made without: see `/activity/views`.")
    features: dict[str, FeatureValue] = Field({}, description="With `explain=true`.")
    seen: dict[str, int] = Field({}, description="With `explain=true`.")
    through: dict[str, EpochMs] = Field({}, description="With `explain=true`.")
    feature_age_ms: int | None = Field(None, description="Age of the newest event in the features, at `timestamp`.")
    stale: bool = Field(False, description="Whether a view of its features lacks more than it may.")
    unknown: list[str] = Field([], description="`shopper`, `item`: of whom nothing was stored.")
    experiment: str | None = None
    arm: str | None = None
    timestamp: EpochMs
    served_at: EpochMs
    latency_ms: float = Field(ge=0)


def fields_of(served: Served, *, explain: bool) -> dict[str, Any]:
    """The fields of a `PurchasePrediction` that `served` holds. Hot path.

    Raises: KeyError: it is another system's, or a shadow.
    """
    model = served.models.get(MODEL)
    fields: dict[str, Any] = {
        "request_id": served.request_id,
        "event_id": served.event_id,
        "user_id": served.subjects[SHOPPER],
        "item_id": served.subjects[ITEM],
        "probability": served.outputs.get(PURCHASE),
        "model_version": None if model is None else model.version,
        "fallback": served.fallback,
        "feature_age_ms": served.feature_age_ms,
        "stale": served.stale,
        "unknown": served.unknown,
        "experiment": served.experiment,
        "arm": served.arm,
        "timestamp": served.timestamp,
        "served_at": served.served_at,
        "latency_ms": served.latency_ms,
    }
    if explain:
        fields |= {"features": served.features, "seen": served.seen, "through": served.through}
    return fields
