"""What users do with items (topic `user-events`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from lamina.contracts.base import EpochMs, Event, Identifier, Label, Number
from lamina.contracts.expectations import LATENESS, Suite, between, in_time, mostly_unique, one_of, present, some_rows
from lamina.contracts.topics import EventTopic, Topic

USER_EVENTS = "user-events"

EventType = Literal["page_view", "click", "cart", "purchase"]


class UserEvent(Event):
    """One thing a user did with an item.

    >>> UserEvent.from_json(b'{"event_id": 7}')
    Traceback (most recent call last):
    lamina.errors.ContractError: UserEvent.event_id: Input should be a valid string
    """

    only_with: ClassVar[Mapping[str, tuple[str, str]]] = {
        "purchase_id": ("event_type", "purchase"),
        "purchase_amount": ("event_type", "purchase"),
    }

    event_id: Identifier
    user_id: Identifier
    event_type: EventType
    item_id: Identifier
    session_id: Identifier
    page: Label = Field(description="Kind of page it happened on, such as `item`, `search`, `cart`.")
    purchase_id: Identifier | None = Field(None, description="Of a purchase, and only of one.")
    purchase_amount: Number | None = Field(None, ge=0, le=1e9, description="Of a purchase, in the shop's currency.")
    timestamp: EpochMs

    @model_validator(mode="after")
    def _a_purchase_says_what_it_was(self) -> Self:
        if any((getattr(self, f) is not None) != (getattr(self, c) == v) for f, (c, v) in self.only_with.items()):
            raise ValueError("purchase_id and purchase_amount belong to a purchase, and it has both")
        return self


USER_EVENT_TOPIC = EventTopic(
    topic=Topic(USER_EVENTS),
    contract=UserEvent,
    suite=Suite(
        USER_EVENTS,
        LATENESS,
        (
            some_rows(),
            *present("event_id", "user_id", "item_id", "session_id"),
            mostly_unique("event_id", 0.9, "repeated ids are dropped: many of them mean a producer that repeats"),
            one_of("event_type", "page_view", "click", "cart", "purchase"),
            between("purchase_amount", 0, 1e6, mostly=0.9999, why="minor units sent as major ones"),
            *in_time(),
        ),
    ),
)
