"""Suites are data: every rule is one that Great Expectations has, about columns that the topic has."""

from __future__ import annotations

from datetime import date

import pytest

from lamina.clock import DAY_MS, midnight_ms
from lamina.contracts.expectations import CLOCK_SKEW_MS, Suite
from lamina.errors import DefinitionError
from lamina.lake.schemas import SCHEMAS
from lamina.quality.suites import SUITES, suite_of


def test_every_topic_of_the_lake_has_a_suite() -> None:
    assert set(SUITES) == set(SCHEMAS)
    with pytest.raises(DefinitionError, match="feature-tiles"):
        suite_of("feature-tiles")


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda s: s.topic)
def test_rules_are_told_apart_and_read_columns_of_the_topic(suite: Suite) -> None:
    names = [e.name for e in suite.expectations]
    assert len(set(names)) == len(names)
    columns = {f.name for f in SCHEMAS[suite.topic]} | {"location_lat", "location_lon"}
    assert set(suite.columns) <= columns


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda s: s.topic)
def test_a_day_without_events_breaks_no_critical_rule(suite: Suite) -> None:
    about_the_table = [e for e in suite.expectations if not e.columns]
    assert about_the_table
    assert {e.severity for e in about_the_table} == {"warning"}


def test_times_are_relative_to_the_day_and_to_now() -> None:
    day, now = date(2018, 8, 8), midnight_ms(date(2018, 8, 9)) + 3_600_000
    assert suite_of("transactions").parameters(day, now) == {
        "earliest_ms": midnight_ms(day) - 7 * DAY_MS,
        "end_of_day_ms": midnight_ms(day) + DAY_MS,
        "now_ms": now + CLOCK_SKEW_MS,
    }
