"""What own decisions do to training: nobody knows what a declined payment was, and those let through stand for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.definitions.fraud import FEATURES
from lamina.errors import NotMigrated
from lamina.evaluation.decided import MOST, weights
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, rows_to_learn, rows_to_test
from lamina.lake import layout
from lamina.lake.files import ASIDE_PREFIX, TOKEN_DIGITS
from lamina.lake.schemas import SCHEMAS
from lamina.scoring.encode import Encoder
from lamina.scoring.trees import TreesScorer
from lamina.training.train import Trained, TrainingPlan, train
from models.fraud.problem import PROBLEM, WITHHOLDING
from models.fraud.recipe import RECIPE
from tests.training_sets import DAY, training_columns, write_training_set

AT_MS = 1_741_000_000_000
LARGE, SHARE = 100.0, 0.25


def decide(lake: str, *decisions: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    """Archive decisions, as columns of the contract; `without` these, as partitions from before they existed."""
    usual = {"system": "fraud", "shadow": False, "action": "approve", "timestamp": AT_MS, "served_at": AT_MS}
    rows = [usual | decision for decision in decisions]
    schema = pa.schema([field for field in SCHEMAS[PREDICTIONS] if field.name not in without])
    columns = {
        field.name: pa.array(
            [row.get(field.name, "" if field.type == pa.string() and not field.nullable else None) for row in rows]
        ).cast(field.type)
        for field in schema
    }
    folder = Path(layout.events(lake, "predictions-fraud", DAY))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"part-{len(list(folder.iterdir()))}.parquet")


def counted(lake: str, *ids: str, labelled: tuple[str, ...] = ()) -> list[float]:
    at = np.full(len(ids), AT_MS, np.int64)
    found = weights("fraud", WITHHOLDING, lake, np.array(ids, dtype=object), at, np.array([i in labelled for i in ids]))
    return [round(float(weight), 6) for weight in found]


def test_each_kind_of_decision(tmp_path: Path) -> None:
    lake = str(tmp_path)
    decide(
        lake,
        {"event_id": "approved"},
        {"event_id": "reviewed", "action": "review"},
        {"event_id": "by-rule", "action": "reject"},
        {"event_id": "by-rule-and-reported", "action": "reject"},
        {"event_id": "let-through", "action": "approve", "intended": "reject", "propensity": 0.02},
        {"event_id": "not-let-through", "action": "reject", "propensity": 0.98},
        {"event_id": "very-rare", "action": "review", "intended": "reject", "propensity": 0.0001},
    )
    reported = ("by-rule-and-reported", "not-let-through")
    asked = ("unseen", "approved", "reviewed", "by-rule", *reported, "let-through", "very-rare")
    assert counted(lake, *asked, labelled=reported) == [1, 1, 1, 0, 1, 0, 50, MOST]


def test_decisions_that_a_killed_archiver_left_aside_count(tmp_path: Path) -> None:
    lake = str(tmp_path)
    decide(lake, {"event_id": "by-rule", "action": "reject"})
    day = Path(layout.events(lake, "predictions-fraud", DAY))
    aside = day / f"{ASIDE_PREFIX}{layout.ORIGIN}-{'0' * TOKEN_DIGITS}"
    aside.mkdir()
    (day / "part-0.parquet").rename(aside / "part-0.parquet")
    assert counted(lake, "by-rule") == [0]


def test_the_last_decision_on_a_payment_stands(tmp_path: Path) -> None:
    decide(
        str(tmp_path),
        {"event_id": "t", "action": "approve", "served_at": AT_MS + 2},
        {"event_id": "t", "action": "reject", "served_at": AT_MS + 1},
    )
    assert counted(str(tmp_path), "t") == [1]


def test_decisions_from_before_there_were_propensities(tmp_path: Path) -> None:
    decide(str(tmp_path), {"event_id": "old", "action": "reject"}, without=("intended", "propensity", "candidates"))
    decide(str(tmp_path), {"event_id": "new", "action": "reject", "propensity": 0.9})
    assert counted(str(tmp_path), "old", "new", labelled=("old", "new")) == [1, 0]


def test_what_another_model_would_have_done_does_not_count(tmp_path: Path) -> None:
    decide(str(tmp_path), {"event_id": "t", "action": "reject", "shadow": True}, {"event_id": "t"})
    assert counted(str(tmp_path), "t") == [1]


def test_answers_in_the_columns_of_the_version_before_are_told_of(tmp_path: Path) -> None:
    decide(str(tmp_path), {"event_id": "new"})
    decide(str(tmp_path), {"request_id": "old", "action": "reject"}, without=("event_id", "system", "shadow"))
    with pytest.raises(NotMigrated, match=r"events/predictions-fraud holds answers .* run `lamina migrate`"):
        counted(str(tmp_path), "new")


def test_without_an_archive_every_row_counts(tmp_path: Path) -> None:
    assert counted(str(tmp_path), "a", "b") == [1, 1]


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The same weeks with nothing declined, and every label known."""
    columns = training_columns(per_day=2000)
    lake = write_training_set(str(tmp_path_factory.mktemp("informed")), columns=columns)
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


