from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from jobs.spark.archive_events import checked_row
from lamina.contracts.fraud_decisions import Decision
from lamina.lake.schemas import SCHEMAS

RECORDED = Path(__file__).parents[3] / "data" / "events"
NAMES = {
    "transactions": "transaction",
    "fraud-labels": "fraud_label",
    "predictions-fraud": "decision",
    "user-events": "user_event",
}


@pytest.mark.parametrize("topic", SCHEMAS)
def test_an_event_fills_every_column_of_its_topic(topic: str) -> None:
    row = checked_row(topic, 3, 17, (RECORDED / f"{NAMES[topic]}-v1.json").read_bytes())
    assert (row.pop("partition"), row.pop("offset")) == (3, 17)
    assert list(row) == SCHEMAS[topic].names


def test_maps_of_a_decision_lose_nothing() -> None:
    raw = (RECORDED / "decision-v1.json").read_bytes()
    row = checked_row("predictions-fraud", 0, 0, raw)
    decision = Decision.from_json(raw)
    assert orjson.loads(row["features"]) == decision.features
    assert orjson.loads(row["through"]) == decision.through


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "Transaction.(whole event): Invalid JSON"),
        (b"\xff\xfe", "Transaction.(whole event): Invalid JSON"),
        (b'{"transaction_id": 7}', "Transaction.transaction_id: Input should be a valid string"),
    ],
)
def test_a_broken_message_keeps_its_bytes_and_says_why(raw: bytes | None, reason: str) -> None:
    row = checked_row("transactions", 0, 7, raw)
    assert row["raw"] == (raw or b"")
    assert row["reason"].startswith(reason)
    assert set(row) == {"partition", "offset", "raw", "reason"}


def test_a_reason_never_repeats_a_card_number() -> None:
    event = orjson.loads((RECORDED / "transaction-v1.json").read_bytes())
    row = checked_row("transactions", 0, 7, orjson.dumps({**event, "card_token": "4111111111111111"}))
    assert "card number" in row["reason"]
    assert "4111" not in row["reason"]
