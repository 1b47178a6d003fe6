"""Days of a world say whether an engine computes what a record means: several sources, lists, a hot entity."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from lamina.definitions.recommendation import FEATURES, IMPRESSIONS
from lamina.features import training_set
from lamina.semantics.reference import evaluate_all
from lamina.worlds.recommendation.world import RecommendationWorld
from tests.parity.differences import differences

ASKED = 25


def test_features_of_shown_videos_are_what_the_record_means() -> None:
    world = RecommendationWorld(seed=5, viewers=40, days=3, start=date(2026, 1, 5))
    days = [world.day(n) for n in range(world.days)]
    sources = {view.source.name: view.source for view in FEATURES.views}
    events = {name: pa.concat_tables(day[s.topic] for day in days) for name, s in sources.items()}
    rows = {name: table.to_pylist() for name, table in events.items()}
    asked = rows[IMPRESSIONS.name][-1 :: -len(rows[IMPRESSIONS.name]) // ASKED]
    found = training_set(asked, FEATURES, events=events).astype(object)
    values = found.where(found.notna(), None).to_dict("records")
    lists, told = 0, 0
    for row, record in zip(asked, values, strict=True):
        made = {str(name): value for name, value in record.items()}
        wanted = evaluate_all(FEATURES, rows, row, row["timestamp"])
        assert not differences(wanted, made), row["event_id"]
        lists += min(len(made["recent_videos"]), len(made["followed_channels"])) > 0
        told += made["video_age"] is not None and made["video_duration_s"] is not None
    assert told == len(asked) and lists > 5, "the rows that were compared know something"
