"""What somebody says of an answer that was given (topic `model-feedback`): one contract for all systems.

An analyst looked at a payment and rejects it; a shop tells that a user bought the item that was shown to him:

    {"system": "fraud", "feedback_id": "case-7", "request_id": "r-1", "action": "reject", "source": "analyst",
     "author": "ann", "timestamp": 1735689649076}
    {"system": "activity", "feedback_id": "sale-9", "user_id": "u-1", "item_id": "i-7", "action": "purchase",
     "value": 28.76, "source": "shop", "timestamp": 1735689649076}

What it makes of the answer is in the system's record (`lamina.contracts.feedback_label`). An event has an identity, and
so counts once however often it comes: `feedback_id` among those of its system, source and client. So nobody can keep
another's event out by taking its id, and two shops may count their orders alike. All without a key are one client.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from lamina.contracts.base import EpochMs, Event, Identifier, Label, Number, RequestId
from lamina.contracts.cards import IS_CARD_NUMBER, is_card_like
from lamina.contracts.expectations import LATENESS, Suite, in_time, mostly_unique, present, some_rows
from lamina.contracts.topics import EventTopic, Topic

MODEL_FEEDBACK = "model-feedback"
MOST_EVENTS = 500
"""Events in one call."""


def _no_card_number(value: object) -> object:
    if isinstance(value, str) and is_card_like(value):
        raise ValueError(IS_CARD_NUMBER)
    return value


Word = Annotated[Label, BeforeValidator(_no_card_number)]
"""A short text that people write; never a card number."""


class Feedback(Event):
    """One thing that was said of an answer, as it is published.

    The answer is named by `request_id`, by `event_id`, or by `subjects` alone: then it is the newest answer about them
    in the time before it that the system's record says. A subject that the answer is not about is one of its
    candidates.
    """

    system: str = Field(min_length=1, max_length=128)
    feedback_id: Identifier = Field(description="Its identity, among those of its system, source and client.")
    request_id: RequestId | None = Field(None, description="Of the request that was answered.")
    event_id: Identifier | None = Field(None, description="Of the event that was answered, such as a transaction.")
    subjects: dict[str, Identifier] = Field(default_factory=dict, description="Whom it is about: ids by entity.")
    prediction: Number | None = Field(None, description="The number that the client was given, where it has it.")
    action: Word | None = Field(None, description="What was done, such as click, purchase, skip, reject.")
    value: Number | None = Field(None, description="What it was worth, where the system's label is a reward.")
    source: Word = Field(description="Whose word it is, such as analyst, customer, user.")
    author: Word | None = Field(None, description="Who it was, by the client's word.")
    client: str | None = Field(None, max_length=64, description="Name of the API key that it came by.")
    timestamp: EpochMs = Field(description="When it became known.")

    @property
    def key(self) -> str:
        """See `Event.key`: the first subject, or else what names the answer."""
        return next(iter(self.subjects.values()), None) or self.event_id or self.request_id or self.feedback_id


class FeedbackGiven(Event):
    """One thing that a client says of an answer.

    The answer is named by `request_id`, `event_id`, or ids of its subjects: `user_id` and `item_id`, or `subjects` by
    entity. An event without `feedback_id` is known by all that it says, its time among it.
    """

    system: str = Field(min_length=1, max_length=128, description="Whose answer it is about.")
    feedback_id: Identifier | None = Field(None, description="By which it counts once; made of the rest without it.")
    request_id: RequestId | None = Field(None, description="As the answer had it.")
    event_id: Identifier | None = Field(None, description="Of the event that was answered, such as a transaction.")
    user_id: Identifier | None = None
    item_id: Identifier | None = Field(None, description="What the user acted on: an item, a merchant, a candidate.")
    subjects: dict[str, Identifier] = Field(default_factory=dict, description="Ids by entity, in the place of both.")
    prediction: Number | None = Field(None, description="The number that the client was given, where it has it.")
    action: Word | None = Field(None, description="What was done, such as click, purchase, skip, reject.")
    value: Number | None = Field(None, description="What it was worth, where the system's label is a reward.")
    source: Word = Field(description="Whose word it is; which a client may claim follows from its key.")
    author: Word | None = Field(None, description="Who it was.")
    timestamp: EpochMs | None = Field(None, description="When it became known; now, where there is a feedback_id.")


class FeedbackTaken(Event):
    """What became of one event of a batch: `accepted`, or what is wrong with it."""

    place: int = Field(ge=0, description="In the batch, from 0.")
    accepted: str | None = Field(None, description="Its feedback_id: it was written down, and will be published.")
    field: str | None = Field(None, description="Where it is wrong.")
    message: str | None = Field(None, description="What is wrong.")


class BatchTaken(Event):
    """What became of each event of a batch, in its order."""

    accepted: int = Field(ge=0)
    refused: int = Field(ge=0)
    events: list[FeedbackTaken]


FEEDBACK_TOPIC = EventTopic(
    topic=Topic(MODEL_FEEDBACK),
    contract=Feedback,
    suite=Suite(
        MODEL_FEEDBACK,
        LATENESS,
        (
            some_rows(),
            *present("system", "feedback_id", "source"),
            # Warnings: one client that repeats itself, or tells of old chargebacks, holds up the labels of no system.
            mostly_unique(
                "feedback_id", 0.5, "a repeated event counts once: many of them mean a producer that repeats", "warning"
            ),
            *in_time(severity="warning"),
        ),
        # Nobody need say anything.
        silence="warning",
    ),
)
