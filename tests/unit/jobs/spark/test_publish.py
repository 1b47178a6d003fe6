"""What one publishing writes while features go live: all generations together, or neither could be read meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from jobs.spark import batch_features, fill, publish
from lamina.clock import midnight_ms, next_day
from lamina.contracts.features import Entity, FeatureSet, days, hours
from lamina.features.built import tiles_url
from lamina.rollout.generation import Generation, lacking
from lamina.rollout.records import Record, write_record
from lamina.semantics.plan import Plan
from lamina.store.filled import Until
from lamina.store.memory import MemoryStore
from tests.unit.rollout.sets import NEW, OLD, PEAKS, SPEND

DAY = date(2018, 8, 14)
HOURLY = replace(OLD, views=(SPEND, replace(PEAKS, resolution=hours(1))))
"""Differs in the batch layer alone: both read the same speed tiles."""
LONGER = replace(OLD, views=(replace(SPEND, windows=(*SPEND.windows, days(30))), PEAKS))


def plan_of(features: FeatureSet) -> Plan:
    return Generation(features).plan


def build(lake: Path, plan: Plan) -> None:
    for spec in plan.tile_specs:
        Path(tiles_url(str(lake), spec, next_day(DAY))).mkdir(parents=True, exist_ok=True)


def test_alone_all_of_its_own_is_written(tmp_path: Path) -> None:
    plan = plan_of(OLD)
    assert publish.published(str(tmp_path), plan, DAY) == (list(plan.tile_specs), list(plan.speed))


@pytest.mark.parametrize("other", [NEW, HOURLY])
def test_generations_are_written_together(tmp_path: Path, other: FeatureSet) -> None:
    old, new = plan_of(OLD), plan_of(other)
    write_record(str(tmp_path), Record(Generation(other), 1))
    build(tmp_path, old)
    build(tmp_path, new)
    specs, speed = publish.published(str(tmp_path), old, DAY)
    assert {t.key for t in specs} == {t.key for t in (*old.tile_specs, *new.tile_specs)}
    assert {t.key for t in speed} == {t.key for t in (*old.speed, *new.speed)}


def test_shared_speed_tiles_stay_until_all_blobs_replace_them(tmp_path: Path) -> None:
    old, new = plan_of(OLD), plan_of(HOURLY)
    assert old.speed == new.speed
    write_record(str(tmp_path), Record(Generation(HOURLY), 1))
    build(tmp_path, old)
    assert publish.published(str(tmp_path), old, DAY) == (list(old.tile_specs), [])


def test_a_blob_reaches_as_far_back_as_any_generation_needs(tmp_path: Path) -> None:
    old, longer = plan_of(OLD), plan_of(LONGER)
    write_record(str(tmp_path), Record(Generation(LONGER), 1))
    build(tmp_path, old)
    specs, _ = publish.published(str(tmp_path), old, DAY)
    (more,) = lacking(longer, [old])
    assert {t.key: t.horizon_s for t in specs}[more.key] == more.horizon_s


def test_nobody_vouches_for_what_was_built_before_it_was_asked_for(tmp_path: Path) -> None:
    """Tiles of the day that reach back as far as the old features need are no longer ones."""
    old, longer = plan_of(OLD), plan_of(LONGER)
    (more,) = lacking(longer, [old])
    (short,) = (t for t in old.tile_specs if t.key == more.key)
    (told,) = publish._vouched_for([more], old, {})
    assert told.horizon_s == short.horizon_s
    filled = {more.key: Until(midnight_ms(DAY), more.reach)}
    assert publish._vouched_for([more], old, filled) == [more]
    assert publish._vouched_for([more], longer, {}) == [more]


def test_an_entity_that_is_new_is_complete_once_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all its features were stale until the next daily run."""
    store, device = MemoryStore(), Entity("device", "device_type")
    features = replace(OLD, views=(*OLD.views, replace(PEAKS, name="uses", entity=device, aggregates=SPEND.aggregates)))
    monkeypatch.setattr(batch_features, "build", lambda *_: {"tiles": {}})
    monkeypatch.setattr(publish, "publish", lambda *_, **__: {})
    monkeypatch.setattr(fill, "RedisStore", lambda url: store)
    fill.fill(None, str(tmp_path), plan_of(features), plan_of(OLD), DAY, "")
    assert store.read([]).batch_end_ms == {"device": midnight_ms(next_day(DAY))}
