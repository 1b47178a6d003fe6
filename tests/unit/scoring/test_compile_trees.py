from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from lamina.errors import ModelUnavailable
from lamina.scoring.compile_trees import TOLERANCE, CompilationError, compile_lightgbm, compile_xgboost
from lamina.scoring.trees import CompiledTrees

ROWS, WIDTH = 2000, 6
NAMES = [f"name_{i}" for i in range(WIDTH)]


def drawn(seed: int) -> NDArray[np.float32]:
    """One decimal: many rows lie exactly where trees split, and an inequality of the other kind would show."""
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(ROWS, WIDTH)), 1).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


def labels(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    noise = np.random.default_rng(5).normal(size=ROWS)
    return (np.nan_to_num(rows[:, 0]) + np.isnan(rows[:, 1]) + noise > 1).astype(np.int64)


@pytest.fixture(scope="module")
def trees() -> xgboost.Booster:
    rows = drawn(0)
    data = xgboost.DMatrix(rows, labels(rows), feature_names=NAMES)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "base_score": 0.5}, data, 60)


@pytest.fixture(scope="module")
def leaves() -> lightgbm.Booster:
    rows = drawn(0)
    data = lightgbm.Dataset(rows, labels(rows), feature_name=NAMES)
    return lightgbm.train({"objective": "binary", "num_leaves": 15, "num_threads": 1, "verbosity": -1}, data, 60)


def test_xgboosts_trees_answer_as_the_original(trees: xgboost.Booster) -> None:
    rows = drawn(1)
    found = CompiledTrees(compile_xgboost(trees)).predict(rows)
    np.testing.assert_allclose(found, trees.inplace_predict(rows, validate_features=False), atol=TOLERANCE)
    assert found.std() > 0.1


def test_lightgbms_trees_answer_as_the_original(leaves: lightgbm.Booster) -> None:
    rows = drawn(1)
    found = CompiledTrees(compile_lightgbm(leaves)).predict(rows)
    np.testing.assert_allclose(found, np.asarray(leaves.predict(rows)), atol=TOLERANCE)
    assert found.std() > 0.1


def test_the_booster_keeps_its_names(trees: xgboost.Booster) -> None:
    compile_xgboost(trees)
    assert trees.feature_names == NAMES


def test_trees_that_answer_otherwise_are_refused(
    trees: xgboost.Booster, leaves: lightgbm.Booster, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = CompiledTrees.predict
    monkeypatch.setattr(CompiledTrees, "predict", lambda self, rows: right(self, rows) + 0.01)
    with pytest.raises(CompilationError, match=r"differ by up to 0\.01 from XGBoost"):
        compile_xgboost(trees)
    with pytest.raises(CompilationError, match=r"differ by up to 0\.01 from LightGBM"):
        compile_lightgbm(leaves)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "xgboost.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match=r"xgboost\.onnx cannot be read"):
        CompiledTrees.read(file)