@pytest.fixture(scope="module")
def declining(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Weeks in which larger amounts were declined but for a quarter, and nobody heard of the declined again."""
    lake = str(tmp_path_factory.mktemp("lake"))
    columns = training_columns(per_day=2000)
    rng = np.random.default_rng(0)
    declined = columns["amount"] > LARGE
    passed = declined & (rng.random(len(declined)) < SHARE)
    silent = declined & ~passed
    columns["is_fraud"] = columns["is_fraud"] & ~silent
    columns["label_timestamp"] = pa.array(
        [None if quiet else at for quiet, at in zip(silent, columns["label_timestamp"].to_pylist(), strict=True)],
        pa.int64(),
    )
    decide(
        lake,
        *(
            {"event_id": i, "timestamp": int(at), "served_at": int(at)}
            | ({"intended": "reject", "propensity": SHARE} if let else {"action": "reject", "propensity": 1 - SHARE})
            for i, at, no, let in zip(columns["transaction_id"], columns["timestamp"], declined, passed, strict=True)
            if no
        ),
    )
    return read_table(write_training_set(lake, columns=columns), PROBLEM, DAY, FEATURES.names)


def mean_score(trained: Trained, rows: Table) -> float:
    scorer = TreesScorer(trained.spec, trained.members.trees, trained.members.leaves)
    return float(scorer.score(Encoder(trained.spec.inputs).matrix(rows.inputs, len(rows))).mean())


def test_what_was_declined_is_not_learnt_as_honest(declining: Table, informed: Table) -> None:
    """Larger amounts are often fraud. Learnt from all rows, the silent ones among them, they look honest."""
    plan = TrainingPlan(DAY, calibrate=False)
    aware, knowing = train(RECIPE, declining, plan), train(RECIPE, informed, plan)
    naive = train(RECIPE, dataclasses.replace(declining, weight=np.ones(len(declining))), plan)
    large = declining.take(declining.columns["amount"] > LARGE)
    best, found, unaware = (mean_score(trained, large) for trained in (knowing, aware, naive))
    assert abs(found - best) < 0.5 * (best - unaware)
    assert aware.spec.rows.unknown > 0 and aware.spec.rows.let_through > 0
    assert (naive.spec.rows.unknown, naive.spec.rows.let_through) == (0, 0)


def test_rows_that_say_nothing_are_neither_learnt_nor_tested(declining: Table) -> None:
    split = TrainingPlan(DAY).days
    for choose in (rows_to_learn, rows_to_test):
        assert (declining.weight[choose(declining, split, 0)] > 0).all()
    assert declining.take(rows_to_learn(declining, split, 0)).weight.max() == pytest.approx(1 / SHARE)
