from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost

from benchmarks.small_model import train_small_model
from lamina.errors import ModelUnavailable
from lamina.scoring.encode import Encoder
from lamina.scoring.protocol import SCORE, SPEC_FILE, Value
from lamina.scoring.trees import TreesScorer
from lamina.scoring.trees_spec import LIGHTGBM_FILE, XGBOOST_FILE, Calibration
from models.fraud.score import load


def loaded(folder: Path) -> TreesScorer:
    found = load(folder)
    assert isinstance(found, TreesScorer)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = train_small_model(tmp_path_factory.mktemp("model"))
    document = json.loads((path / SPEC_FILE).read_text())
    document["negatives_kept"] = 0.25
    (path / SPEC_FILE).write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> TreesScorer:
    return loaded(folder)


def with_calibration(scorer: TreesScorer, calibration: Calibration | None) -> TreesScorer:
    spec = scorer.spec.model_copy(update={"calibration": calibration})
    return TreesScorer(spec, scorer._trees, scorer._leaves, scorer._compiled)


def drawn(scorer: TreesScorer, count: int) -> list[dict[str, Value]]:
    rng = np.random.default_rng(3)
    rows: list[dict[str, Value]] = []
    for _ in range(count):
        row: dict[str, Value] = {i.name: float(rng.gamma(2.0, 60.0)) for i in scorer.spec.inputs}
        row |= {
            "merchant_fraud_risk_7d": float(rng.beta(0.4, 4)),
            "merchant_category": "travel",
            "device_type": "mobile",
        }
        rows.append(row)
    return rows


def test_the_score_is_the_weighted_corrected_probability(folder: Path, scorer: TreesScorer) -> None:
    rows = drawn(scorer, 50)
    matrix = np.empty((50, len(scorer.spec.inputs)), np.float32)
    for out, row in zip(matrix, rows, strict=True):
        Encoder(scorer.spec.inputs).fill(out, row)
    trees = xgboost.Booster(model_file=str(folder / XGBOOST_FILE)).predict(xgboost.DMatrix(matrix))
    leaves = lightgbm.Booster(model_file=str(folder / LIGHTGBM_FILE)).predict(matrix)
    blended = 0.6 * trees.astype(np.float64) + 0.4 * leaves
    odds = 0.25 * blended / (1 - blended)
    np.testing.assert_allclose([scorer.predict(r) for r in rows], odds / (1 + odds), rtol=1e-4, atol=1e-7)


def test_a_batch_scores_as_its_rows_do(scorer: TreesScorer) -> None:
    rows = [*drawn(scorer, 30), {}]
    assert scorer.outputs == (SCORE,)
    assert scorer.predict_batch(rows)[SCORE].tolist() == [scorer.predict(r) for r in rows]
    assert scorer.predict_batch([])[SCORE].tolist() == []


def test_scores_tell_rows_apart(scorer: TreesScorer) -> None:
    quiet, loud = drawn(scorer, 1)[0], drawn(scorer, 1)[0]
    quiet |= {"amount": 5.0, "merchant_fraud_risk_7d": 0.0}
    loud |= {"amount": 600.0, "merchant_fraud_risk_7d": 0.6}
    assert scorer.predict(loud) > 0.15 > 0.05 > scorer.predict(quiet)


@pytest.mark.parametrize("calibration", [None, Calibration(slope=1.4, intercept=0.6)])
def test_contributions_and_bias_add_up_to_the_score(folder: Path, calibration: Calibration | None) -> None:
    made = loaded(folder)
    scorer = with_calibration(made, calibration)
    for row in [*drawn(scorer, 40), {}]:
        contributions = scorer.explain(row)
        assert sorted(name for name, _ in contributions) == sorted(scorer.spec.names)
        p = scorer.predict(row)
        total = sum(v for _, v in contributions) + scorer.bias
        assert total == pytest.approx(math.log(p / (1 - p)), abs=1e-3)
        assert 1 / (1 + math.exp(-total)) == pytest.approx(p, abs=1e-5)


def test_calibration_moves_scores_and_keeps_their_order(scorer: TreesScorer) -> None:
    rows = drawn(scorer, 50)
    plain = np.array([scorer.predict(r) for r in rows])
    moved = with_calibration(scorer, Calibration(slope=1.5, intercept=0.2)).predict_batch(rows)[SCORE]
    odds = math.exp(0.2) * (plain / (1 - plain)) ** 1.5
    np.testing.assert_allclose(moved, odds / (1 + odds), rtol=1e-9)
    assert np.argsort(moved).tolist() == np.argsort(plain).tolist()


def test_the_largest_contribution_comes_first(scorer: TreesScorer) -> None:
    row = drawn(scorer, 1)[0] | {"amount": 900.0, "merchant_fraud_risk_7d": 0.0}
    contributions = scorer.explain(row)
    sizes = [abs(v) for _, v in contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert contributions[0][0] == "amount"
    assert dict(contributions)["amount"] > 0 > dict(contributions)["merchant_fraud_risk_7d"]


def test_threads_do_not_share_rows(scorer: TreesScorer) -> None:
    rows = drawn(scorer, 200)
    alone = [scorer.predict(r) for r in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(scorer.predict, rows)) == alone


@pytest.mark.parametrize("name", [XGBOOST_FILE, LIGHTGBM_FILE])
@pytest.mark.parametrize("content", [None, b"no model"])
def test_missing_and_broken_weights_are_named(folder: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"cannot be read.*download the model again"):
        load(tmp_path)


def test_weights_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    document = json.loads((folder / SPEC_FILE).read_text())
    document["inputs"].pop()
    (tmp_path / SPEC_FILE).write_text(json.dumps(document))
    with pytest.raises(ModelUnavailable, match=r"takes \d+ inputs, the spec lists \d+"):
        load(tmp_path)
