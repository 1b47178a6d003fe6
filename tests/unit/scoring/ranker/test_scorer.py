from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.errors import ModelUnavailable
from lamina.scoring import trained
from lamina.scoring.load import load
from lamina.scoring.network import COMPILED_FILE
from lamina.scoring.protocol import SCORE, SPEC_FILE, Value
from lamina.scoring.ranker.scorer import RankerScorer
from lamina.scoring.ranker.weights import WEIGHTS_FILE, HeadWeights
from tests.small_ranker import MATRIX, SPEC, WEIGHTS, write_small_ranker

ROWS: list[dict[str, Value]] = [
    {"amount": 30.0, "txn_count_1h": 2.0, "device_type": "mobile"},
    {"amount": 5.0, "txn_count_1h": 0.0, "device_type": "terminal"},
    {"amount": 80.0, "txn_count_1h": None, "device_type": "watch"},
]
ENCODED = np.array([[30.0, 2.0, 1.0], [5.0, 0.0, 0.0], [80.0, 0.0, 2.0]])
COLUMNS: dict[str, Any] = {
    "amount": np.array([30.0, 5.0, 80.0]),
    "txn_count_1h": np.array([2.0, 0.0, np.nan]),
    "device_type": np.array(["mobile", "terminal", "watch"], object),
}


@pytest.fixture
def scorer(tmp_path: Path) -> RankerScorer:
    found = load(write_small_ranker(tmp_path / "ranker"))
    assert isinstance(found, RankerScorer)
    return found


def expected(position: np.ndarray[Any, Any] | float) -> dict[str, Any]:
    """Each head's values, by hand."""
    margins = np.column_stack([ENCODED, np.broadcast_to(position, 3)]) @ MATRIX
    return {
        "watched_s": np.exp(0.5 * margins[:, 0] + 1.0),
        "click": 1 / (1 + np.exp(1.0 - 2.0 * margins[:, 1])),
        "like": 1 / (1 + np.exp(4.0 - margins[:, 2])),
    }


def test_heads_are_calibrated_and_the_score_weighs_them_by_their_means(scorer: RankerScorer) -> None:
    assert scorer.outputs == (SCORE, "watched_s", "click", "like") and scorer.names == SPEC.names
    found, by_hand = scorer.predict_columns(COLUMNS, 3), expected(SPEC.position)
    assert tuple(found) == scorer.outputs
    for name, values in by_hand.items():
        assert found[name] == pytest.approx(values, rel=1e-5)
    score = 0.6 * by_hand["watched_s"] / 40.0 + 0.3 * by_hand["click"] / 0.1 + 0.1 * by_hand["like"] / 0.02
    assert found[SCORE] == pytest.approx(score, rel=1e-5)


def test_a_row_a_batch_and_columns_agree(scorer: RankerScorer) -> None:
    batch, columns = scorer.predict_batch(ROWS), scorer.predict_columns(COLUMNS, 3)
    for name in scorer.outputs:
        assert batch[name].tolist() == pytest.approx(columns[name].tolist())
        assert batch[name].dtype == np.float64 and batch[name].shape == (3,)
    assert [scorer.predict(row) for row in ROWS] == pytest.approx(batch[SCORE].tolist())
    assert all(values.tolist() == [] for values in scorer.predict_batch([]).values())


def test_shares_say_what_each_head_gave_to_the_score(scorer: RankerScorer) -> None:
    found = scorer.predict_columns(COLUMNS, 3)
    shares = scorer.shares(found)
    assert tuple(shares) == scorer.heads
    assert sum(shares.values()) == pytest.approx(np.ones(3))
    assert shares["click"] == pytest.approx(0.3 * found["click"] / 0.1 / found[SCORE])
    assert (np.array(list(shares.values())) >= 0).all()


def test_the_score_of_the_average_row_is_one_whatever_the_sum_of_the_weights(tmp_path: Path) -> None:
    heads = tuple(
        head.model_copy(update={"mean": float(values[0])})
        for head, values in zip(SPEC.heads, expected(SPEC.position).values(), strict=True)
    )
    weights = HeadWeights(4, {"watched_s": 6, "click": 3, "like": 1})
    scorer = load(write_small_ranker(tmp_path, spec=SPEC.model_copy(update={"heads": heads}), weights=weights))
    assert scorer.predict(ROWS[0]) == pytest.approx(1.0, rel=1e-5)


