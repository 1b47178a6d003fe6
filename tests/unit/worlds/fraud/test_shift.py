from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lamina.worlds.fraud.population import CATEGORY_NAMES
from lamina.worlds.fraud.shift import QUIET, USUAL_METHODS, Habits, Methods, Shift, numbers
from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.protocol import WorldError
from lamina.worlds.wire import event_bytes

START = date(2025, 3, 1)
DAYS, DAY = 20, 12
UNSHIFTED = "eba4d15a610d62c87d0f6bddd8dcece0faa18344d5a8f3b2951238a9c3499d22"
"""SHA-256 of the events of three days, as they were before a world could shift."""


def make(shift: Shift | None = None, users: int = 2000) -> FraudWorld:
    return FraudWorld(seed=3, users=users, days=DAYS, start=START, shift=shift)


def rows(world: FraudWorld, first: int, end: int) -> pd.DataFrame:
    frame: pd.DataFrame = pa.concat_tables(world.transactions(n) for n in range(first, end)).to_pandas()
    truth = pa.concat_tables(world.truth(n) for n in range(first, end)).to_pandas()
    return frame.merge(truth, on="transaction_id", how="left")


@pytest.fixture(scope="module")
def usual() -> FraudWorld:
    return make()


@pytest.fixture(scope="module")
def quiet() -> pd.DataFrame:
    """What happens once no attack of before goes on."""
    return rows(make(Shift(DAY, QUIET)), DAY + 3, DAYS)


def test_without_a_shift_every_byte_is_what_it_was() -> None:
    world, found = FraudWorld(seed=3, users=300, days=40, start=START), hashlib.sha256()
    for n in (0, 20, 39):
        for table in world.day(n).values():
            for raw in event_bytes(table):
                found.update(raw)
    assert found.hexdigest() == UNSHIFTED


def test_a_shift_to_what_was_usual_changes_nothing(usual: FraudWorld) -> None:
    for n in (DAY, DAYS - 1):
        assert make(Shift(DAY)).transactions(n).equals(usual.transactions(n))
        assert make(Shift(DAY)).truth(n).equals(usual.truth(n))


def test_the_days_before_are_those_of_the_world_without(usual: FraudWorld) -> None:
    shifted = make(Shift(DAY, QUIET, Habits(amounts=2.0, second_device=0.5), frauds=3.0))
    for n in (0, DAY - 1):
        assert shifted.transactions(n).equals(usual.transactions(n))
        assert shifted.truth(n).equals(usual.truth(n))
    assert not shifted.transactions(DAY).equals(usual.transactions(DAY))


def test_attacks_that_began_before_go_on_as_they_began() -> None:
    """With no fraud from a day on, what is left are those of the four weeks at a compromised merchant."""
    ending = FraudWorld(seed=3, users=2000, days=60, start=START, shift=Shift(20, frauds=0.0))
    endless = FraudWorld(seed=3, users=2000, days=60, start=START)
    left = [set(ending.truth(n)["transaction_id"].to_pylist()) for n in (20, 59)]
    assert left[0]
    assert len(left[0]) < endless.truth(20).num_rows
    assert not left[1]


def test_fraudsters_work_by_the_new_methods(quiet: pd.DataFrame) -> None:
    stolen = quiet[quiet["scenario"] == "stolen_card"]
    assert stolen["amount"].between(*(QUIET.stolen_amounts or (0, 0))).all()
    takeovers = quiet[quiet["scenario"] == "account_takeover"]
    assert set(takeovers["merchant_category"]) == set(QUIET.takeover)
    tests = quiet[quiet["scenario"] == "card_testing"]
    assert tests["amount"].between(*QUIET.tested_amounts).all()
    # A merchant that was compromised before the day goes on for four weeks.
    found = quiet.loc[quiet["scenario"] != "compromised_merchant", "scenario"].value_counts(normalize=True)
    wanted = QUIET.shares["stolen_card"] / (1 - QUIET.shares["compromised_merchant"])
    assert found["stolen_card"] == pytest.approx(wanted, abs=0.15)


def test_takeovers_come_from_the_owners_device() -> None:
    """All of them do when all are to: then no device is unknown."""
    world = make(Shift(0, replace(USUAL_METHODS, own_device=1.0)))
    found = rows(world, 3, DAYS)
    assert "unknown" in set(found.loc[found["scenario"].isna(), "device_type"])
    assert "unknown" not in set(found.loc[found["scenario"] == "account_takeover", "device_type"])


def test_habits_of_honest_people_change_and_their_honesty_does_not(usual: FraudWorld) -> None:
    before, after = rows(usual, DAY, DAY + 2), rows(make(Shift(DAY, habits=Habits(amounts=1.5))), DAY, DAY + 2)
    assert after["amount"].median() == pytest.approx(1.5 * before["amount"].median(), rel=0.02)
    assert after["scenario"].notna().sum() == before["scenario"].notna().sum()


def test_a_prior_shift_makes_so_many_times_more_frauds() -> None:
    found = rows(make(Shift(DAY, frauds=3.0)), DAY + 3, DAYS)["scenario"]
    # One merchant more or less that is compromised is half of a small world's frauds.
    attacks = found.notna() & (found != "compromised_merchant")
    usual = 0.007 * (1 - USUAL_METHODS.shares["compromised_merchant"])
    assert attacks.mean() == pytest.approx(3 * usual, rel=0.25)


def test_compromised_merchants_follow_the_new_share() -> None:
    none = {name: share / 0.8 for name, share in USUAL_METHODS.shares.items() if name != "compromised_merchant"}
    methods = Methods(shares={**none, "compromised_merchant": 0.0})
    world = FraudWorld(seed=3, users=2000, days=60, start=START, shift=Shift(20, methods))
    scenarios = {n: set(world.truth(n)["scenario"].to_pylist()) for n in (19, 48, 59)}
    assert ["compromised_merchant" in scenarios[n] for n in (19, 48, 59)] == [True, False, False]


def test_shifts_that_cannot_be_are_refused() -> None:
    with pytest.raises(WorldError, match="add up to 1"):
        Methods(shares={**USUAL_METHODS.shares, "listed_card": 0.5})
    with pytest.raises(WorldError, match="weights of takeover"):
        Methods(takeover={"gift_cards": 0.4})
    with pytest.raises(WorldError, match="no category yachts"):
        Methods(tested=("yachts",))
    with pytest.raises(WorldError, match="day and frauds"):
        Shift(-1)
    with pytest.raises(WorldError, match="amounts above 0"):
        Shift(1, habits=Habits(amounts=0))


def test_numbers_are_the_places_of_the_names() -> None:
    assert numbers(("cash", "grocery")).tolist() == [CATEGORY_NAMES.index("cash"), 0]
    assert numbers(("cash",)).dtype == np.int64
