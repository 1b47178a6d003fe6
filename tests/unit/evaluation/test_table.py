from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, TrainingSetError, rows_to_learn, rows_to_test, split_days
from lamina.scoring.trained_spec import Split
from models.fraud.problem import PROBLEM
from tests.training_sets import DAY, training_columns, write_training_set


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.model_features)


def weeks(kind: Literal["time", "random"] = "time") -> Split:
    return split_days(DAY, train_days=7, delay_days=7, test_days=7, kind=kind)


def number(day: date) -> int:
    return midnight_ms(day) // DAY_MS


def test_rows_come_back_in_order_of_time_whatever_the_files_hold(table: Table) -> None:
    columns = training_columns()
    order = np.lexsort((columns["transaction_id"], columns["timestamp"]))
    np.testing.assert_array_equal(table.columns["amount"], columns["amount"][order])
    np.testing.assert_array_equal(table.unit, columns["user_id"][order])
    np.testing.assert_array_equal(table.positive, columns["is_fraud"][order])


def test_a_label_counts_from_its_arrival(tmp_path: Path) -> None:
    columns = training_columns()
    end = midnight_ms(DAY + timedelta(days=1))
    rows = len(columns["is_fraud"])
    columns["is_fraud"] = np.array([True] * 3 + [False] * (rows - 3))
    columns["label_timestamp"] = pa.array([end - 1, end, None] + [None] * (rows - 3), pa.int64())
    found = read_table(write_training_set(str(tmp_path), columns=columns), PROBLEM, DAY, FEATURES.model_features)
    assert found.positive.sum() == 1


def test_a_missing_set_says_which_job_makes_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingSetError, match=f"jobs.spark.training_set --system fraud --date {DAY}"):
        read_table(str(tmp_path), PROBLEM, DAY, FEATURES.model_features)


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    columns = {name: values[:0] for name, values in training_columns().items()}
    with pytest.raises(TrainingSetError, match="has no rows"):
        read_table(write_training_set(str(tmp_path), columns=columns), PROBLEM, DAY, FEATURES.model_features)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    columns = training_columns()
    del columns["is_online"]
    with pytest.raises(TrainingSetError, match="is_online"):
        read_table(write_training_set(str(tmp_path), columns=columns), PROBLEM, DAY, FEATURES.model_features)


def test_split_by_time_leaves_the_delay_between(table: Table) -> None:
    split = weeks()
    learn, test = rows_to_learn(table, split, 0), rows_to_test(table, split, 0)
    assert set(table.day[learn]) == set(range(number(DAY) - 27, number(DAY) - 20))
    assert set(table.day[test]) == set(range(number(DAY) - 13, number(DAY) - 6))
    assert not (learn & test).any()


def test_users_with_a_known_fraud_are_not_tested(table: Table) -> None:
    split = weeks()
    test = rows_to_test(table, split, 0)
    known = set(table.unit[table.positive & rows_to_learn(table, split, 0)])
    inside = (table.day >= number(split.test_first)) & (table.day <= number(split.test_last))
    assert known
    assert not known & set(table.unit[test])
    assert known & set(table.unit[inside])


def test_where_a_known_label_ends_nothing_all_are_tested(table: Table) -> None:
    split = weeks()
    inside = (table.day >= number(split.test_first)) & (table.day <= number(split.test_last))
    assert (rows_to_test(table, split, 0, known_leave=False) == inside).all()


def test_a_random_split_keeps_the_share_of_fraud(table: Table) -> None:
    split = weeks("random")
    learn, test = rows_to_learn(table, split, 0), rows_to_test(table, split, 0)
    assert (learn | test).all()
    assert not (learn & test).any()
    assert table.positive[test].mean() == pytest.approx(table.positive[learn].mean(), abs=0.001)
    assert (rows_to_test(table, split, 0) == test).all()
    assert not (rows_to_test(table, split, 1) == test).all()


def test_taking_rows_takes_them_in_every_column(table: Table) -> None:
    few = table.take(np.array([5, 2]))
    assert len(few) == 2
    assert few.inputs["amount"].tolist() == table.inputs["amount"][[5, 2]].tolist()
    assert few.unit.tolist() == table.unit[[5, 2]].tolist()


def test_training_days_reach_the_test_where_no_gap_is_wanted() -> None:
    found = split_days(DAY, train_days=4, delay_days=7, test_days=3, gap_days=0)
    assert found.test_last == DAY - timedelta(days=7)
    assert found.test_first == found.test_last - timedelta(days=2)
    assert found.train_last == found.test_first - timedelta(days=1)
    assert found.train_first == found.train_last - timedelta(days=3)
    assert found.delay_days == 7
