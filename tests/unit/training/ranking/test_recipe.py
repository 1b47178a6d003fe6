from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamina.clock import DAY_MS, midnight_ms
from lamina.evaluation.table import TooFewRows, TrainingSetError
from lamina.scoring.ranker.heads import Head
from lamina.scoring.ranker.weights import BadWeights, HeadWeights
from lamina.training.ranking.data import Examples
from lamina.training.ranking.make import prepare
from lamina.training.ranking.recipe import BadRecipe
from lamina.training.ranking.settings import BadRankerSetting, RankerSettings
from tests.ranking_rows import DAY, NAMES, PLACES, PLAN, RECIPE, SETTINGS, ranking_rows

ROWS = ranking_rows()


def test_the_last_training_days_are_watched_and_later_ones_tested() -> None:
    found = prepare(RECIPE, ROWS, PLAN)
    first = midnight_ms(DAY) // DAY_MS
    days = [sorted(set((rows.day - first).tolist())) for rows in (found.learn, found.valid, found.test)]
    # Labels take a day; the test is of the last three complete days, and a day lies between.
    assert days == [[-12, -11, -10, -9, -8, -7], [-6, -5], [-3, -2, -1]]


def test_examples_are_what_the_recipe_says(tmp_path: Path) -> None:
    made = prepare(RECIPE, ROWS, PLAN)
    made.examples().write(tmp_path / "e", SETTINGS)
    found, rows = Examples.read(tmp_path / "e"), made.learn
    assert (found.heads, found.sizes) == (RECIPE.heads, (0, 0, 0, 4))
    assert [part.name for part in made.inputs] == list(NAMES)
    assert len(found.learn) == len(rows) and len(found.valid) == len(made.valid)
    assert found.learn.matrix[:, 0] == pytest.approx(rows.inputs["amount"], rel=1e-6)
    assert np.isnan(found.learn.matrix[:, 1]).mean() == pytest.approx(0.4, abs=0.02)
    assert np.array_equal(found.learn.truth[:, 1] > 0, rows.positive)
    seconds = rows.columns["watched_s"]
    assert np.array_equal(np.isnan(found.learn.truth[:, 0]), np.isnan(seconds))
    assert np.nanmax(seconds) > 600 == np.nanmax(found.learn.truth[:, 0])
    assert np.array_equal(found.learn.position, rows.columns["position"].astype(np.int64))
    assert RankerSettings.read(tmp_path / "e") == SETTINGS


def test_rows_count_by_their_weights_and_unknown_ones_are_left_out() -> None:
    weight = np.where(np.arange(len(ROWS)) % 3 == 0, 0.0, 2.5)
    found = prepare(RECIPE, replace(ROWS, weight=weight), PLAN)
    assert set(found.examples().learn.weight.tolist()) == {2.5}
    assert found.unknown == pytest.approx((len(found.learn) + len(found.valid)) / 2, rel=0.01)


def test_without_positions_none_are_known() -> None:
    assert set(replace(RECIPE, position=None).positions(ROWS).tolist()) == {0}
    columns = {**ROWS.columns, "position": np.where(np.arange(len(ROWS)) < 5, np.nan, 3.0)}
    assert RECIPE.positions(replace(ROWS, columns=columns))[:6].tolist() == [0, 0, 0, 0, 0, 3]


def test_where_the_column_calls_the_top_0_a_row_of_it_is_known() -> None:
    at = ROWS.columns["position"] - 1
    at[0] = np.nan
    rows = replace(ROWS, columns={**ROWS.columns, "position": at})
    found = replace(RECIPE, top=0).positions(rows)
    assert found[0] == 0 and np.array_equal(found[1:], RECIPE.positions(ROWS)[1:])


def test_without_positions_no_place_learns() -> None:
    """Else the place of those that are not known would take part of every intercept, which no served place has."""
    assert prepare(replace(RECIPE, position=None), ROWS, PLAN).recipe.settings == replace(SETTINGS, positions=0)
    assert prepare(RECIPE, ROWS, PLAN).recipe.settings == SETTINGS


@pytest.mark.parametrize("served_at", [1, PLACES, 40])
def test_candidates_may_be_scored_at_a_place_that_was_learnt(served_at: int) -> None:
    """Places below the last that is told apart are the last."""
    assert prepare(replace(RECIPE, served_at=served_at), ROWS, PLAN).recipe.served_at == served_at


