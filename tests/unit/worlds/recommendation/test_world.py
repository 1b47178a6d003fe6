"""What is shown and watched follows from the planted truth, and from what was known by then."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lamina.clock import DAY_MS
from lamina.definitions.recommendation import CATEGORIES
from lamina.worlds.protocol import WorldError
from lamina.worlds.recommendation.truth import EXAMINED, HOUR_MS, MOOD_HOURS, POSITIONS
from lamina.worlds.recommendation.world import RecommendationWorld

START = date(2025, 3, 1)
DAYS = 12
VIEWER_VIDEO = ["viewer_id", "video_id"]


def make(days: int = DAYS, viewers: int = 400) -> RecommendationWorld:
    return RecommendationWorld(seed=3, viewers=viewers, days=days, start=START)


@pytest.fixture(scope="module")
def world() -> RecommendationWorld:
    return make()


@pytest.fixture(scope="module")
def events(world: RecommendationWorld) -> dict[str, pd.DataFrame]:
    days = [world.day(n) for n in range(DAYS)]
    return {topic: pa.concat_tables(day[topic] for day in days).to_pandas() for topic in days[0]}


@pytest.fixture(scope="module")
def shown(world: RecommendationWorld, events: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What was shown, what is true of it, and the watch that came of it: `seconds` is missing where none did."""
    known = [world.chances(n).join(world.truth(n), "event_id") for n in range(DAYS)]
    found = events["video-impressions"].merge(pa.concat_tables(known).to_pandas(), on="event_id", validate="1:1")
    watches = events["video-watches"].assign(event_id=lambda w: w["event_id"].str.replace("watch", "list"))
    joined: pd.DataFrame = found.merge(
        watches[["event_id", "seconds", "share", "liked", "timestamp"]].rename(columns={"timestamp": "end_ms"}),
        on="event_id",
        how="left",
    )
    assert joined["seconds"].notna().sum() > 0.99 * len(watches)
    return joined[joined["timestamp"] < world.midnight_ms(DAYS) - HOUR_MS]


def test_how_far_lists_are_read_is_planted(shown: pd.DataFrame) -> None:
    at = shown.assign(watched_there=shown["seconds"].notna()).groupby("position")
    expected = at["chance"].sum() * EXAMINED
    found = at["watched_there"].sum()
    assert (np.abs(found - expected) < 4 * np.sqrt(expected)).all()
    assert found[POSITIONS - 1] < 0.4 * found[0]


def test_chances_are_what_comes_of_a_look(shown: pd.DataFrame) -> None:
    """Among those that stand alike, by tenth of the chance."""
    looked = shown["chance"] * EXAMINED[shown["position"]]
    tenth = pd.qcut(looked, 10, labels=False)
    expected, found = looked.groupby(tenth).sum(), shown["seconds"].notna().groupby(tenth).sum()
    assert (np.abs(found - expected) < 4 * np.sqrt(expected)).all()
    assert found[9] > 10 * found[0]


def test_seconds_are_what_was_expected_and_have_a_long_tail(shown: pd.DataFrame) -> None:
    watched = shown.dropna(subset="seconds")
    fifth = watched.groupby(pd.qcut(watched["watched_s"], 5, labels=False))
    expected, found = fifth["watched_s"].mean(), fifth["seconds"].agg(["mean", "sem"])
    assert (np.abs(found["mean"] - expected) < 4 * found["sem"] + 0.5).all()
    assert watched["seconds"].quantile(0.99) > 4 * watched["seconds"].median()
    assert watched["share"].between(0, 1).all()
    assert watched[watched["share"] > 0.8]["liked"].mean() > 2 * watched[watched["share"] < 0.3]["liked"].mean()


def test_tastes_can_be_found_in_what_is_watched(world: RecommendationWorld, shown: pd.DataFrame) -> None:
    category = shown["category"].map({name: n for n, name in enumerate(CATEGORIES)})
    viewer = shown["viewer_id"].str[-7:].astype(int)
    rates = shown["seconds"].notna().groupby([viewer, category]).agg(["mean", "size"])
    often = rates[rates["size"] >= 20]
    taste = world.known.viewers.taste[often.index.get_level_values(0), often.index.get_level_values(1)]
    assert len(often) > 500
    assert np.corrcoef(often["mean"], taste)[0, 1] > 0.35


def test_a_viewer_has_moods_of_some_hours(world: RecommendationWorld) -> None:
    viewer = np.arange(400)
    at = np.full(400, world.midnight_ms(2) + 8 * HOUR_MS)
    moods = [world.known.mood(viewer, at + hours * HOUR_MS) for hours in (0, MOOD_HOURS - 1, MOOD_HOURS)]
    assert (moods[0] == moods[1]).all()
    assert (moods[0] != moods[2]).mean() > 0.5
    some = moods[0] >= 0
    assert 0.65 < some.mean() < 0.85
    taste = world.known.viewers.taste
    assert taste[viewer[some], moods[0][some]].mean() > taste.mean() + 0.8


