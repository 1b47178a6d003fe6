"""One table of values: the contract, and the archive that reads by it, keep and refuse what it says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.spark.archive_events import checked_row
from lamina.errors import ContractError
from lamina.streams.topics import contract_of
from tests.values import CASES, Case

ALL = [(topic, case) for topic, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("topic", "case"), ALL, ids=str)
def test_on_a_topic(topic: str, case: Case) -> None:
    row = checked_row(topic, 0, 7, case.raw)
    assert (row.get("reason") is None) == case.topic, row.get("reason")
    if not case.topic:
        assert row["raw"] == case.raw
        with pytest.raises(ContractError):
            contract_of(topic).from_json(case.raw)


@pytest.mark.parametrize(("topic", "case"), ALL, ids=str)
def test_at_the_door(topic: str, case: Case) -> None:
    """What is taken is written down in the contract's way, so that it keeps the contract on its topic."""
    contract = contract_of(topic)
    if not case.door:
        with pytest.raises(ValidationError):
            contract.model_validate_json(case.raw)
        return
    written = contract.model_validate_json(case.raw).to_json()
    assert contract.from_json(written).to_json() == written
