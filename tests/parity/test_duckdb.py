"""The features that DuckDB makes equal the slow reference, row by row: ties, late and duplicate events included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.clock import day_of
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.errors import DefinitionError, FrameError
from lamina.features import point_in_time, training_set, write_training_set
from lamina.features.point_in_time import PART
from lamina.lake.schemas import SCHEMAS
from lamina.semantics.reference import evaluate_all, without_duplicates
from tests.parity import activity
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, Generated, generate
from tests.parity.lake import TOPICS, write_lake

FEATURES, ACTIVITY = load("fraud"), load("activity")


def frames_of(generated: Generated) -> dict[str, pd.DataFrame]:
    """The generated events in order of arrival, as a notebook would hold them."""
    return {
        name: pa.Table.from_pylist(list(events), schema=SCHEMAS[TOPICS[name]]).to_pandas()
        for name, events in generated.arrived.items()
    }


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a data frame with None where pandas writes NaN."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


@pytest.mark.parametrize(
    ("features", "seed", "part"),
    [(FEATURES, 0, PART), (EVERYTHING, 2, PART), (EVERYTHING, 3, 20), (ACTIVITY, 4, 20)],
)
def test_frames_equal_reference(features: FeatureSet, seed: int, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_in_time, "PART", part)
    generated = (activity.generate if features is ACTIVITY else generate)(seed, n=250)
    requests = without_duplicates(features.request, generated.arrived[features.request.name])
    rows = [dict(r) for r in requests][::3]
    found = training_set(rows, features, events=frames_of(generated))
    assert found[features.request.id].tolist() == [r[features.request.id] for r in rows]
    for request, row in zip(rows, found.to_dict("records"), strict=True):
        expected = evaluate_all(features, generated.arrived, request, int(str(request["timestamp"])))
        assert not differences(expected, plain(row)), request


def test_lake_equals_reference_as_known_on_a_day(tmp_path: Path) -> None:
    generated = generate(4, n=250)
    arrived = write_lake(tmp_path, generated)
    until = day_of(START_MS) + timedelta(days=9)
    known = {k: [e for d, e in events if d <= until] for k, events in arrived.items()}
    rows = [dict(r) for r in without_duplicates(FEATURES.request, known["transactions"])][::4]
    found = training_set(rows, FEATURES, events=str(tmp_path), until=until)
    assert len(found) == len(rows) > 20
    for request, row in zip(rows, found.to_dict("records"), strict=True):
        expected = evaluate_all(FEATURES, known, request, int(str(request["timestamp"])))
        assert not differences(expected, plain(row)), request


def test_written_rows_are_those_of_the_frame(tmp_path: Path) -> None:
    frames = frames_of(generate(5, n=80))
    pq.write_table(pa.Table.from_pandas(frames["transactions"]), tmp_path / "rows.parquet")
    target = tmp_path / "features.parquet"
    n = write_training_set(tmp_path / "rows.parquet", "fraud", target, events=frames)
    expected = training_set(frames["transactions"], "fraud", events=frames)
    assert n == len(expected) == len(frames["transactions"])
    names = list(FEATURES.names)
    pd.testing.assert_frame_equal(pd.read_parquet(target)[names], expected[names])


def test_views_alone_take_keys_and_a_time_as_the_notebook_has_them() -> None:
    frames = frames_of(generate(6, n=80))
    views = [v for v in FEATURES.views if v.name in ("user_spend", "merchant_traffic")]
    at = frames["transactions"][["user_id", "merchant_id", "timestamp"]]
    dated = at[["user_id", "merchant_id"]].assign(asked=pd.to_datetime(at["timestamp"], unit="ms"))
    transactions = {"transactions": frames["transactions"]}
    found = training_set(dated, views, events=transactions, timestamp="asked")
    whole = training_set(frames["transactions"], FEATURES, events=frames)
    names = [f.name for v in views for f in v.features]
    pd.testing.assert_frame_equal(found[names], whole[names])


def test_no_events_give_what_nothing_is() -> None:
    frames = frames_of(generate(7, n=40))
    none = {name: frame.iloc[:0] for name, frame in frames.items()}
    found = training_set(frames["transactions"].iloc[:1], FEATURES, events=none)
    request = plain(frames["transactions"].iloc[0].to_dict())
    expected = evaluate_all(FEATURES, {}, request, int(request["timestamp"]))
    # Views that include the request expect it among the events.
    assert found["user_txn_count_1d"].tolist() == [expected["user_txn_count_1d"]] == [0.0]
    assert len(training_set(frames["transactions"].iloc[:0], FEATURES, events=frames)) == 0


def test_what_is_missing_is_named() -> None:
    frames = frames_of(generate(8, n=40))
    rows = frames["transactions"]
    with pytest.raises(FrameError, match=r"no columns \['country', 'merchant_id'\]"):
        training_set(rows.drop(columns=["merchant_id", "country"]), FEATURES, events=frames)
    with pytest.raises(FrameError, match=r"1 of 4. rows have no 'user_id'"):
        training_set(rows.assign(user_id=rows["user_id"].where(rows.index != 3)), FEATURES, events=frames)
    with pytest.raises(FrameError, match="no events of 'fraud_labels'"):
        training_set(rows, FEATURES, events={"transactions": rows})
    with pytest.raises(FrameError, match=r"'transactions'.*amount"):
        training_set(rows, FEATURES, events={**frames, "transactions": rows.drop(columns=["amount"])})
    with pytest.raises(FrameError, match="parquet"):
        training_set("/nowhere/rows.parquet", FEATURES, events=frames)
    with pytest.raises(DefinitionError, match="give one"):
        training_set(rows, [], events=frames)
