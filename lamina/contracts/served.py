"""What a system served, and from what: the envelope of every answer of every system (topic `predictions-<system>`).

An example: a card payment was asked about, the model of version 7 said 0.02, and it was approved.

    {"system": "fraud", "request_id": "r-1", "event_id": "txn-1", "subjects": {"user": "u-1", "merchant": "m-1"},
     "outputs": {"score": 0.02}, "action": "approve", "models": {"model": {"name": "fraud", "version": "7"}}, ...}

Who joins labels, compares features, watches a model or learns from what was served reads these fields and nothing else.
What only one system knows is in `payload`. What another model would have said (a shadow) is on the same topic, and is
no answer: who reads answers leaves shadows out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from pydantic import Field, JsonValue

from lamina.contracts.base import EpochMs, Event, Identifier, Number, RequestId, Truth
from lamina.contracts.epoch import MAX_TIMESTAMP_MS
from lamina.contracts.expectations import (
    LATENESS,
    Expectation,
    Suite,
    between,
    in_time,
    mostly_unique,
    present,
    some_rows,
)
from lamina.contracts.topics import EventTopic, Topic, predictions_of

NO_FALLBACK = "none"
MODEL_FAILED = "model_failed"
"""The fallback of a shadow whose model gave nothing."""
MODEL = "model"
"""The stage that gives the outputs."""
ANSWERS = {"shadow": False}
"""The rows of such a log that are answers."""
BUCKETS = 10_000

FeatureValue = float | str | list[float] | list[str] | None
Share = Annotated[Number, Field(gt=0, le=1)]
Milliseconds = Annotated[Number, Field(ge=0)]


class ModelUsed(Event):
    """What a stage answered by: a registered model, or a file of rules, with its version."""

    name: str
    version: str


class Candidate(Event):
    """One of those that were chosen from. `source` found it; `position` counts from 0, None where it was not shown;
    `propensity` is the probability of its position, where chance had a say in it.
    """

    id: Identifier
    source: str | None = None
    position: int | None = Field(None, ge=0)
    propensity: Share | None = None
    outputs: dict[str, float] = Field(default_factory=dict)


class Served(Event):
    """One answer: whom it is about, what was answered by which models, and enough to make every feature again.

    A `shadow` is what another model would have said: of the same `request_id` as the answer that was given, which has
    the features. It was shown to nobody. The first subject is the message's key.
    """

    system: str = Field(min_length=1)
    request_id: RequestId
    event_id: Identifier | None = Field(description="Id of the request's own event, on the topic of requests.")
    subjects: dict[str, Identifier] = Field(min_length=1, description="Whom it is about: ids by entity.")
    candidates: list[Candidate] = Field(default_factory=list, description="What was chosen from, if anything was.")
    outputs: dict[str, float] = Field(
        description="All that the model gave, by name, the score first; empty where none answered."
    )
    action: str | None = Field(None, description="What was done, where the system acts.")
    intended: str | None = Field(None, description="What would have been done, had chance not had its say.")
    propensity: Share | None = Field(None, description="Probability of the action, where chance had a say in it.")
    models: dict[str, ModelUsed] = Field(description="What each stage answered by; the stage `model` gave the outputs.")
    fallback: str = Field(NO_FALLBACK, description="What was answered by when a stage could not do its part.")
    experiment: str | None = Field(None, description="The experiment, as in `trees@2`: name and version.")
    arm: str | None = Field(None, description="The arm whose model gave the outputs.")
    bucket: int | None = Field(None, ge=0, lt=BUCKETS, description="The unit's bucket, which says whose arm it is.")
    shadow: Truth = False
    features: dict[str, FeatureValue] = Field(description="The values as used.")
    seen: dict[str, int] = Field(description="Events of the speed layer that they were made from, by tile spec.")
    through: dict[str, EpochMs] = Field(description="End of the batch tiles used, by tile spec.")
    feature_age_ms: int | None = Field(
        None,
        ge=-MAX_TIMESTAMP_MS,
        le=MAX_TIMESTAMP_MS,
        description="Age of the newest event in the features, at `timestamp`.",
    )
    stale: Truth = Field(False, description="Whether a view of its features lacks more than it may.")
    unknown: list[str] = Field(default_factory=list, description="Entities of which nothing was stored.")
    timestamp: EpochMs = Field(description="The time that it was answered for: the features are of then.")
    served_at: EpochMs
    latency_ms: Milliseconds
    stage_ms: dict[str, Milliseconds] = Field(default_factory=dict, description="Time spent per stage.")
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="What only this system knows.")

    @property
    def key(self) -> str:
        """See `Event.key`: the id of its first subject."""
        return next(iter(self.subjects.values()))


def answers(*expectations: Expectation) -> tuple[Expectation, ...]:
    """What is expected of answers, and not of shadows."""
    return tuple(replace(each, rows=ANSWERS) for each in expectations)


def served_topic(
    system: str,
    *expectations: Expectation,
    most_fallbacks: float = 0.5,
    older: Callable[[bytes], Event] | None = None,
) -> EventTopic:
    """The log of what `system` serves, with what is expected of any such log and `expectations` of its own.

    Args: most_fallbacks: a warning when a larger share of a day's answers was made without the model; older: see
    `EventTopic`.

    >>> served_topic("shop").name
    'predictions-shop'
    """
    name = predictions_of(system)
    fallbacks = {"column": "fallback", "value_set": [NO_FALLBACK], "mostly": 1 - most_fallbacks}
    common = (
        some_rows(),
        *present("system", "request_id", "subjects", "outputs", "models", "features"),
        *answers(
            mostly_unique("request_id", 0.99, "an id a request"),
            Expectation(
                "expect_column_values_to_be_in_set", fallbacks, "warning", "most answers were made without the model"
            ),
        ),
        between("latency_ms", 0, None),
        *in_time(),
    )
    suite = Suite(name, LATENESS, (*common, *expectations))
    return EventTopic(topic=Topic(name), contract=Served, suite=suite, older=older)
