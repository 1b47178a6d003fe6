"""The parity job over a lake: what lags is stale, what was tampered with is found, everything is counted once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from pyspark.sql import SparkSession

from jobs.spark.parity import EXIT_MISMATCH, compare, main
from jobs.spark.parity_report import render, write_report
from lamina.clock import DAY_MS, day_of
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.served import ModelUsed, Served
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.definitions import load
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake, row_of
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from tests.parity.generated import START_MS, generate
from tests.parity.served import Archived, archived, arrived_before, event_time, first_requests, vector

FEATURES = load("fraud")
PLAN = make_plan(FEATURES)
THROUGH_MS = START_MS + 11 * DAY_MS
LIVE = day_of(THROUGH_MS)
TOPIC_OF = {"transactions": TRANSACTIONS, "fraud_labels": FRAUD_LABELS, "fraud_reports": FRAUD_LABELS}


def _served(events: Archived, request: EventRow, late: int) -> Served:
    """What serving would have logged when the newest `late` events of the user were not readable yet."""
    before = arrived_before(events, request)
    found = vector(PLAN, events, THROUGH_MS, before[: max(0, len(before) - late)], request)
    return Served(
        system="fraud",
        request_id=f"r-{request['transaction_id']}",
        event_id=str(request["transaction_id"]),
        subjects={"user": str(request["user_id"]), "merchant": str(request["merchant_id"])},
        outputs={"score": 0.25},
        action="approve",
        models={"model": ModelUsed(name="fraud", version="1")},
        features=found.values,
        seen=found.seen,
        through=found.through,
        timestamp=event_time(request),
        served_at=event_time(request) + 5,
        latency_ms=5,
    )


def _write(lake: Path, topic: str, rows: list[dict[str, Any]]) -> None:
    days: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        folder = layout.events(str(lake), topic, LIVE).rsplit("=", 1)[0] + f"={row['ingested']}"
        days[folder + ("/origin=kafka" if row["offset"] is not None else "")].append(row)
    for folder, some in days.items():
        Path(folder).mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(some, schema=in_lake(SCHEMAS[topic]))
        pq.write_table(table, f"{folder}/part-00000.parquet")


def _lake(folder: Path, events: Archived, decisions: list[Served]) -> str:
    for source, rows in events.items():
        _write(folder, TOPIC_OF[source], rows)
    place = {"partition": 0, "ingested": LIVE.isoformat()}
    _write(folder, PREDICTIONS, [{**row_of(d), **place, "offset": i} for i, d in enumerate(decisions)])
    return str(folder)


@pytest.fixture(scope="module")
def served() -> tuple[Archived, list[Served]]:
    """A live day: of the decisions every third lags by one event, every seventh by three."""
    events = archived(generate(11, n=600), THROUGH_MS)
    requests = first_requests(events, 0)
    late = [3 if i % 7 == 0 else 1 if i % 3 == 0 else 0 for i in range(len(requests))]
    return events, [_served(events, r, n) for r, n in zip(requests, late, strict=True)]


def _tampered(decision: Served, values: Mapping[str, float | None]) -> Served:
    return decision.model_copy(update={"features": {**decision.features, **values}})


def _shadow(served: Served) -> Served:
    """What another model said of the same request: no answer."""
    return served.model_copy(update={"shadow": True, "features": {}, "seen": {}, "through": {}, "action": None})


def test_what_lags_is_stale_and_nothing_is_mismatched(
    spark: SparkSession, served: tuple[Archived, list[Served]], tmp_path: Path
) -> None:
    events, decisions = served
    # One request may ask about many events.
    logged = [d.model_copy(update={"request_id": f"of ten {i // 10}"}) for i, d in enumerate(decisions)]
    lake = _lake(tmp_path / "lake", events, logged)
    report = compare(spark, lake, FEATURES, LIVE)
    assert report["answers"] == report["compared"] == len(decisions)
    assert report["values"] == len(decisions) * len(FEATURES.names)
    assert report["mismatches"] == report["mismatch"] == report["missing"] == report["extra"] == 0
    assert report["stale"] > 20
    assert report["match"] + report["stale"] == report["values"]
    assert [f["feature"] for f in report["features"]] == list(FEATURES.names)
    # A decision that lagged is right for the events it could see, so every example shows that value.
    assert report["examples"]
    assert all(e["served"] == pytest.approx(e["readable"], abs=1e-6) for e in report["examples"])


def test_every_kind_of_difference_is_told_apart(
    spark: SparkSession, served: tuple[Archived, list[Served]], tmp_path: Path
) -> None:
    events, decisions = served
    first, second, third, *rest = decisions
    logged = [
        _tampered(first, {"txn_count_1h": 99.0, "amount": 0.5, "merchant_txn_count_7d": 77.0}),
        _tampered(second, {"lifetime_txn_count": None, "of_no_definition": 1.0}),
        third.model_copy(update={"features": {}, "seen": {}, "through": {}, "fallback": "rules_only_no_features"}),
        rest[0].model_copy(update={"seen": {"user:transactions@1s#000000": 1}}),
        rest[1].model_copy(update={"event_id": "never-arrived"}),
        rest[2].model_copy(update={"system": "another-system"}),
        *rest[3:],
        rest[-1],  # the log holds it twice
        _shadow(rest[-1]),
    ]
    lake = _lake(tmp_path / "lake", events, logged)
    report = compare(spark, lake, FEATURES, LIVE)
    assert report["answers"] == len(decisions) - 1
    assert (report["without_features"], report["other_definitions"], report["without_request"]) == (1, 1, 1)
    assert report["compared"] == len(decisions) - 4
    found = {f["feature"]: f for f in report["features"]}
    assert found["txn_count_1h"]["mismatch"] == 1
    assert found["txn_count_1h"]["largest_difference"] >= 90
    assert found["amount"]["mismatch"] == 1
    assert found["merchant_txn_count_7d"]["mismatch"] == 1
    assert found["lifetime_txn_count"]["missing"] == 1
    assert found["of_no_definition"]["extra"] == 1
    assert report["mismatches"] >= 5
    # A quotient whose part is wrong was served right, so it is not a mismatch.
    assert found["merchant_fraud_risk_7d"]["mismatch"] == 0

    page = Path(write_report(lake, report)).read_text()
    assert "never-arrived" not in page and "tok_" not in page
    assert f"r-{first.event_id}" in page
    assert "://" not in page

    since = max(d.timestamp for d in decisions)
    later = LIVE + timedelta(days=1)
    assert compare(spark, lake, FEATURES, later)["answers"] == 0
    assert compare(spark, lake, FEATURES, later, since_ms=since + 1)["answers"] == 0
    assert compare(spark, lake, FEATURES, later, since_ms=since)["compared"] == 1


def test_what_was_decided_on_again_is_left_out(
    spark: SparkSession, served: tuple[Archived, list[Served]], tmp_path: Path
) -> None:
    """The same event twice on the topic, and a second decision that found the first one's transaction in the store."""
    events, decisions = served
    again = [
        _tampered(d, {"txn_count_1h": (d.features["txn_count_1h"] or 0.0) + 1.0}).model_copy(  # type: ignore[operator]
            update={"request_id": f"again-{d.request_id}"}
        )
        for d in decisions[:4]
    ]
    ids = {d.event_id for d in again}
    live = [e for e in events["transactions"] if e["offset"] is not None and e["transaction_id"] in ids]
    twice = [{**e, "offset": 10**6 + i} for i, e in enumerate(live)]
    assert twice
    doubled = {**events, "transactions": [*events["transactions"], *twice]}
    lake = _lake(tmp_path / "lake", doubled, [*decisions, *again[:2]])
    report = compare(spark, lake, FEATURES, LIVE)
    assert (report["answers"], report["compared"], report["repeated"]) == (len(decisions) + 2, len(decisions), 2)
    assert report["mismatches"] == 0
    # On the next day, a moment after midnight.
    later = LIVE + timedelta(days=1)
    place = {"partition": 0, "ingested": later.isoformat()}
    _write(tmp_path / "lake", PREDICTIONS, [{**row_of(d), **place, "offset": i} for i, d in enumerate(again[2:])])
    report = compare(spark, lake, FEATURES, later)
    assert (report["answers"], report["compared"], report["repeated"]) == (2, 0, 2)


def test_a_page_without_decisions_says_so(spark: SparkSession, tmp_path: Path) -> None:
    report = compare(spark, str(tmp_path / "lake"), FEATURES, LIVE)
    assert report["answers"] == report["mismatches"] == 0
    assert "No answer to compare" in render(report)


@pytest.mark.parametrize("tampered", [False, True])
def test_the_exit_code_says_whether_it_is_clean(
    spark: SparkSession,
    served: tuple[Archived, list[Served]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tampered: bool,
) -> None:
    events, decisions = served
    first = _tampered(decisions[0], {"txn_count_1h": 99.0}) if tampered else decisions[0]
    lake = _lake(tmp_path / "lake", events, [first, *decisions[1:6]])
    job = typer.Typer()
    job.command()(main)
    done = job(["--system", "fraud", "--date", str(LIVE), "--lake-url", lake], standalone_mode=False)
    assert done == (EXIT_MISMATCH if tampered else None)
    line = orjson.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (line["job"], line["answers"], line["mismatches"]) == ("parity", 6, int(tampered))
    report = orjson.loads((Path(layout.parity(lake, "fraud", LIVE)) / "report.json").read_bytes())
    assert report["mismatches"] == int(tampered)