def test_a_place_that_nothing_was_learnt_of_is_not_served() -> None:
    settings = replace(SETTINGS, positions=50)
    with pytest.raises(BadRecipe, match=r"served_at is 11, .* no row .* have the places 1 to 10"):
        prepare(replace(RECIPE, served_at=11, settings=settings), ROWS, PLAN)
    # A row of it in the validation days alone is none to learn from.
    rows = replace(ROWS, columns={**ROWS.columns, "position": np.where(ROWS.day > ROWS.day.min() + 5, 3.0, 1.0)})
    with pytest.raises(BadRecipe, match=r"served_at is 3, .* have the places 1 to 1"):
        prepare(replace(RECIPE, served_at=3), rows, PLAN)
    nowhere = replace(ROWS, columns={**ROWS.columns, "position": np.full(len(ROWS), np.nan)})
    with pytest.raises(BadRecipe, match=r"served_at is 1, .* have no places"):
        prepare(RECIPE, nowhere, PLAN)
    # Where places are not told apart, each is as good.
    untold = replace(SETTINGS, positions=0)
    assert prepare(replace(RECIPE, served_at=11, settings=untold), ROWS, PLAN).recipe.served_at == 11


def test_columns_from_beside_hold_objects() -> None:
    liked = np.array([None if like else False for like in ROWS.columns["like"]], object)
    found = RECIPE.truth(replace(ROWS, columns={**ROWS.columns, "like": liked}))
    assert np.array_equal(np.isnan(found[:, 2]), ROWS.columns["like"] == 1.0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("like", 0.5, "'like' of a binary head holds other numbers"),
        ("watched_s", -1.0, "'watched_s' holds what is no number from 0"),
        ("watched_s", np.inf, "'watched_s' holds what is no number from 0"),
        ("position", 1.5, "'position' holds what is no position"),
        ("position", -1.0, "'position' holds what is no position"),
        ("position", 0.0, r"'position' holds what is no position.* top=0"),
        ("position", np.inf, "'position' holds what is no position"),
        ("position", -np.inf, "'position' holds what is no position"),
    ],
)
def test_what_a_column_cannot_hold_is_refused(name: str, value: float, says: str) -> None:
    values = ROWS.columns[name].copy()
    values[7] = value
    rows = replace(ROWS, columns={**ROWS.columns, name: values})
    with pytest.raises(TrainingSetError, match=says):
        RECIPE.positions(rows) if name == "position" else RECIPE.truth(rows)


def test_a_head_without_a_column_is_named() -> None:
    with pytest.raises(TrainingSetError, match="no column 'like'"):
        RECIPE.truth(replace(ROWS, columns={"watched_s": ROWS.columns["watched_s"]}))


@pytest.mark.parametrize(
    "like", [np.zeros(len(ROWS)), np.ones(len(ROWS)), np.full(len(ROWS), np.nan)], ids=["none", "all", "unknown"]
)
def test_a_head_whose_rows_are_all_alike_cannot_be_learnt(like: np.ndarray) -> None:
    with pytest.raises(TooFewRows, match="days to learn from hold no rows that differ in head 'like'"):
        prepare(RECIPE, replace(ROWS, columns={**ROWS.columns, "like": like}), PLAN)


def test_a_recipe_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(BadRecipe, match="'watched_s' is to be the label, and is no binary head"):
        replace(RECIPE, label="watched_s").check()
    with pytest.raises(BadRecipe, match="'share'"):
        replace(RECIPE, label="share").check()
    with pytest.raises(BadWeights, match="no weight of extra"):
        replace(RECIPE, heads=(*RECIPE.heads, Head(name="extra"))).check()
    with pytest.raises(BadWeights, match="weights of share, which are no heads"):
        replace(RECIPE, weights=HeadWeights(1, {**RECIPE.weights.weights, "share": 1.0})).check()
    with pytest.raises(BadRecipe, match=r"served_at is 0: .* 1, the top"):
        replace(RECIPE, served_at=0).check()
    with pytest.raises(BadRankerSetting):
        replace(RECIPE, settings=replace(SETTINGS, epochs=0)).check()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (RankerSettings(epochs=0), "epochs of the ranker is 0"),
        (RankerSettings(position_rate=0.0), "position_rate of the ranker is 0.0"),
        (RankerSettings(hidden=()), r"hidden of the ranker is \(\)"),
        (RankerSettings(hidden=(8, 0)), r"hidden of the ranker is \(8, 0\)"),
        (RankerSettings(batch=1), "batch of the ranker is 1"),
        (RankerSettings(dropout=1.0), "dropout is from 0 to below 1"),
        (RankerSettings(decay=-0.1), "decay and positions are from 0"),
        (RankerSettings(positions=-1), "decay and positions are from 0"),
        (RankerSettings(loss={"share": 1.0}), "loss of share, which are no heads: there are click"),
        (RankerSettings(loss={"click": 0.0}), "loss of click is to count by a number above zero"),
    ],
)
def test_settings_out_of_their_range_are_refused(settings: RankerSettings, says: str) -> None:
    with pytest.raises(BadRankerSetting, match=says):
        settings.check(["click"])


def test_settings_are_shown_flat() -> None:
    shown = RankerSettings(loss={"click": 2.0}).as_parameters()
    assert shown["hidden"] == "512-256" and shown["dropout"] == 0.3 and shown["loss.click"] == 2.0
