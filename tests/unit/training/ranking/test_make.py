"""Rankers trained for real, small, in the environment with torch, all in one process; skipped where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from lamina.errors import ModelUnavailable
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.table import Table
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, Kind, TrainingRun, trained_for
from lamina.scoring import trained
from lamina.scoring.compiled import Compiled
from lamina.scoring.network import COMPILED_FILE, NETWORK_FILE
from lamina.scoring.protocol import SCORE
from lamina.scoring.ranker.scorer import RankerScorer
from lamina.scoring.ranker.spec import RankerSpec
from lamina.training.ranking import make
from lamina.training.ranking.make import MODULE, Prepared, complete, prepare, train_ranker
from lamina.training.ranking.publish import publish_ranker
from lamina.training.ranking.settings import DONE_FILE, RankerSettings
from lamina.training.torch_process import ENVIRONMENT, here, run
from models.fraud.score import load
from tests.rankers import AWARE, BLIND, KINDS, PROBES, Rankers
from tests.ranking_rows import CONFOUNDER, DAY, PLACES, PLAN, RECIPE, SETTINGS, ranking_rows, relevant

pytestmark = pytest.mark.skipif(not here(), reason="there is no environment with torch: make networks")

UNAWARE = replace(RECIPE, settings=replace(SETTINGS, positions=0))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(RECIPE, ranking_rows(), PLAN)


@pytest.fixture(scope="module")
def rankers(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Rankers:
    folder = tmp_path_factory.mktemp("rankers")
    prepared.examples().write(folder / AWARE, RECIPE.settings)
    prepared.examples().write(folder / BLIND, UNAWARE.settings)
    run([str(ENVIRONMENT / "bin" / "python"), "-m", "tests.torch_rankers", str(folder)], "the rankers of tests")
    return Rankers.read(folder)


@pytest.fixture(scope="module")
def spec(rankers: Rankers, prepared: Prepared) -> RankerSpec:
    return complete(prepared, rankers.network(AWARE), rankers.folder / "model")


@pytest.fixture(scope="module")
def scorer(rankers: Rankers, spec: RankerSpec) -> RankerScorer:
    found = load(rankers.folder / "model")
    assert isinstance(found, RankerScorer) and found.spec == spec
    return found


@pytest.fixture(scope="module")
def fresh() -> Table:
    """Rows that nothing was learnt from, of another seed."""
    return ranking_rows(seed=9)


def ndcg(score: np.ndarray, gain: np.ndarray) -> float:
    """Mean over lists, with what is planted as gain."""
    score, gain = score.reshape(-1, PLACES), gain.reshape(-1, PLACES)
    discount = 1 / np.log2(np.arange(PLACES) + 2)
    found = np.take_along_axis(gain, np.argsort(-score, axis=1), axis=1) @ discount
    return float(np.mean(found / (-np.sort(-gain, axis=1) @ discount)))


def test_told_of_positions_it_ranks_by_relevance_and_not_as_the_policy_did(
    rankers: Rankers, prepared: Prepared, scorer: RankerScorer, fresh: Table
) -> None:
    """Positions are an input in training and the same for all when served: nearer to what is planted than without."""
    complete(replace(prepared, recipe=UNAWARE), rankers.network(BLIND), rankers.folder / "blind-model")
    blind = load(rankers.folder / "blind-model")
    truth = relevant(dict(fresh.inputs))
    for name in (SCORE, "click"):
        told, untold = (each.predict_columns(fresh.inputs, len(fresh))[name] for each in (scorer, blind))
        near, far = (spearmanr(score, truth).statistic for score in (told, untold))
        assert near > 0.78 and far < 0.72 and ndcg(told, truth) > ndcg(untold, truth) + 0.03
        like_told, like_untold = (spearmanr(score, fresh.inputs[CONFOUNDER]).statistic for score in (told, untold))
        assert like_told < like_untold - 0.2
    # And the probability at the top is that of relevance, whereas clicks were a quarter of that.
    served = scorer.predict_columns(fresh.inputs, len(fresh))["click"].mean()
    assert served == pytest.approx(truth.mean(), rel=0.2) and fresh.positive.mean() < 0.25 * truth.mean()


def test_at_the_same_position_the_policy_is_not_rewarded(
    rankers: Rankers, prepared: Prepared, spec: RankerSpec
) -> None:
    blind = complete(replace(prepared, recipe=UNAWARE), rankers.network(BLIND), rankers.folder / "blind-figures")
    assert blind.metrics["auc"] > spec.metrics["auc"]
    assert blind.metrics["auc_within_position"] < spec.metrics["auc_within_position"] - 0.02


def test_heads_mean_what_they_say(scorer: RankerScorer, spec: RankerSpec, fresh: Table) -> None:
    """On rows of other days, at the positions where they were shown; a heavy tail included."""
    shown, truth = scorer.predict_at(fresh.inputs, RECIPE.positions(fresh)), RECIPE.truth(fresh)
    # Their means are those of the validation rows, of which some 60 have a like: chance moves these most.
    for place, (head, within) in enumerate(zip(RECIPE.heads, (0.2, 0.15, 0.4), strict=True)):
        known = ~np.isnan(truth[:, place])
        assert known.mean() > 0.5
        assert shown[head.name][known].mean() == pytest.approx(truth[known, place].mean(), rel=within)
    assert spec.metrics["click_calibration_error"] < 0.02 and spec.metrics["like_calibration_error"] < 0.01
    assert spec.metrics["click_auc"] > 0.85 and spec.metrics["watched_s_rank_correlation"] > 0.3
    assert 0.8 < spec.metrics["watched_s_mean_ratio"] < 1.2


def test_of_the_validation_rows_every_mean_is_kept(prepared: Prepared, scorer: RankerScorer, spec: RankerSpec) -> None:
    rows = prepared.valid
    shown, served = (
        scorer.predict_at(rows.inputs, RECIPE.positions(rows)),
        scorer.predict_columns(rows.inputs, len(rows)),
    )
    for head, truth in zip(spec.heads, RECIPE.truth(rows).T, strict=True):
        known = ~np.isnan(truth)
        assert shown[head.name][known].mean() == pytest.approx(truth[known].mean(), rel=1e-4)
        assert served[head.name].mean() == pytest.approx(head.mean, rel=1e-6)
    # Which is why the average row has the score 1.
    assert served[SCORE].mean() == pytest.approx(1.0, rel=1e-6)


def test_the_spec_says_how_it_was_made(spec: RankerSpec, rankers: Rankers) -> None:
    losses = json.loads((rankers.network(AWARE) / DONE_FILE).read_text())["losses"]
    assert spec.parameters["best_epoch"] == losses.index(min(losses)) + 1
    # Ended by patience, not by the number of epochs.
    assert len(losses) == int(spec.parameters["best_epoch"]) + SETTINGS.patience < SETTINGS.epochs
    assert spec.parameters["hidden"] == "32-16" and spec.parameters["positions"] == PLACES
    assert (spec.rows.used, spec.rows.train, spec.rows.test) == (6 * 1600, 8 * 1600, 3 * 1600)
    assert spec.logical_date == DAY and spec.libraries["torch"] and not spec.parameters.get("loss")
    assert [head.most for head in spec.heads] == [600.0, None, None]


def test_the_best_epoch_is_what_is_exported(rankers: Rankers, prepared: Prepared, spec: RankerSpec) -> None:
    """The loss that it has on the validation rows is the smallest of all epochs."""
    losses = json.loads((rankers.network(AWARE) / DONE_FILE).read_text())["losses"]
    scorer = load(rankers.folder / "model")
    assert isinstance(scorer, RankerScorer)
    rows = prepared.valid
    lines = {head.name: head.model_copy(update={"slope": 1.0, "intercept": 0.0}) for head in spec.heads}
    uncalibrated = RankerScorer(
        spec.model_copy(update={"heads": tuple(lines.values())}), scorer.weights, scorer._compiled
    ).predict_at(rows.inputs, RECIPE.positions(rows))
    found = 0.0
    learnt = prepared.recipe.truth(prepared.learn)
    for place, head in enumerate(spec.heads):
        truth, value = RECIPE.truth(rows)[:, place], uncalibrated[head.name]
        known = ~np.isnan(truth)
        truth, value = truth[known], value[known]
        if head.kind == "quantity":
            truth = truth / np.nanmean(learnt[:, place])
            found += float(np.mean(truth * np.log1p(1 / value) + np.log1p(value)))
        else:
            found -= float(np.mean(truth * np.log(value) + (1 - truth) * np.log(1 - value)))
    assert found == pytest.approx(min(losses), rel=1e-4)


@pytest.fixture
def given(rankers: Rankers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process itself ran for `rankers`; here it finds the same examples, and is given what it made of them."""

    def ran(command: Sequence[str], what: str) -> None:
        assert command[:3] == [str(ENVIRONMENT / "bin" / "python"), "-m", MODULE]
        examples, out = map(Path, command[3:])
        for file in (rankers.folder / AWARE).iterdir():
            assert (examples / file.name).read_bytes() == file.read_bytes()
        out.mkdir()
        for name in (NETWORK_FILE, COMPILED_FILE, DONE_FILE):
            (out / name).write_bytes((rankers.network(AWARE) / name).read_bytes())

    monkeypatch.setattr(make, "run", ran)


