from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.small_model import train_small_model
from lamina.contracts.features import days
from lamina.definitions.fraud import FEATURES, USER_SPEND
from lamina.errors import ModelUnavailable
from lamina.scoring.inputs import computation_of, inputs_of
from lamina.scoring.protocol import SPEC_FILE
from lamina.scoring.trees_spec import Ensemble, ModelSpec, correct


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small_model(tmp_path_factory.mktemp("model"))


def test_a_spec_survives_the_file(folder: Path, tmp_path: Path) -> None:
    spec = ModelSpec.read(folder)
    spec.write(tmp_path)
    assert ModelSpec.read(tmp_path) == spec


def test_rows_are_counted_by_the_names_that_versions_before_read(folder: Path) -> None:
    rows = json.loads((folder / SPEC_FILE).read_text())["rows"]
    assert {"train", "train_frauds", "used", "test", "test_frauds"} <= set(rows)
    assert rows["train_frauds"] == ModelSpec.read(folder).rows.train_positives > 0


def test_unknown_keys_are_refused(folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / SPEC_FILE).read_text())
    document["threshhold"] = 0.5
    (tmp_path / SPEC_FILE).write_text(json.dumps(document))
    with pytest.raises(ModelUnavailable, match=r"threshhold.*train the model anew"):
        ModelSpec.read(tmp_path)


def test_a_missing_spec_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="download the model again"):
        ModelSpec.read(tmp_path)


def test_weights_must_add_up() -> None:
    with pytest.raises(ValidationError, match="add up to 1"):
        Ensemble(xgboost=0.6, lightgbm=0.5)


def test_added_features_do_not_invalidate_a_model(folder: Path) -> None:
    spec = ModelSpec.read(folder)
    fewer = spec.model_copy(update={"inputs": spec.inputs[:-1]})
    fewer.check_against(FEATURES)


def test_a_feature_that_changed_its_meaning_is_named(folder: Path) -> None:
    longer = dataclasses.replace(USER_SPEND, windows=(days(1), days(7), dataclasses.replace(days(31), label="30d")))
    moved = dataclasses.replace(longer, delay=days(1), include_request=False)
    changed = dataclasses.replace(FEATURES, views=tuple(moved if v.name == "user_spend" else v for v in FEATURES.views))
    with pytest.raises(ModelUnavailable, match=r"user_txn_count_1d.* changed.*Train it again"):
        ModelSpec.read(folder).check_against(changed)


def test_a_feature_that_is_gone_is_named(folder: Path) -> None:
    names = tuple(n for n in FEATURES.model_features if n != "is_online")
    fewer = dataclasses.replace(
        FEATURES,
        model_features=names,
        request_features=tuple(f for f in FEATURES.request_features if f.name != "is_online"),
    )
    with pytest.raises(ModelUnavailable, match="is_online no longer defined"):
        ModelSpec.read(folder).check_against(fewer)


def test_every_model_feature_has_its_own_meaning() -> None:
    meanings = [computation_of(FEATURES, name) for name in FEATURES.model_features]
    assert len(set(meanings)) == len(meanings)


def test_the_fingerprint_follows_order_and_meaning(folder: Path) -> None:
    spec = ModelSpec.read(folder)
    swapped = spec.model_copy(update={"inputs": (spec.inputs[1], spec.inputs[0], *spec.inputs[2:])})
    assert spec.fingerprint != swapped.fingerprint
    assert spec.fingerprint == spec.model_copy(update={"seed": spec.seed + 1}).fingerprint


def test_empty_counts_are_zero_and_empty_means_are_missing() -> None:
    defaults = {i.name: i.default for i in inputs_of(FEATURES, {"merchant_category": (), "device_type": ()})}
    assert defaults["lifetime_txn_count"] == 0.0
    assert defaults["merchant_fraud_risk_7d"] == 0.0
    assert defaults["max_txn_amount"] is None


def test_the_correction_is_that_of_counting() -> None:
    """A leaf with 30 frauds among 200 rows, of which a tenth of the negatives was kept, holds 30 among 1730."""
    assert correct(30 / 200, 0.1) == pytest.approx(30 / (30 + 170 / 0.1))


def test_the_correction_keeps_order_and_ends() -> None:
    p = np.linspace(0, 1, 101)
    corrected = correct(p, 0.05)
    assert corrected[0] == 0
    assert corrected[-1] == 1
    assert (np.diff(corrected) > 0).all()
    assert (corrected[1:-1] < p[1:-1]).all()
