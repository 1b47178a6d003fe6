from __future__ import annotations

import json
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from jobs.spark.archive_events import _checker, checked_row
from lamina.catalog import CONTRACTS
from lamina.contracts.fraud_decisions import Decision, served_of
from lamina.contracts.served import Served
from lamina.lake.schemas import SCHEMAS
from tests.contract.test_recorded_events import NAMES as CONTRACT_NAMES

RECORDED = Path(__file__).parents[3] / "data" / "events"
NAMES = {contract: name for name, contract in CONTRACT_NAMES.items()}


@pytest.mark.parametrize("topic", SCHEMAS)
def test_an_event_fills_every_column_of_its_topic(topic: str) -> None:
    row = checked_row(topic, 3, 17, (RECORDED / f"{NAMES[CONTRACTS[topic]]}-v1.json").read_bytes())
    assert (row.pop("partition"), row.pop("offset")) == (3, 17)
    assert list(row) == SCHEMAS[topic].names


def test_maps_of_an_answer_lose_nothing() -> None:
    raw = (RECORDED / "served-v1.json").read_bytes()
    row = checked_row("predictions-fraud", 0, 0, raw)
    served = Served.from_json(raw)
    assert orjson.loads(row["features"]) == served.features
    assert orjson.loads(row["through"]) == served.through
    assert orjson.loads(row["payload"]) == served.payload


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "newer"])
def test_a_decision_that_an_older_version_logged_is_archived_as_an_envelope(version: str) -> None:
    raw = (RECORDED / f"decision-{version}.json").read_bytes()
    row = checked_row("predictions-fraud", 3, 17, raw)
    assert row == checked_row("predictions-fraud", 3, 17, served_of(Decision.from_json(raw)).to_json())
    assert "reason" not in row


def test_what_is_neither_says_what_an_envelope_lacks() -> None:
    assert checked_row("predictions-fraud", 0, 0, b"{}")["reason"] == "Served.system: Field required"


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


TOO_LARGE = 10**30


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("served-v1", {"payload": {"x": TOO_LARGE}}, "Served.(whole event): cannot be written: Integer exceeds"),
        ("served-v1", {"seen": {"x": TOO_LARGE}}, "Served.(whole event): cannot be written: Integer exceeds"),
        ("served-v1", {"feature_age_ms": 2**63}, "Served.feature_age_ms: Input should be less than"),
        ("decision-v3", {"seen": {"x": TOO_LARGE}}, "Served.system: Field required"),
        ("decision-v3", {"stage_ms": {"model": -1.0}}, "Served.system: Field required"),
        ("decision-v3", {"feature_age_ms": 2**63}, "Served.system: Field required"),
    ],
)
def test_one_message_that_no_column_can_hold_does_not_end_the_archive(
    name: str, changes: dict[str, object], reason: str
) -> None:
    good = (RECORDED / f"{name}.json").read_bytes()
    # Not orjson, which writes no such number either.
    odd = json.dumps(orjson.loads(good) | changes).encode()
    columns = pa.RecordBatch.from_pydict({"partition": [0, 0], "offset": [1, 2], "value": [odd, good]})
    (found,) = _checker("predictions-fraud")(iter([columns]))
    first, second = found.column("reason").to_pylist()
    assert first.startswith(reason) and second is None


def test_a_reason_never_repeats_a_card_number() -> None:
    event = orjson.loads((RECORDED / "transaction-v1.json").read_bytes())
    row = checked_row("transactions", 0, 7, orjson.dumps({**event, "card_token": "4111111111111111"}))
    assert "card number" in row["reason"]
    assert "4111" not in row["reason"]
