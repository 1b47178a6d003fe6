from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from lamina.clock import DAY_MS
from lamina.worlds.activity.visits import SESSION_GAP_MS
from lamina.worlds.activity.world import ActivityWorld
from lamina.worlds.protocol import WorldError

START = date(2025, 3, 1)
DAYS = 35
HOUR_MS = 3_600_000


def make(days: int = DAYS, shoppers: int = 3000) -> ActivityWorld:
    return ActivityWorld(seed=3, shoppers=shoppers, days=days, start=START)


@pytest.fixture(scope="module")
def world() -> ActivityWorld:
    return make()


@pytest.fixture(scope="module")
def events(world: ActivityWorld) -> pd.DataFrame:
    frame: pd.DataFrame = pa.concat_tables(world.events(n) for n in range(DAYS)).to_pandas()
    return frame


@pytest.fixture(scope="module")
def views(world: ActivityWorld, events: pd.DataFrame) -> pd.DataFrame:
    """Page views with what is true of each, and what was known of it then."""
    truth = pa.concat_tables(world.truth(n) for n in range(DAYS)).to_pandas()
    chances = pa.concat_tables(world.chances(n) for n in range(DAYS)).to_pandas()
    is_view = events["event_type"] == "page_view"
    known = events.assign(
        day=events["event_id"].str.split("-").str[2].astype(int),
        hour=events["timestamp"] // HOUR_MS % 24,
        looked=is_view.groupby(events["session_id"]).cumsum(),
        bought=(events["event_type"] == "purchase").groupby(events["user_id"]).cumsum(),
    )
    at = events.groupby("item_id")["timestamp"]
    known["around"] = at.transform(lambda t: np.arange(len(t)) - np.searchsorted(t, t.to_numpy() - HOUR_MS))
    found: pd.DataFrame = known[is_view].merge(truth, on="event_id").merge(chances, on="event_id")
    assert len(found) == is_view.sum()
    return found


def test_ids_are_unique_and_purchases_have_theirs(events: pd.DataFrame) -> None:
    assert events["event_id"].is_unique
    bought = events["event_type"] == "purchase"
    assert (events["purchase_id"].notna() == bought).all()
    assert (events["purchase_amount"].notna() == bought).all()
    assert events["purchase_id"].dropna().is_unique
    assert (events["purchase_amount"].dropna() > 0).all()


def test_people_look_more_than_they_click_put_into_carts_or_buy(events: pd.DataFrame) -> None:
    share = events["event_type"].value_counts(normalize=True)
    assert share["page_view"] > 1.5 * share["click"] > 5 * share["cart"] > 5 * share["purchase"]
    assert 1.5 < share["cart"] / share["purchase"] < 5
    assert events["user_id"].nunique() > 2800


def test_sessions_are_bursts_with_pauses_between(events: pd.DataFrame) -> None:
    ordered = events.sort_values(["user_id", "timestamp"], kind="stable")
    pause = ordered.groupby("user_id")["timestamp"].diff().dropna()
    same = (ordered.groupby("user_id")["session_id"].shift() == ordered["session_id"]).loc[pause.index]
    assert pause[same].max() <= SESSION_GAP_MS
    assert pause[~same].min() > SESSION_GAP_MS
    assert (ordered.groupby("session_id")["user_id"].nunique() == 1).all()
    assert ordered.groupby("session_id").size().mean() > 3


def test_people_are_about_in_the_evening_more_than_in_the_morning(events: pd.DataFrame) -> None:
    hour = events["timestamp"] // HOUR_MS % 24
    assert ((hour >= 18) & (hour < 23)).sum() > 5 * ((hour >= 4) & (hour < 9)).sum() > 0


