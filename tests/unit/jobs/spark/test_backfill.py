"""Which days a backfill builds, and what it remembers of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from jobs.spark import batch_features
from jobs.spark import publish as publishing
from jobs.spark.backfill import RangeError, Record, backfill, days_of
from lamina.clock import Clock, midnight_ms
from lamina.contracts.features import days
from lamina.definitions import load
from lamina.errors import DayNotOver
from lamina.features.built import built_later, built_through, tiles_url
from lamina.rollout.generation import Generation
from lamina.rollout.records import Record as Generations
from lamina.rollout.records import write_record
from lamina.semantics.plan import Plan, make_plan
from tests.unit.rollout.sets import NEW, OLD

PLAN = make_plan(load("fraud"))
FIRST, LAST = date(2018, 8, 8), date(2018, 8, 10)
RANGE = [date(2018, 8, 8), date(2018, 8, 9), date(2018, 8, 10)]


def make_built(lake: Path, through: date, tile_specs: int = len(PLAN.tile_specs)) -> None:
    for tile_spec in PLAN.tile_specs[:tile_specs]:
        Path(tiles_url(str(lake), tile_spec, through)).mkdir(parents=True)


def test_a_later_day_that_was_built_is_built_anew(tmp_path: Path) -> None:
    assert days_of(str(tmp_path), PLAN, FIRST, LAST) == RANGE
    make_built(tmp_path, date(2018, 8, 10))
    assert days_of(str(tmp_path), PLAN, FIRST, LAST) == RANGE
    make_built(tmp_path, date(2018, 8, 21))
    make_built(tmp_path, date(2018, 8, 25), tile_specs=2)
    assert built_through(str(tmp_path), PLAN) == [date(2018, 8, 10), date(2018, 8, 21)]
    assert days_of(str(tmp_path), PLAN, FIRST, LAST) == [*RANGE, date(2018, 8, 20)]


def test_an_empty_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RangeError, match="give the earlier one as --from"):
        days_of(str(tmp_path), PLAN, LAST, FIRST)


def at(day: date, hour: int = 0) -> Clock:
    return lambda: midnight_ms(day) + 3_600_000 * hour


def test_a_range_ends_with_a_day_that_is_over(tmp_path: Path) -> None:
    with pytest.raises(DayNotOver, match="2018-08-10 is not over: it is 2018-08-10 23:00 UTC"):
        days_of(str(tmp_path), PLAN, FIRST, LAST, at(LAST, 23))
    assert days_of(str(tmp_path), PLAN, FIRST, LAST, at(date(2018, 8, 11))) == RANGE
    with pytest.raises(DayNotOver, match="2099-01-01"):
        days_of(str(tmp_path), PLAN, FIRST, date(2099, 1, 1))


def test_tiles_of_a_day_that_is_not_over_are_not_built_upon(tmp_path: Path) -> None:
    make_built(tmp_path, date(2099, 1, 2))
    with pytest.raises(DayNotOver, match=r"2099-01-01 is not over.*take-back --system fraud --through"):
        days_of(str(tmp_path), PLAN, FIRST, LAST)


def test_folders_of_later_tiles_are_found_also_of_a_run_that_was_not_finished(tmp_path: Path) -> None:
    make_built(tmp_path, date(2018, 8, 10))
    make_built(tmp_path, date(2018, 8, 11), tile_specs=2)
    assert built_later(str(tmp_path), PLAN, date(2018, 8, 10)) == [
        tiles_url(str(tmp_path), tile_spec, date(2018, 8, 11)) for tile_spec in PLAN.tile_specs[:2]
    ]


def test_done_days_are_remembered_until_cleared_or_the_tile_specs_change(tmp_path: Path) -> None:
    record = Record(str(tmp_path), PLAN, FIRST, LAST)
    record.clear()
    assert record.done() == []
    record.add(RANGE[0])
    record.add(RANGE[1])
    assert Record(str(tmp_path), PLAN, FIRST, LAST).done() == RANGE[:2]
    assert Record(str(tmp_path), PLAN, FIRST, FIRST).done() == []
    changed = make_plan(replace(PLAN.features, views=PLAN.features.views[:2], ratios=(), elapsed=(), model_features=()))
    assert Record(str(tmp_path), changed, FIRST, LAST).done() == []
    # Of a generation that is filled beside it since, nothing is done.
    write_record(str(tmp_path), Generations(Generation(changed.features), 1))
    assert Record(str(tmp_path), PLAN, FIRST, LAST).done() == RANGE[:2], "it keeps nothing more"
    longer = replace(PLAN.features.views[0], windows=(*PLAN.features.views[0].windows, days(99)))
    more = replace(PLAN.features, views=(longer, *PLAN.features.views[1:]))
    write_record(str(tmp_path), Generations(Generation(more), 2))
    assert Record(str(tmp_path), PLAN, FIRST, LAST).done() == []
    record.clear()
    assert record.done() == []


def test_generations_beside_it_are_built_with_every_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would be published again as they were before what the backfill corrects."""
    older, newer = Generation(OLD), Generation(NEW)
    for at, generation in enumerate((older, newer)):
        write_record(str(tmp_path), Generations(generation, 1, 2 + at))
    built: dict[str, list[date]] = {}

    def build(spark: object, lake: str, plan: Plan, day: date, only: Collection[str] | None = None) -> dict[str, Any]:
        keys = [t.key for t in plan.tile_specs if only is None or t.key in only]
        for key in keys:
            built.setdefault(key, []).append(day)
        return {"tiles": dict.fromkeys(keys, 1)}

    monkeypatch.setattr(batch_features, "build", build)
    monkeypatch.setattr(publishing, "publish", lambda *arguments, **options: {})
    found = backfill(
        cast(Any, None), str(tmp_path), newer.plan, FIRST, LAST, "redis://nowhere", console=Console(quiet=True)
    )
    keys = {t.key for plan in (older.plan, newer.plan) for t in plan.tile_specs}
    assert built == dict.fromkeys(keys, RANGE)
    assert (found["days"], found["tiles"]) == (3, 3 * len(keys))
