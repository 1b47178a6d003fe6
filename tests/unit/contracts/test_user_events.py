"""A purchase says what it was, and nothing else does."""

from __future__ import annotations

import orjson
import pytest

from lamina.contracts.user_events import UserEvent
from lamina.errors import ContractError
from lamina.settings import ROOT

PURCHASE = orjson.loads((ROOT / "tests" / "data" / "events" / "user_event-v1.json").read_bytes())


@pytest.mark.parametrize(
    "changes",
    [
        {"purchase_amount": None},
        {"purchase_id": None},
        {"event_type": "click"},
        {"event_type": "click", "purchase_id": None},
    ],
)
def test_half_a_purchase_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="purchase_id and purchase_amount belong to a purchase"):
        UserEvent.from_json(orjson.dumps(PURCHASE | changes))


@pytest.mark.parametrize("kind", ["page_view", "click", "cart"])
def test_other_events_need_neither(kind: str) -> None:
    bare = {k: v for k, v in PURCHASE.items() if not k.startswith("purchase")}
    assert UserEvent.from_json(orjson.dumps(bare | {"event_type": kind})).purchase_amount is None