@pytest.mark.usefixtures("given")
def test_a_command_trains_and_what_comes_out_is_served(prepared: Prepared, tmp_path: Path, spec: RankerSpec) -> None:
    assert train_ranker(prepared, tmp_path / "model") == spec
    assert load(tmp_path / "model").predict({"amount": 20.0}) > 0


@pytest.mark.usefixtures("given")
def test_it_is_registered_evaluated_and_loaded_like_any_model(tmp_path: Path, spec: RankerSpec) -> None:
    registry, rows, problem = MemoryRegistry(tmp_path / "registry"), ranking_rows(), RECIPE.problem
    unregistered = publish_ranker(RECIPE, registry, rows, PLAN, 0.99, load)
    assert unregistered["version"] is None and registry.versions("fraud") == []
    said = publish_ranker(RECIPE, registry, rows, PLAN, 0.6, load)
    [version] = registry.versions("fraud")
    assert said["version"] == version.version and said["metrics"] == spec.metrics
    assert version.tags["logical_date"] == DAY.isoformat() and version.kind == "ranker"
    back = load(registry.download("fraud", version.version, tmp_path / "back"), problem.features)
    assert isinstance(back, RankerScorer) and back.weights == RECIPE.weights
    found = evaluate(problem, registry, rows, DAY, min_auc=0.6, kind=Kind.RANKER)
    assert found.promote and found.candidate and found.candidate.metrics["auc"] == spec.metrics["auc"]


