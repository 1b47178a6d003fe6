"""What is asked of a registered model, and what it answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from lamina.contracts.base import EpochMs, Event, Identifier, RequestId
from lamina.contracts.served import FeatureValue

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"
LONGEST_MODEL_NAME = 128

ModelName = Annotated[str, Field(min_length=1, max_length=LONGEST_MODEL_NAME, pattern=MODEL_NAME)]
"""Name of a registered model; also that of a folder."""

MOST_ROWS = 512
"""Questions in one call."""

Tier = Literal["local", "redis", "model"]


class Question(Event):
    """One row to predict for. `item_id` is the id of what the user acts on: an item of a shop, a merchant.

    `context` has the columns of the request's own that the model's features are made from, such as an amount.
    """

    user_id: Identifier
    item_id: Identifier
    context: dict[str, JsonValue] = Field(default_factory=dict, description="Columns of the request's source.")
    timestamp: EpochMs | None = Field(None, description="The time to predict for; now, where it is left out.")


class OneQuestion(Question):
    """A question and the model it is for."""

    model: ModelName | None = Field(None, description="Name of a registered model; the configured one by default.")


class ManyQuestions(Event):
    """Questions to one model."""

    model: ModelName | None = Field(None, description="Name of a registered model; the configured one by default.")
    rows: list[Question] = Field(min_length=1, max_length=MOST_ROWS)


class Prediction(Event):
    """The answer to one question. A `score` is what the model gives, such as a probability.

    `error` says why there is none: `model_failed` (it raised, or gave no finite number) or `features_unreadable`.
    """

    request_id: RequestId
    user_id: Identifier
    item_id: Identifier
    model: str
    version: str
    score: float | None = None
    error: Literal["model_failed", "features_unreadable"] | None = None
    answered_by: Tier | None = Field(None, description="The model itself, or the tier of the cache that knew.")
    stale: bool = Field(False, description="Whether a view of its features lacks more than it may.")
    unknown: list[str] = Field(default_factory=list, description="Entities of which nothing is stored.")
    timestamp: EpochMs
    latency_ms: float = Field(ge=0)
    features: dict[str, FeatureValue] | None = Field(None, description="The features as used, with `explain=true`.")