def test_nothing_is_bought_that_was_not_looked_at_shortly_before(events: pd.DataFrame) -> None:
    key = ["user_id", "item_id"]
    seen = events[events["event_type"] == "page_view"][[*key, "timestamp"]].assign(seen=lambda v: v["timestamp"])
    bought = events[(events["event_type"] == "purchase") & (events["timestamp"] >= events["timestamp"].min() + DAY_MS)]
    found = pd.merge_asof(bought, seen, on="timestamp", by=key)
    waited = found["timestamp"] - found["seen"]
    assert waited.notna().all()
    assert waited.min() > 0
    assert waited.max() < DAY_MS
    assert (waited < HOUR_MS).mean() > 0.5
    assert (waited > HOUR_MS).mean() > 0.15


def test_the_truth_is_what_comes_of_a_view_within_a_day(views: pd.DataFrame, events: pd.DataFrame) -> None:
    bought = events[events["event_type"] == "purchase"].groupby(["user_id", "item_id"])["timestamp"].apply(list)
    # What follows a view of the last day lies beyond these events.
    some = views[views["day"].between(DAYS - 6, DAYS - 2)]
    expected = [
        any(0 < at - view.timestamp <= DAY_MS for at in bought.get((view.user_id, view.item_id), ()))
        for view in some.itertuples()
    ]
    assert (some["purchase"] == expected).all()
    assert views.loc[views["day"] == DAYS - 1, "purchase"].mean() > 0.01


def test_a_few_per_cent_of_views_are_followed_by_a_purchase(views: pd.DataFrame) -> None:
    assert 0.02 < views["purchase"].mean() < 0.06
    by_day = views.groupby("day")["purchase"].mean()
    assert by_day.between(0.01, 0.1).all()


def test_the_chance_is_the_chance(views: pd.DataFrame) -> None:
    assert 0.86 < roc_auc_score(views["purchase"], views["chance"]) < 0.97
    tenth = views.groupby(pd.qcut(views["chance"], 10), observed=True).agg({"chance": "mean", "purchase": "mean"})
    # A later visit adds some.
    assert (tenth["purchase"] < 1.8 * tenth["chance"] + 0.01).all()
    assert (tenth["purchase"] > 0.8 * tenth["chance"] - 0.002).all()


@pytest.mark.parametrize(
    ("seen", "low", "high", "times"),
    [("hour", 8, 19, 1.5), ("looked", 2, 8, 3.0), ("bought", 0, 3, 2.0), ("around", 0, 10, 1.3)],
)
def test_what_can_be_seen_tells_who_buys(views: pd.DataFrame, seen: str, low: int, high: int, times: float) -> None:
    """The hour, views of this session, purchases of the shopper so far, events of the item in the last hour."""
    rates = views["purchase"].groupby(views[seen]).agg(["sum", "size"])
    below, above = rates.loc[:low].sum(), rates.loc[high:].sum()
    assert above["size"] > 1000
    assert below["size"] > 1000
    assert above["sum"] / above["size"] > times * below["sum"] / below["size"]


def test_days_are_made_one_by_one(world: ActivityWorld) -> None:
    other = make()
    for n in (20, 3, 34, 0):
        assert other.events(n).equals(world.events(n))
        assert other.chances(n).equals(world.chances(n))
    longer = make(days=60)
    assert longer.truth(DAYS - 1).equals(world.truth(DAYS - 1)), "no day depends on how many there are"


@pytest.mark.parametrize("wrong", [{"shoppers": 0}, {"days": 0}, {"seed": -1}, {"items": 10}, {"per_day": 0.0}])
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    arguments: dict[str, object] = {"seed": 1, "shoppers": 10, "days": 1, "start": START, **wrong}
    with pytest.raises(WorldError):
        ActivityWorld(**arguments)  # type: ignore[arg-type]


def test_a_tiny_world_works() -> None:
    world = make(days=3, shoppers=1)
    assert [world.truth(n).column_names for n in range(3)] == [["event_id", "purchase"]] * 3
    assert sum(world.events(n).num_rows for n in range(3)) >= 0