@pytest.mark.usefixtures("given")
def test_it_takes_the_place_of_rankers_of_the_day_and_of_no_others(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    (tmp_path / "trees" / MODEL_FOLDER).mkdir(parents=True)
    run = registry.record(TrainingRun("fraud", DAY, tmp_path / "trees"))
    trees = registry.register("fraud", run, {"logical_date": DAY.isoformat()})
    good = publish_ranker(RECIPE, registry, ranking_rows(), PLAN, 0.6, load)
    publish_ranker(RECIPE, registry, ranking_rows(), PLAN, 0.99, load)
    superseded = {version.version: "superseded_by" in version.tags for version in registry.versions("fraud")}
    assert superseded == {trees.version: False, good["version"]: True}
    assert trained_for(registry, "fraud", DAY, Kind.TRAINING) == trees


@pytest.mark.usefixtures("given")
def test_what_the_system_could_not_serve_is_not_published(tmp_path: Path) -> None:
    """Its loader calls the score as the recipe calls a head."""
    registry, called_like = MemoryRegistry(tmp_path / "registry"), partial(trained.load, output="like")
    with pytest.raises(ModelUnavailable, match="the score is called 'like', as a head is"):
        publish_ranker(RECIPE, registry, ranking_rows(), PLAN, 0.6, called_like)
    assert registry.versions("fraud") == []


def test_the_same_seed_gives_the_same_and_another_another(rankers: Rankers) -> None:
    again, once_more, other = (np.array(each) for each in rankers.answers["again"])
    assert np.array_equal(again, once_more) and not np.allclose(again, other, atol=1e-2)
    losses = json.loads((rankers.network(AWARE) / DONE_FILE).read_text())["losses"]
    assert rankers.answers["losses"] == losses[:2]


def test_what_is_folded_says_the_same(rankers: Rankers) -> None:
    whole, folded = (np.array(each) for each in rankers.answers["folded"])
    assert folded == pytest.approx(whole, abs=1e-4)


def test_losses_are_least_at_the_odds_and_at_the_mean(rankers: Rankers) -> None:
    """Rows by their weights, those without truth left out; a quantity in means of the rows learnt from."""
    binary, quantity = rankers.answers["minima"]
    assert np.exp(binary) == pytest.approx(4 / 2, rel=1e-3)
    assert np.exp(quantity) == pytest.approx((9 + 3 * 6) / 6 / ((9 + 6) / 4), rel=1e-3)


def test_batches_stand_for_all_rows_and_heads_count_as_they_are_set(rankers: Rankers) -> None:
    loss = rankers.answers["loss"]
    # At margins of 0 a binary head loses log 2 a row, and a quantity, whose mean is 1, twice that.
    assert loss["all"] == pytest.approx(4 * np.log(2), rel=1e-4)
    assert loss["halves"] == pytest.approx(loss["all"], rel=1e-4)
    assert loss["double"] == pytest.approx(5 * np.log(2), rel=1e-4)


def test_inputs_of_all_kinds_are_read(rankers: Rankers) -> None:
    kinds = rankers.answers["kinds"]
    numbers, texts, at = ({k: np.array(v) for k, v in zip(KINDS[n], kinds[n], strict=True)} for n in KINDS)
    assert np.array_equal(numbers["huge"], numbers["larger"]), "what is far out is taken for the farthest"
    assert not np.allclose(numbers["huge"], numbers["usual"]) and not np.allclose(numbers["missing"], numbers["usual"])
    assert np.array_equal(texts["unseen"], texts["beyond"]) and not np.allclose(texts["unseen"], texts["usual"])
    places = np.array(kinds["places"])
    assert len(places) == PLACES + 1
    for probe, place in (("nowhere", 0), ("last", PLACES), ("below", PLACES)):
        assert at[probe] - at["usual"] == pytest.approx(places[place] - places[1], abs=1e-5)


def test_what_onnx_gives_is_what_torch_gave(rankers: Rankers) -> None:
    """Also where numbers are missing, of which the export's own probes know nothing."""
    compiled = Compiled.read(rankers.network(AWARE) / COMPILED_FILE)
    rows = np.array(list(PROBES.values()), np.float32)
    assert compiled.run(rows) == pytest.approx(np.array(rankers.answers["exported"]), abs=1e-4)
    assert RankerSettings.read(rankers.folder / AWARE) == SETTINGS
