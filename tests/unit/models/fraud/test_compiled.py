from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost

from lamina.errors import ModelUnavailable
from models.fraud import compiled
from models.fraud.compiled import CompilationError, CompiledTrees, compile_trees

ROWS, WIDTH = 2000, 6


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    rng = np.random.default_rng(0)
    matrix = np.round(rng.normal(size=(ROWS, WIDTH)), 1).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    labels = (np.nan_to_num(matrix[:, 0]) + np.isnan(matrix[:, 1]) + rng.normal(size=ROWS) > 1).astype(int)
    data = xgboost.DMatrix(matrix, labels, feature_names=[f"name {i}" for i in range(WIDTH)])
    return xgboost.train({"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "base_score": 0.5}, data, 60)


def test_compiled_trees_answer_as_the_original_also_at_the_splits_and_without_values(booster: xgboost.Booster) -> None:
    rng = np.random.default_rng(1)
    # One decimal, as the values that were split at: an inequality of the other kind would show.
    rows = np.round(rng.normal(size=(ROWS, WIDTH)), 1).astype(np.float32)
    rows[rng.random(rows.shape) < 0.3] = np.nan
    found = CompiledTrees(compile_trees(booster)).predict(rows)
    np.testing.assert_allclose(found, booster.inplace_predict(rows, validate_features=False), atol=compiled.TOLERANCE)
    assert found.std() > 0.1


def test_the_booster_keeps_its_names(booster: xgboost.Booster) -> None:
    compile_trees(booster)
    assert booster.feature_names == [f"name {i}" for i in range(WIDTH)]


def test_trees_that_answer_otherwise_are_refused(booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch) -> None:
    right = CompiledTrees.predict
    monkeypatch.setattr(CompiledTrees, "predict", lambda self, rows: right(self, rows) + 0.01)
    with pytest.raises(CompilationError, match=r"differ by up to 0\.01"):
        compile_trees(booster)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "xgboost.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match=r"xgboost\.onnx cannot be read"):
        CompiledTrees.read(file)