def test_the_truth_is_what_follows_within_an_hour(shown: pd.DataFrame, events: dict[str, pd.DataFrame]) -> None:
    ends = events["video-watches"].groupby(VIEWER_VIDEO)["timestamp"].apply(list)
    some = shown.sample(4000, random_state=1)
    followed = [
        any(0 < end - row.timestamp <= HOUR_MS for end in ends.get((row.viewer_id, row.video_id), ()))
        for row in some.itertuples()
    ]
    assert (some["watched"] == followed).all()
    assert 0.02 < shown["watched"].mean() < 0.1
    watched = shown.dropna(subset="seconds")
    assert (watched["end_ms"] - watched["timestamp"] >= 1000 * watched["seconds"]).all()
    assert watched["watched"].mean() > 0.999


def test_only_what_is_there_is_shown(shown: pd.DataFrame, events: dict[str, pd.DataFrame]) -> None:
    uploads = events["video-uploads"]
    assert (uploads[uploads["status"] == "published"]["video_id"]).is_unique
    told = uploads.pivot_table(index="video_id", columns="status", values="timestamp", aggfunc="first")
    of = told.reindex(shown["video_id"])
    assert (of["published"].to_numpy() <= shown["timestamp"].to_numpy()).all()
    assert not (of["removed"].to_numpy() <= shown["timestamp"].to_numpy()).any()
    assert of["removed"].notna().any()
    rating = uploads.groupby("video_id")["content_rating"].first()
    assert (rating == "sensitive").any() and not (rating.reindex(shown["video_id"]) == "sensitive").any()
    assert uploads.groupby(uploads["timestamp"] // DAY_MS).size().min() > 3


def test_who_is_followed_is_known_before_it_is_shown_for_that(
    shown: pd.DataFrame, events: dict[str, pd.DataFrame]
) -> None:
    follows = events["channel-follows"]
    begun = follows[follows["followed"]].groupby(["viewer_id", "channel_id"])["timestamp"].min()
    assert (~follows["followed"]).any()
    for_that = shown[shown["source"] == "follow"]
    since = begun.reindex(pd.MultiIndex.from_frame(for_that[["viewer_id", "channel_id"]]))
    assert len(for_that) > 1000
    assert (since.to_numpy() <= for_that["timestamp"].to_numpy()).all()


def test_viewers_sign_up_before_they_are_shown_anything(shown: pd.DataFrame, events: dict[str, pd.DataFrame]) -> None:
    signup = events["viewer-interests"].groupby("viewer_id")["timestamp"].min()
    assert (signup.reindex(shown["viewer_id"]).to_numpy() <= shown["timestamp"].to_numpy()).all()
    assert (signup > signup.min() + DAY_MS).sum() > 10


def test_a_list_has_each_video_once_and_a_session_too(shown: pd.DataFrame) -> None:
    lists = shown.groupby("request_id")
    assert (lists["position"].max() == lists.size() - 1).all() and (lists["viewer_id"].nunique() == 1).all()
    assert lists.size().max() == POSITIONS
    ordered = shown.sort_values([*VIEWER_VIDEO, "timestamp"])
    again = ordered.groupby(VIEWER_VIDEO)["timestamp"].diff().dropna()
    # A viewer may come back soon, which is another session.
    assert (again == 0).sum() == 0 and (again < HOUR_MS // 2).mean() < 0.25
    assert shown["propensity"].between(0, 1, inclusive="right").all()
    assert set(shown["source"]) == {"trending", "follow", "fresh", "random"}


def test_an_oracle_shows_far_better_lists_than_the_most_popular(world: RecommendationWorld) -> None:
    viewer, at = np.arange(150), world.midnight_ms(8) + 19 * HOUR_MS
    there = np.flatnonzero(world.known.videos.there(at, at))
    everyone, every = (grid.ravel() for grid in np.meshgrid(viewer, there, indexing="ij"))
    chance = world.known.chance(everyone, every, np.full(len(every), at)).reshape(len(viewer), -1)
    best = -np.sort(-chance, axis=1)[:, :POSITIONS]
    popular = np.argsort(-chance.mean(axis=0))[:POSITIONS]
    assert (best * EXAMINED).sum(axis=1).mean() > 1.8 * (chance[:, popular] * EXAMINED).sum(axis=1).mean()


def test_days_are_made_one_by_one(world: RecommendationWorld) -> None:
    longer = make(days=20)
    assert longer.day(DAYS - 1) == world.day(DAYS - 1), "no day depends on how many there are"
    assert longer.truth(DAYS - 1).equals(world.truth(DAYS - 1))
    assert longer.chances(3).equals(world.chances(3))


@pytest.mark.parametrize("wrong", [{"viewers": 0}, {"days": 0}, {"seed": -1}, {"channels": 3}, {"per_day": 0.0}])
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    arguments: dict[str, object] = {"seed": 1, "viewers": 10, "days": 1, "start": START, **wrong}
    with pytest.raises(WorldError):
        RecommendationWorld(**arguments)  # type: ignore[arg-type]


def test_a_tiny_world_works() -> None:
    world = make(days=2, viewers=1)
    assert [world.truth(n).column_names for n in range(2)] == [["event_id", "watched"]] * 2
    assert len(world.day(0)["viewer-interests"]) in (0, 3)
