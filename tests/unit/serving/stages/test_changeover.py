"""Which features a process reads while others go live, are taken back, or do not fit its champion."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.rollout.generation import Generation
from lamina.rollout.records import Record, remove_record, write_record
from lamina.scoring.protocol import Scorer
from serving.stages.changeover import Changeover, Changeovers
from serving.stages.features import FeatureStage
from tests.unit.rollout.sets import NEW, OLD
from tests.unit.serving.recognisable import AsyncMemoryStore

OLDER, NEWER = Record(Generation(OLD), 1, 1_533_686_400_000), Record(Generation(NEW), 3)
LIVE = NEWER.went_live(1_533_772_800_000)
REQUEST = {"user_id": "7", "timestamp": 1_533_772_800_000}


@pytest.fixture
def lake(tmp_path: Path) -> str:
    write_record(str(tmp_path), OLDER)
    write_record(str(tmp_path), NEWER)
    return str(tmp_path)


def looked(own: FeatureSet, lake: str) -> Changeover:
    made = Changeover(own, lake)
    made.look()
    return made


def read(stage: FeatureStage) -> set[str]:
    """Names of the features that a stage gives."""
    (found,) = asyncio.run(stage.read_each([REQUEST]))
    vector = stage.vector(found, REQUEST, 1_533_772_800_000)
    assert vector is not None
    return set(vector.values)


def test_without_a_record_what_the_code_defines_is_read(tmp_path: Path) -> None:
    found = looked(NEW, str(tmp_path))
    assert (found.features, found.version, found.problem) == (NEW, NEWER.id, None)


def test_the_old_are_read_until_the_new_are_live(lake: str) -> None:
    found = looked(NEW, lake)
    stages = [found.stage(AsyncMemoryStore(), timeout_ms=60_000) for _ in range(2)]
    assert (found.features, found.version) == (OLD, f"{OLDER.id} since 2018-08-08 00:00:00")
    assert f"{NEWER.id}, which this code defines, is not live" in str(found.problem)
    assert [read(stage) for stage in stages] == [set(OLD.names)] * 2
    write_record(lake, LIVE)
    found.look()
    assert (found.features, found.version) == (NEW, f"{NEWER.id} since 2018-08-09 00:00:00")
    assert found.problem is None
    assert [read(stage) for stage in stages] == [set(NEW.names)] * 2


def test_the_gauge_tells_how_long_a_rollout_stands(lake: str) -> None:
    now_ms = [3_600_003]
    found = Changeover(NEW, lake, lambda: now_ms[0])

    def shown() -> dict[str, float | None]:
        found.look()
        own = {"system": "fraud"}
        return {
            state: REGISTRY.get_sample_value("feature_rollout_age_seconds", own | {"state": state})
            for state in ("filling", "kept")
        }

    assert shown() == {"filling": 3600.0, "kept": 0.0}
    write_record(lake, LIVE)
    now_ms[0] = 1_533_772_860_000
    assert shown() == {"filling": 0.0, "kept": 60.0}
    (Path(lake) / "rollout" / "fraud" / f"{NEWER.id}.json").write_text("{")
    assert shown() == {"filling": 0.0, "kept": 60.0}, "as it was, while a record cannot be read"
    remove_record(lake, NEWER)
    assert shown() == {"filling": 0.0, "kept": 0.0}


def test_what_is_under_way_is_finished_as_it_was_begun(lake: str) -> None:
    found = looked(NEW, lake)
    stage = found.stage(AsyncMemoryStore(), timeout_ms=60_000)
    (snapshot,) = asyncio.run(stage.read_each([REQUEST]))
    write_record(lake, LIVE)
    found.look()
    vector = stage.vector(snapshot, REQUEST, 1_533_772_800_000)
    assert vector is not None
    assert set(vector.values) == set(OLD.names)
    assert read(stage) == set(NEW.names)


def test_who_defines_the_old_goes_on_with_them(lake: str) -> None:
    """They are kept until somebody finishes the rollout."""
    write_record(lake, LIVE)
    found = looked(OLD, lake)
    assert (found.features, found.problem) == (OLD, None)
    remove_record(lake, OLDER)
    found.look()
    assert found.features == NEW
    assert found.problem is not None


def test_a_record_that_cannot_be_read_leaves_things_as_they_are(lake: str) -> None:
    found = looked(NEW, lake)
    (Path(lake) / "rollout" / "fraud" / f"{NEWER.id}.json").write_text("{")
    found.look()
    assert found.features == OLD
    assert "the record of the rollout cannot be read" in str(found.problem)


def test_a_champion_goes_on_with_what_it_was_trained_on(lake: str) -> None:
    found = looked(NEW, lake)
    found.inputs = lambda: ("spent_1h", "n_1h")
    write_record(lake, LIVE)
    found.look()
    assert found.features == OLD
    assert "spent_1h" in str(found.problem)
    assert "train and promote one" in str(found.problem)
    found.inputs = tuple
    found.look()
    assert (found.features, found.problem) == (NEW, None)


class Trained:
    """A model of which only what it was trained on matters."""

    def __init__(self, on: FeatureSet) -> None:
        self.on = on

    def load(self, folder: Path, features: FeatureSet) -> Scorer:
        if features != self.on:
            raise ModelUnavailable("its features mean something else")
        return self  # type: ignore[return-value]


def test_a_champion_brings_its_features_with_it(lake: str) -> None:
    write_record(lake, LIVE)
    found = looked(NEW, lake)
    assert found.load(Path(), Trained(OLD).load, champion=True) is not None
    assert found.features == OLD
    assert found.load(Path(), Trained(NEW).load, champion=True) is not None
    assert found.features == NEW


def test_nothing_brings_features_that_are_not_ready(lake: str) -> None:
    found = looked(NEW, lake)
    with pytest.raises(ModelUnavailable):
        found.load(Path(), Trained(NEW).load, champion=True)
    assert found.features == OLD


def test_a_challenger_changes_nothing(lake: str) -> None:
    write_record(lake, LIVE)
    found = looked(NEW, lake)
    with pytest.raises(ModelUnavailable):
        found.load(Path(), Trained(OLD).load, champion=False)
    assert found.features == NEW


def test_models_beside_the_champion_are_told_what_means_something_else(lake: str) -> None:
    found, told = looked(NEW, lake), list[object]()
    found.withdraw = told.append
    found.look()
    assert told == []
    write_record(lake, LIVE)
    found.look()
    assert told == [{"spent_1h", "spent_7d", "n_1h", "n_7d", "peak_2d"}]


def test_a_model_that_was_refused_is_tried_again_once_more_is_ready(lake: str) -> None:
    found, tries = Changeover(NEW, lake), []
    found.retry = lambda: tries.append(1)
    found.look()
    found.look()
    assert len(tries) == 1
    write_record(lake, LIVE)
    found.look()
    assert len(tries) == 2


def test_systems_change_over_by_themselves(lake: str) -> None:
    found = Changeovers(lake)
    ours, others = found.of(NEW), found.of(replace(OLD, system="shop"))
    assert found.of(NEW) is ours is found.named("fraud")
    found.look()
    assert (ours.features, others.features.system) == (OLD, "shop")