def test_candidates_are_scored_at_one_position_and_rows_where_they_were_shown(scorer: RankerScorer) -> None:
    shown = np.array([1, 2, 9])
    found = scorer.predict_at(COLUMNS, shown)
    for name, values in expected(shown).items():
        assert found[name] == pytest.approx(values, rel=1e-5)
    served = scorer.predict_columns(COLUMNS, 3)
    assert found["click"][1] == served["click"][1] and found["click"][2] < served["click"][2]


def test_a_weight_of_zero_leaves_a_head_out_and_shows_it_all_the_same(tmp_path: Path) -> None:
    weights = HeadWeights(1, {"watched_s": 0.0, "click": 1.0, "like": 0.0})
    scorer = load(write_small_ranker(tmp_path, weights=weights))
    found = scorer.predict_batch(ROWS)
    assert found[SCORE] == pytest.approx(found["click"] / 0.1)
    assert found["watched_s"] == pytest.approx(expected(SPEC.position)["watched_s"], rel=1e-5)


def test_other_weights_are_another_file_beside_the_same_network(tmp_path: Path) -> None:
    folder = write_small_ranker(tmp_path)
    before = load(folder)
    HeadWeights(4, {"watched_s": 0.1, "click": 0.3, "like": 0.6}).write(folder)
    after = load(folder)
    assert isinstance(before, RankerScorer) and isinstance(after, RankerScorer)
    assert (before.weights, after.weights.version) == (WEIGHTS, 4)
    assert after.predict(ROWS[0]) != before.predict(ROWS[0])
    assert after.predict_batch(ROWS)["like"].tolist() == before.predict_batch(ROWS)["like"].tolist()


def test_it_is_a_trained_scorer_of_its_system(scorer: RankerScorer, tmp_path: Path) -> None:
    found = trained.load(tmp_path / "ranker", FEATURES, "worth")
    assert found.outputs[0] == "worth" and found.spec == SPEC and not found.calibrated
    assert found.predict(ROWS[0]) == scorer.predict(ROWS[0])
    assert scorer.explain(ROWS[0]) == []
    assert "watched_s (s), click (binary)" in SPEC.made_of


def change(folder: Path, **changes: object) -> None:
    spec = json.loads((folder / SPEC_FILE).read_text())
    (folder / SPEC_FILE).write_text(json.dumps(spec | changes))


def test_what_does_not_fit_is_not_loaded(tmp_path: Path) -> None:
    folder = write_small_ranker(tmp_path / "width", matrix=MATRIX[1:])
    with pytest.raises(ModelUnavailable, match="does not take 3 inputs and a position"):
        load(folder)
    folder = write_small_ranker(tmp_path / "heads", matrix=MATRIX[:, 1:])
    with pytest.raises(ModelUnavailable, match="2 numbers a row, the spec lists 3 heads"):
        load(folder)
    folder = write_small_ranker(tmp_path / "unweighed", weights=None)
    with pytest.raises(ModelUnavailable, match=WEIGHTS_FILE):
        load(folder)
    folder = write_small_ranker(tmp_path / "others", weights=HeadWeights(1, {"click": 1.0, "share": 1.0}))
    with pytest.raises(ModelUnavailable, match="weights of share, which are no heads: there are watched_s, click"):
        load(folder)
    folder = write_small_ranker(tmp_path / "lacking", weights=HeadWeights(1, {"click": 1.0}))
    with pytest.raises(ModelUnavailable, match="no weight of watched_s, like: give 0"):
        load(folder)
    folder = write_small_ranker(tmp_path / "clash")
    with pytest.raises(ModelUnavailable, match="as a head is"):
        trained.load(folder, FEATURES, "click")
    (folder / COMPILED_FILE).write_bytes(b"nothing")
    with pytest.raises(ModelUnavailable, match=COMPILED_FILE):
        load(folder)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("slope", 0.0, "greater than 0"),
        ("mean", 0.0, "greater than 0"),
        ("name", "watched_s", "names of their own"),
        ("name", SCORE, "names of their own"),
        ("kind", "grade", "binary"),
    ],
)
def test_a_spec_of_no_ranker_is_refused(tmp_path: Path, field: str, value: object, says: str) -> None:
    folder = write_small_ranker(tmp_path)
    heads = [head.model_dump() for head in SPEC.heads]
    heads[1][field] = value
    change(folder, heads=heads)
    with pytest.raises(ModelUnavailable, match=says):
        load(folder)


def test_a_ranker_whose_features_changed_is_not_loaded(tmp_path: Path) -> None:
    folder = write_small_ranker(tmp_path)
    inputs = [part.model_dump() for part in SPEC.inputs]
    inputs[0]["meaning"] = "something else"
    change(folder, inputs=inputs)
    with pytest.raises(ModelUnavailable, match="amount changed"):
        load(folder)
