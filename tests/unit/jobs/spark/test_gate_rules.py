"""The gate refuses a day of the lake whose amounts are in two currencies, and takes one with labels said again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.spark.validation import validate
from lamina.clock import DAY_MS, day_of
from lamina.contracts.served import Served
from lamina.errors import NotMigrated
from lamina.lake.schemas import SCHEMAS, in_lake, row_of
from lamina.lake.write import open_lake
from lamina.quality.suites import suite_of
from lamina.settings import ROOT
from tests.parity.generated import START_MS, generate


@pytest.mark.parametrize(("codes", "refused"), [(("EUR",), False), (("USD",), False), (("EUR", "USD"), True)])
def test_two_currencies_break_a_critical_rule(tmp_path: Path, codes: tuple[str, ...], refused: bool) -> None:
    events = generate(1, n=60, days=1, strained=False).transactions
    rows = [{**e, "currency": codes[i % len(codes)], "partition": 0, "offset": i} for i, e in enumerate(events)]
    file = tmp_path / "part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS["transactions"])), file)
    fs, path = open_lake(str(file))
    suite = suite_of("transactions")
    parameters = suite.parameters(day_of(START_MS), START_MS + DAY_MS)
    found = validate(suite, fs, [path], parameters, cast(Any, None))
    broken = {b.expectation.name: b.expectation.severity for b in found.broken}
    assert broken == ({"expect_column_unique_value_count_to_be_between(currency)": "critical"} if refused else {})


def test_a_day_with_labels_said_again_passes(tmp_path: Path) -> None:
    """Which of several labels stands is the definition's matter."""
    labels = generate(1, n=400, days=1, strained=False).fraud_labels
    said = {e["transaction_id"] for e in labels}
    assert len(said) < 0.9 * len(labels), "a good part of them twice"
    rows = [{**e, "partition": 0, "offset": i} for i, e in enumerate(labels)]
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS["fraud-labels"])), tmp_path / "part.parquet")
    fs, path = open_lake(str(tmp_path / "part.parquet"))
    suite = suite_of("fraud-labels")
    found = validate(suite, fs, [path], suite.parameters(day_of(START_MS), START_MS + 9 * DAY_MS), cast(Any, None))
    assert "expect_column_proportion_of_unique_values_to_be_between(transaction_id)" not in {
        b.expectation.name for b in found.broken
    }


def log_of(rows: list[dict[str, Any]], file: Path) -> set[str]:
    """The critical rules that a day of answers breaks."""
    answer = row_of(Served.from_json((ROOT / "tests/data/events/served-v1.json").read_bytes()))
    table = [{**answer, "timestamp": START_MS, "partition": 0, "offset": i, **row} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(table, schema=in_lake(SCHEMAS["predictions-fraud"])), file)
    fs, path = open_lake(str(file))
    suite = suite_of("predictions-fraud")
    found = validate(suite, fs, [path], suite.parameters(day_of(START_MS), START_MS + DAY_MS), cast(Any, None))
    return {b.expectation.name for b in found.broken if b.expectation.severity == "critical"}


SHADOW: dict[str, Any] = {"shadow": True, "action": None, "subjects": '{"user":"u"}', "fallback": "model_failed"}


def test_an_answer_and_its_shadows_have_one_id(tmp_path: Path) -> None:
    answers = [{"request_id": f"r-{i}"} for i in range(50)]
    shadows = [{"request_id": f"r-{i}", **SHADOW} for i in range(50)] * 2
    assert log_of([*answers, *shadows], tmp_path / "part.parquet") == set()


def test_answers_that_repeat_an_id_break_a_rule_however_many_shadows_there_are(tmp_path: Path) -> None:
    answers = [{"request_id": f"r-{i % 49}"} for i in range(50)]
    shadows = [{"request_id": f"s-{i}", **SHADOW} for i in range(500)]
    name = "expect_column_proportion_of_unique_values_to_be_between(request_id)"
    assert log_of([*answers, *shadows], tmp_path / "part.parquet") == {name}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"action": None}, "expect_column_values_to_not_be_null(action)"),
        ({"action": "call the police"}, "expect_column_values_to_be_in_set(action)"),
        ({"event_id": None}, "expect_column_values_to_not_be_null(event_id)"),
        ({"subjects": '{"user":"u"}'}, "expect_column_values_to_match_regex(subjects)"),
        ({"outputs": '{"score":1.5}'}, "expect_column_values_to_match_regex(outputs)"),
    ],
)
def test_what_every_answer_of_fraud_has(tmp_path: Path, changes: dict[str, Any], rule: str) -> None:
    assert log_of([{"request_id": "r-1"}, {"request_id": "r-2", **changes}], tmp_path / "part.parquet") == {rule}


def test_a_day_in_the_columns_of_the_version_before_is_told_of() -> None:
    recorded = ROOT / "tests/data/lakes/answers-before-envelopes/events/predictions-fraud/ingested=2018-08-17"
    fs, path = open_lake(str(recorded / "origin=kafka" / "part-00000.parquet"))
    suite = suite_of("predictions-fraud")
    with pytest.raises(NotMigrated, match=r"part-00000.parquet lacks columns event_id, .*run `lamina migrate`"):
        validate(suite, fs, [path], suite.parameters(day_of(START_MS), START_MS + DAY_MS), cast(Any, None))
