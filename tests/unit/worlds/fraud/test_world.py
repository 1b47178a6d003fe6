from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lamina.clock import DAY_MS, midnight_ms
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.fraud.geography import distance_km
from lamina.worlds.fraud.rows import SCENARIOS
from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.protocol import WorldError
from lamina.worlds.wire import event_bytes

START = date(2025, 3, 1)
DAYS = 12


def make(seed: int = 3, users: int = 3000, days: int = DAYS) -> FraudWorld:
    return FraudWorld(seed=seed, users=users, days=days, start=START)


@pytest.fixture(scope="module")
def world() -> FraudWorld:
    return make()


@pytest.fixture(scope="module")
def everything(world: FraudWorld) -> pd.DataFrame:
    frame: pd.DataFrame = pa.concat_tables(world.stream()).flatten().to_pandas()
    truth = pa.concat_tables(world.truth(n) for n in range(DAYS)).to_pandas()
    merged: pd.DataFrame = frame.merge(truth, on="transaction_id", how="left")
    return merged


def test_a_day_depends_on_the_seed_and_its_number_only(world: FraudWorld) -> None:
    late_first = make()
    assert late_first.transactions(9).equals(world.transactions(9))
    assert late_first.labels_known_on(9).equals(world.labels_known_on(9))
    assert late_first.transactions(2).equals(world.transactions(2))
    assert not make(seed=4).transactions(2).equals(world.transactions(2))


def test_a_day_is_its_transactions_and_the_labels_known_on_it(world: FraudWorld) -> None:
    day = world.day(8)
    assert day[TRANSACTIONS.topic].equals(world.transactions(8))
    assert day[FRAUD_LABELS.topic].equals(world.labels_known_on(8))


def test_days_are_whole_sorted_and_of_the_lakes_columns(world: FraudWorld) -> None:
    for n in range(DAYS):
        day = world.transactions(n)
        day.validate(full=True)
        assert day.schema.equals(SCHEMAS[TRANSACTIONS.topic])
        times = day["timestamp"].to_numpy()
        assert (np.diff(times) >= 0).all()
        assert midnight_ms(START) + n * DAY_MS <= times[0]
        assert times[-1] < midnight_ms(START) + (n + 1) * DAY_MS


def test_every_row_keeps_the_contract(world: FraudWorld) -> None:
    day = world.transactions(5).slice(0, 3000)
    for raw in event_bytes(day):
        assert Transaction.from_json(raw).to_json() == raw
    for raw in event_bytes(world.labels_known_on(8)):
        assert FraudLabel.from_json(raw).to_json() == raw


def test_ids_are_unique_and_ties_are_rare(everything: pd.DataFrame) -> None:
    assert everything["transaction_id"].is_unique
    assert everything.duplicated(["user_id", "timestamp"]).mean() < 1e-4


def test_frauds_are_few_and_of_all_scenarios(everything: pd.DataFrame) -> None:
    assert 0.004 < everything["scenario"].notna().mean() < 0.011
    assert set(everything["scenario"].dropna()) == set(SCENARIOS)


def test_labels_are_those_of_the_frauds_and_in_time(world: FraudWorld, everything: pd.DataFrame) -> None:
    tables = [world.labels_known_on(n) for n in range(DAYS + 7)]
    assert all(table.schema.equals(SCHEMAS[FRAUD_LABELS.topic]) for table in tables)
    labels = pa.concat_tables(tables).to_pandas()
    assert Counter(labels["transaction_id"]) == Counter(
        everything.loc[everything["scenario"].notna(), "transaction_id"]
    )
    delay = labels["timestamp"] - labels["transaction_timestamp"]
    assert delay.min() >= DAY_MS
    assert delay.max() < 7 * DAY_MS
    both = labels.merge(everything, on="transaction_id", suffixes=("", "_true"))
    for column in ("user_id", "merchant_id", "scenario"):
        assert (both[column] == both[f"{column}_true"]).all()
    assert (both["transaction_timestamp"] == both["timestamp_true"]).all()
    for n, table in enumerate(tables):
        days = {(value - midnight_ms(START)) // DAY_MS for value in table["timestamp"].to_pylist()}
        assert days <= {n}


def test_listed_cards_are_rarely_used_by_their_owners(world: FraudWorld, everything: pd.DataFrame) -> None:
    listed = everything["card_token"].isin(world.listed_cards)
    assert listed[everything["scenario"] == "listed_card"].all()
    assert listed[everything["scenario"].isna()].mean() < 2e-4


def test_impossible_travel_is_impossible_and_honest_people_are_slow(everything: pd.DataFrame) -> None:
    placed = everything.dropna(subset=["location.lat"]).sort_values(["user_id", "timestamp"], kind="stable")
    before = placed.groupby("user_id")[["timestamp", "location.lat", "location.lon"]].shift()
    km = distance_km(
        before["location.lat"].to_numpy(),
        before["location.lon"].to_numpy(),
        placed["location.lat"].to_numpy(),
        placed["location.lon"].to_numpy(),
    )
    leaps = (km > 1000) & ((placed["timestamp"] - before["timestamp"]).to_numpy() < 3_600_000)
    travel = (placed["scenario"] == "impossible_travel").to_numpy()
    assert leaps[travel].mean() > 0.6  # a second payment in the same far place is no leap
    assert leaps[placed["scenario"].isna().to_numpy()].mean() < 5e-4


def test_card_testing_is_many_tiny_amounts(everything: pd.DataFrame) -> None:
    tests = everything[everything["scenario"] == "card_testing"]
    assert tests["amount"].max() <= 3.0
    assert (tests.groupby("user_id").size() >= 5).mean() > 0.9


def test_honest_people_travel_and_buy_big(everything: pd.DataFrame) -> None:
    honest = everything[everything["scenario"].isna()]
    abroad = (honest["country"] != honest["user_country"]) & (honest["transaction_type"] == "in_store")
    assert 0.003 < abroad.mean() < 0.1
    usual = honest.groupby("user_id")["amount"].transform("median")
    assert (honest["amount"] > 5 * usual).mean() > 0.002


def test_merchants_are_compromised_for_weeks() -> None:
    world = FraudWorld(seed=5, users=5000, days=2, start=START)
    labels = world._frauds_of(1)
    share = pc.mean(pc.equal(labels["scenario"], "compromised_merchant")).as_py()
    assert 0.02 < share < 0.5


@pytest.mark.parametrize(
    "wrong", [{"users": 0}, {"days": 0}, {"seed": -1}, {"fraud_rate": 0.5}, {"merchants": 10}, {"per_day": 0.0}]
)
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    arguments: dict[str, object] = {"seed": 1, "users": 10, "days": 1, "start": START, **wrong}
    with pytest.raises(WorldError):
        FraudWorld(**arguments)  # type: ignore[arg-type]


def test_a_day_outside_the_world_is_refused(world: FraudWorld) -> None:
    with pytest.raises(WorldError, match="days 0 to 11"):
        world.transactions(DAYS)


def test_a_tiny_world_works_and_so_does_one_without_fraud() -> None:
    for rate in (0.0, 0.3):
        world = FraudWorld(seed=1, users=1, days=2, start=START, fraud_rate=rate)
        assert world.transactions(1).schema.equals(SCHEMAS[TRANSACTIONS.topic])
        assert world.labels_known_on(3).schema.equals(SCHEMAS[FRAUD_LABELS.topic])
        assert len(world.listed_cards) == 1
