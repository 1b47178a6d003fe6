"""Whether features of labels mean what they meant is asked of the labels themselves."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from lamina.definitions import load
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake
from lamina.lake.write import write_partition
from lamina.migrations.label_versions import SPECS, one_label_each, said_before
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT

TOPICS = ("model-feedback", "fraud-labels")


def label(i: int, *, is_fraud: bool = True, at: int = 5) -> dict[str, object]:
    return {
        "transaction_id": f"t{i}",
        "user_id": "u",
        "merchant_id": "m",
        "is_fraud": is_fraud,
        "scenario": None,
        "source": "analyst",
        "transaction_timestamp": 1,
        "timestamp": at,
    }


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ([], [], False),
        ([label(1)], [label(2)], True),
        ([label(1)], [label(1), label(2, is_fraud=False)], True),
        ([label(1), label(2)], [label(1, is_fraud=False)], False),
        ([], [label(1), label(1, at=6)], False),
    ],
    ids=["no labels", "one each", "sent twice", "taken back", "known at another time"],
)
def test_of_one_label_each_both_versions_say_the_same(
    tmp_path: Path, old: list[dict[str, object]], new: list[dict[str, object]], found: bool
) -> None:
    for topic, rows in zip(TOPICS, (old, new), strict=True):
        for day, row in enumerate(rows, 1):
            table = pa.Table.from_pylist([row], schema=in_lake(SCHEMAS["fraud-labels"]))
            write_partition(layout.events(str(tmp_path), topic, date(2018, 8, day)), table)
    assert one_label_each(str(tmp_path), TOPICS) is found


def test_what_a_writer_has_not_finished_is_passed_over(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([label(1)], schema=in_lake(SCHEMAS["fraud-labels"]))
    day = layout.events(str(tmp_path), TOPICS[1], date(2018, 8, 1))
    write_partition(day, table)
    staged = Path(day).parent / f"{layout.STAGING_PREFIX}1" / "part-00000.parquet"
    staged.parent.mkdir()
    staged.write_bytes(b"PAR1 and no end yet")
    assert one_label_each(str(tmp_path), TOPICS)


def test_what_is_said_of_answers_under_the_old_name_is_no_label(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([label(1)], schema=in_lake(SCHEMAS["fraud-labels"]))
    write_partition(layout.events(str(tmp_path), TOPICS[1], date(2018, 8, 1)), table)
    said = [{name: "x" for name in ("system", "feedback_id", "subjects", "source")} | {"timestamp": i} for i in (1, 2)]
    table = pa.Table.from_pylist(said, schema=in_lake(SCHEMAS["model-feedback"]))
    write_partition(layout.events(str(tmp_path), TOPICS[0], date(2018, 8, 2)), table)
    assert one_label_each(str(tmp_path), TOPICS)


def test_a_recorded_lake_has_one_label_each() -> None:
    assert one_label_each(str(ROOT / "tests" / "data" / "lakes" / "labels-on-model-feedback"), TOPICS)


def test_today_s_names_are_those_of_the_plan() -> None:
    """Whoever changes the views of labels again takes this step away, or leads on from it."""
    assert set(SPECS.values()) <= {spec.id for spec in make_plan(load("fraud")).tile_specs}


def test_only_what_means_the_same_was_said_otherwise() -> None:
    features = load("fraud")
    assert said_before(features, "amount", one_label=True) == ()
    assert said_before(features, "merchant_fraud_risk_7d", one_label=False) == ()
    (risk,) = said_before(features, "merchant_fraud_risk_7d", one_label=True)
    assert "version" not in risk and "fraud_labels" in risk
