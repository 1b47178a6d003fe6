"""Which watermarks and reports a take-back moves; what it does to tiles and archives needs the services."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.spark import batch_features, publish, take_back
from lamina.clock import midnight_ms, next_day
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.features.built import tiles_url
from lamina.lake import layout
from lamina.rollout.generation import Generation
from lamina.rollout.records import Record, write_record
from lamina.semantics.plan import Plan, make_plan
from lamina.settings import load_settings
from lamina.store.memory import MemoryStore
from lamina.store.protocol import BatchWrite
from lamina.store.staleness import batch_watermark
from tests.unit.rollout.sets import NEW, OLD

DAY, WRONG = date(2018, 8, 14), date(2018, 8, 20)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(take_back, "store_for_tiles", lambda _: store)
    monkeypatch.setattr(take_back, "replay", lambda *_: None)
    monkeypatch.setattr(batch_features, "build", lambda *_: {})
    monkeypatch.setattr(publish, "publish", lambda *_, **__: {})
    return store


def shared_plan() -> Plan:
    found: FeatureSet = load("fraud")
    views = tuple(replace(v, entity=replace(v.entity, shared=True)) for v in found.views)
    return make_plan(replace(found, views=views))


def run(lake: Path, plan: Plan) -> dict[str, Any]:
    settings = load_settings(lake_url=str(lake), clock_at="2018-08-15T01:00:00Z")
    return take_back.take_back(lambda: None, settings, plan, DAY)


def test_watermarks_move_back_of_shared_entities_too(tmp_path: Path, store: MemoryStore) -> None:
    plan = shared_plan()
    watermarks = [batch_watermark("fraud", entity) for entity in plan.features.entities]
    assert all(watermark.endswith("@fraud") for watermark in watermarks)
    for watermark in watermarks:
        store.advance_watermark(watermark, midnight_ms(next_day(WRONG)))
    run(tmp_path, plan)
    assert store.read([]).batch_end_ms == dict.fromkeys(watermarks, midnight_ms(next_day(DAY)))


def test_what_a_killed_writer_has_staged_beside_reports_stops_nothing(tmp_path: Path, store: MemoryStore) -> None:
    folder = Path(layout.parity(str(tmp_path), "fraud", DAY)).parent
    for name in (DAY.isoformat(), WRONG.isoformat(), f"{layout.STAGING_PREFIX}{'0' * 32}"):
        (folder / name).mkdir(parents=True)
    assert run(tmp_path, make_plan(load("fraud")))["reports"] == 1
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {DAY.isoformat()}


def test_the_generations_beside_it_are_taken_back_too(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Generation(OLD), Generation(NEW)
    write_record(str(tmp_path), Record(old, 1, 2))
    for spec in (*old.plan.tile_specs, *new.plan.tile_specs):
        Path(tiles_url(str(tmp_path), spec, next_day(WRONG))).mkdir(parents=True)
        blob = b"LMT3" + b"%013d" % midnight_ms(next_day(WRONG))
        store.publish([BatchWrite("user:7", {spec.id: blob})])
    published: list[set[str]] = []

    def build(spark: object, lake: str, plan: Plan, day: date, only: Collection[str] | None = None) -> None:
        for spec in plan.tile_specs:
            if only is None or spec.key in only:
                Path(tiles_url(lake, spec, next_day(day))).mkdir(parents=True)

    def note(spark: object, lake: str, plan: Plan, day: date, *_: object, **__: object) -> dict[str, object]:
        published.append({spec.key for spec in publish.published(lake, plan, day)[0]})
        return {}

    monkeypatch.setattr(batch_features, "build", build)
    monkeypatch.setattr(publish, "publish", note)
    counts = run(tmp_path, new.plan)
    both = {t.key for t in (*old.plan.tile_specs, *new.plan.tile_specs)}
    assert counts["folders"] == counts["removed"] == len(both)
    assert published == [both]
