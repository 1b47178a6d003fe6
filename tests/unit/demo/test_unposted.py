"""Days that nobody posted lie in the lake as if they had been: events, and the answers of the version that serves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from benchmarks.small_model import promote, train_small_model
from lamina.clock import day_of
from lamina.contracts.fraud_decisions import read_answer
from lamina.contracts.served import Served
from lamina.definitions.fraud import FEATURES
from lamina.demo.judged import Judged
from lamina.demo.story import Options, Story, load_story
from lamina.demo.unposted import put_answers, put_events
from lamina.features.training import training_set
from lamina.lake.answers import read_answers
from lamina.lake.schemas import SCHEMAS, json_columns
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION
from lamina.scoring.load import load

DAYS = 30


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, str, list[Judged], Path]:
    """Two days after those of a small world, answered by a small model; the day before is scored as well."""
    folder = tmp_path_factory.mktemp("unposted")
    lake = str(folder / "lake")
    story = load_story("fraud", Options(users=120, days=DAYS, data=None, scratch=folder))
    assert story.second is not None
    story.prepare(folder)
    story.source.import_history(lake)
    train_small_model(folder / "trained" / "model", trees=5)
    registry = MemoryRegistry(folder / "registry")
    promote(registry, folder / "trained")
    version = registry.alias("fraud", CHAMPION)
    assert version is not None
    days = range(DAYS, DAYS + 2)
    rows = put_events(story.second, lake, days)
    judged = put_answers(story, story.second, lake, registry, version, folder, days, also=[DAYS - 2])
    assert sum(row.day > story.source.live_day for row in judged) == rows["transactions"]
    return story, lake, judged, folder


def test_every_request_of_these_days_has_an_answer_that_the_platform_can_read(
    put: tuple[Story, str, list[Judged], Path],
) -> None:
    story, lake, _, _ = put
    assert story.second is not None
    first = story.source.live_day + timedelta(days=1)
    for n, day in ((DAYS, first), (DAYS + 1, first + timedelta(days=1))):
        events = story.second.world.day(n)["transactions"]
        found = read_answers(lake, "fraud", SCHEMAS["predictions-fraud"].names, days=[day]).to_pylist()
        assert [row["event_id"] for row in found] == events["transaction_id"].to_pylist()
        assert {day_of(row["timestamp"]) for row in found} == {day}
        texts = json_columns(Served)
        raw = {key: orjson.loads(value) if key in texts else value for key, value in found[0].items()}
        served = read_answer(orjson.dumps(raw))
        assert served.action == "approve" and set(served.features) == set(FEATURES.names)


def test_an_answer_is_of_the_features_of_its_time_and_the_versions_own_score(
    put: tuple[Story, str, list[Judged], Path],
) -> None:
    story, lake, _, folder = put
    assert story.second is not None
    events = story.second.world.day(DAYS)["transactions"]
    wanted = training_set(events, FEATURES, events=lake)
    scorer = load(folder / "trained" / "model")
    found = read_answers(
        lake, "fraud", ("event_id", "features", "outputs"), days=[story.source.live_day + timedelta(1)]
    )
    for row in found.to_pylist()[::17]:
        [at] = wanted.index[wanted["transaction_id"] == row["event_id"]]
        features = orjson.loads(row["features"])
        assert features["amount"] == wanted.loc[at, "amount"]
        assert features["user_txn_count_30d"] == wanted.loc[at, "user_txn_count_30d"]
        assert orjson.loads(row["outputs"])["score"] == pytest.approx(scorer.predict(features), abs=1e-6)


def test_what_is_scored_beside_them_is_judged_and_not_answered(put: tuple[Story, str, list[Judged], Path]) -> None:
    story, lake, judged, _ = put
    assert story.second is not None
    before = story.source.live_day - timedelta(days=1)
    assert {row.day for row in judged} == {before, *(story.source.live_day + timedelta(days=n) for n in (1, 2))}
    assert not read_answers(lake, "fraud", ("event_id",), days=[before]).num_rows
    frauds = sum(story.second.world.truth(n).num_rows for n in (DAYS - 2, DAYS, DAYS + 1))
    assert sum(row.positive for row in judged) == frauds > 0
