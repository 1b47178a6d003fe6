"""Thresholds of alerts as data: those that cannot be right are refused when a record is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.contracts.watching import Watching
from lamina.definitions import record, records
from lamina.errors import DefinitionError


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"min_auc": 1.01}, "min_auc 1.01"),
        ({"max_fall": -0.05}, "max_fall -0.05"),
        ({"flagged_from": 2}, "flagged_from 2"),
        ({"min_rows": 0}, "min_rows 0"),
        ({"days": 0}, "days 0"),
    ],
)
def test_a_threshold_that_cannot_be_right_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DefinitionError, match=f"system 'fraud': watching: {complaint}"):
        replace(record("fraud"), watching=Watching(**given))


@pytest.mark.parametrize("edge", [{"min_auc": 0}, {"min_auc": 1}, {"max_fall": 1}, {"min_rows": 1}])
def test_the_ends_of_what_is_possible_are_taken(edge: dict[str, Any]) -> None:
    assert list(Watching(**edge).complaints()) == []


def test_a_system_is_never_told_off_for_what_it_may_be_registered_with() -> None:
    for system in records():
        assert system.watching.min_auc < system.min_auc, system.name


def test_a_declined_payment_is_an_alarm_and_leaves_no_trace() -> None:
    watching = record("fraud").watching
    assert (watching.alarms, watching.withholding) == (("review", "reject"), ("reject",))
