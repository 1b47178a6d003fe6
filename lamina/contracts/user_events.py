"""What users do with items (topic `user-events`)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lamina.contracts.base import EpochMs, Event, Identifier, Label

EventType = Literal["page_view", "click", "cart", "purchase"]


class UserEvent(Event):
    """One thing a user did with an item.

    >>> UserEvent.from_json(b'{"event_id": 7}')
    Traceback (most recent call last):
    lamina.errors.ContractError: UserEvent.event_id: Input should be a valid string
    """

    event_id: Identifier
    user_id: Identifier
    event_type: EventType
    item_id: Identifier
    session_id: Identifier
    page: Label = Field(description="Kind of page it happened on, such as `item`, `search`, `cart`.")
    purchase_id: Identifier | None = Field(None, description="Of a purchase, and only of one.")
    purchase_amount: float | None = Field(None, ge=0, le=1e9, description="Of a purchase, in the shop's currency.")
    timestamp: EpochMs

    @model_validator(mode="after")
    def _a_purchase_says_what_it_was(self) -> Self:
        given = (self.purchase_id is not None, self.purchase_amount is not None)
        if given != (self.event_type == "purchase",) * 2:
            raise ValueError("purchase_id and purchase_amount belong to a purchase, and it has both")
        return self
