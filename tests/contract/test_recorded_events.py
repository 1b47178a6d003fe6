"""Bytes of events as they were once written stay readable, and are written the same again.

A contract that changes keeps its old file and adds a new one beside it: `transaction-v2.json`.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from jobs.spark.archive_events import checked_row
from lamina.catalog import CONTRACTS
from lamina.contracts.base import Event
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.feedback import Feedback
from lamina.contracts.fraud_decisions import Decision
from lamina.contracts.served import Served
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.contracts.user_events import UserEvent
from lamina.contracts.videos import Follow, Impression, Interest, Upload, Watch
from lamina.errors import ContractError
from lamina.lake.schemas import SCHEMAS
from lamina.migrations.shadow_scores import ShadowScore

FOLDER = Path(__file__).parent.parent / "data" / "events"
NAMES: dict[str, type[Event]] = {
    "transaction": Transaction,
    "user_event": UserEvent,
    "fraud_label": FraudLabel,
    "served": Served,
    "dead_letter": DeadLetter,
    "feedback": Feedback,
    "impression": Impression,
    "watch": Watch,
    "follow": Follow,
    "interest": Interest,
    "upload": Upload,
}
OLDER: dict[str, type[Event]] = {"decision": Decision, "shadow_score": ShadowScore}
"""On no topic any more; what was written stays readable."""
RECORDED = sorted(FOLDER.glob("*-v*.json"))
NEWER = sorted(FOLDER.glob("*-newer.json"))
"""As a later version might write them: with more fields."""
NEWEST = {path.stem.rpartition("-v")[0]: path for path in RECORDED}


def contract(path: Path) -> type[Event]:
    return (NAMES | OLDER)[path.stem.rpartition("-")[0]]


def test_every_contract_on_a_topic_is_recorded() -> None:
    assert set(NAMES.values()) == set(CONTRACTS.values())
    assert set(NEWEST) == set(NAMES | OLDER)


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_old_bytes_are_read_and_lose_nothing(path: Path) -> None:
    raw = path.read_bytes().strip()
    event = contract(path).from_json(raw)
    written = orjson.loads(event.to_json())
    assert {name: written[name] for name in orjson.loads(raw)} == orjson.loads(raw)
    assert contract(path).from_json(event.to_json()) == event


@pytest.mark.parametrize("path", NEWEST.values(), ids=lambda p: p.stem)
def test_the_newest_bytes_are_written_byte_for_byte(path: Path) -> None:
    raw = path.read_bytes().strip()
    assert contract(path).from_json(raw).to_json() == raw


@pytest.mark.parametrize("path", NEWEST.values(), ids=lambda p: p.stem)
def test_no_field_can_be_left_out_or_added_unseen(path: Path) -> None:
    recorded = orjson.loads(path.read_bytes())
    of = contract(path)
    assert list(recorded) == list(of.model_fields)
    for name, field in of.model_fields.items():
        if field.is_required():
            with pytest.raises(ContractError, match=rf"{of.__name__}\.{name}"):
                of.from_json(orjson.dumps({k: v for k, v in recorded.items() if k != name}))
    with pytest.raises(ValidationError, match="further"):
        of.model_validate_json(orjson.dumps({**recorded, "further": 1}))


@pytest.mark.parametrize("path", NEWER, ids=lambda p: p.stem)
def test_bytes_of_a_newer_writer_are_read(path: Path) -> None:
    """Fields that this version does not know, at the top and inside, are passed over; writers are held to its own."""
    raw, known = path.read_bytes().strip(), NEWEST[path.stem.rpartition("-")[0]].read_bytes().strip()
    assert contract(path).from_json(raw) == contract(path).from_json(known)
    with pytest.raises(ValidationError, match="not permitted"):
        contract(path).model_validate_json(raw)


def test_every_contract_has_a_newer_writer() -> None:
    assert {path.stem.rpartition("-")[0] for path in NEWER} == set(NAMES | OLDER)


@pytest.mark.parametrize("topic", SCHEMAS)
def test_what_a_newer_writer_wrote_is_archived(topic: str) -> None:
    name = next(n for n, of in NAMES.items() if of is CONTRACTS[topic])
    newer, known = (p.read_bytes().strip() for p in (FOLDER / f"{name}-newer.json", NEWEST[name]))
    assert checked_row(topic, 0, 7, newer) == checked_row(topic, 0, 7, known)
    assert "reason" not in checked_row(topic, 0, 7, newer)
