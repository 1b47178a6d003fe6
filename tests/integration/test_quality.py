"""The quality gate on real partitions: what it stops, where that goes, and how it comes back."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.spark.lake import archived
from jobs.spark.quality import check, release
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.served import Served
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.errors import QualityGateFailed
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake, row_of
from lamina.settings import Settings, load_settings
from tests.parity.generated import START_MS, generate

DAY = date(2018, 8, 8)
RECORDED = Path(__file__).parent.parent / "data" / "events"
GENERATED = generate(1, n=400, days=1, strained=False)


def _no_session() -> SparkSession:
    raise AssertionError("a day this small needs no Spark")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(lake_url=str(tmp_path / "lake"))


def _put(settings: Settings, topic: str, rows: list[dict[str, Any]], *, kafka: bool = False, day: date = DAY) -> Path:
    folder = Path(layout.events(settings.lake_url, topic, day)) / ("origin=kafka" if kafka else "")
    folder.mkdir(parents=True, exist_ok=True)
    place = {"partition": 0, "offset": 0} if kafka else {"partition": None, "offset": None}
    table = pa.Table.from_pylist([{**r, **place} for r in rows], schema=in_lake(SCHEMAS[topic]))
    pq.write_table(table, folder / ("part-0.parquet" if kafka else "import-a-00000.parquet"))
    return folder


STREAMED = [{**e, "transaction_id": f"k-{e['transaction_id']}"} for e in GENERATED.transactions]


def _broken() -> list[dict[str, Any]]:
    return [{**e, "country": "fr", "amount": 1e8} for e in STREAMED]


FAILED = {
    "expect_column_values_to_be_between(amount)",
    "expect_column_values_to_match_regex(country)",
}


def test_good_days_pass(settings: Settings) -> None:
    answer = row_of(Served.from_json((RECORDED / "served-v1.json").read_bytes()))
    shadow = answer | {"shadow": True, "action": None, "subjects": '{"user":"u"}'}
    rows = {
        TRANSACTIONS: GENERATED.transactions,
        FRAUD_LABELS: [{**e, "timestamp": e["transaction_timestamp"]} for e in GENERATED.fraud_labels],
        PREDICTIONS: [
            {**each, "request_id": f"r{i}", "timestamp": START_MS + i} for i in range(100) for each in (answer, shadow)
        ],
    }
    for topic, events in rows.items():
        _put(settings, topic, events)
        summary = check(_no_session, settings, topic, DAY)
        assert (summary["status"], summary["rows"], summary["failed"]) == ("passed", len(events), [])
        page = Path(summary["report"]).read_text()
        assert "expect" in page.lower() and topic in page


@pytest.mark.parametrize("engine", ["pandas", "spark"])
def test_rules_about_answers_leave_shadows_out(settings: Settings, spark: SparkSession, engine: str) -> None:
    answer = row_of(Served.from_json((RECORDED / "served-v1.json").read_bytes())) | {"timestamp": START_MS}
    shadow = answer | {"shadow": True, "action": None, "subjects": '{"user":"u"}'}
    ids = [f"r{i}" for i in range(50)]
    rows = [{**each, "request_id": i} for i in ids for each in (answer, shadow, shadow)]
    _put(settings, PREDICTIONS, rows)
    most = 0 if engine == "spark" else 1000
    summary = check(lambda: spark, settings, PREDICTIONS, DAY, max_pandas_rows=most)
    assert (summary["engine"], summary["failed"]) == (engine, [])
    more = [{**answer, "request_id": "r0"}, {**answer, "request_id": "x", "action": None}]
    _put(settings, PREDICTIONS, more, kafka=True)
    with pytest.raises(QualityGateFailed) as failure:
        check(lambda: spark, settings, PREDICTIONS, DAY, max_pandas_rows=most)
    for rule in ("unique_values_to_be_between(request_id)", "not_be_null(action): 1 of 52 values"):
        assert rule in str(failure.value)


@pytest.mark.parametrize("engine", ["pandas", "spark"])
def test_a_bad_day_is_kept_aside_and_names_its_rules(settings: Settings, spark: SparkSession, engine: str) -> None:
    _put(settings, TRANSACTIONS, GENERATED.transactions)
    _put(settings, TRANSACTIONS, _broken(), kafka=True)
    rows = len(GENERATED.transactions) * 2
    with pytest.raises(QualityGateFailed) as failure:
        check(lambda: spark, settings, TRANSACTIONS, DAY, max_pandas_rows=rows if engine == "pandas" else 0)
    last = str(failure.value).splitlines()[-2:]
    assert {line.split(": ")[1] for line in last} == FAILED
    assert archived(spark, settings.lake_url, TRANSACTIONS).count() == 0
    report = orjson.loads((Path(settings.lake_url) / f"quality/{TRANSACTIONS}/{DAY}/report.json").read_bytes())
    assert (report["engine"], report["rows"], report["status"]) == (engine, rows, "failed")
    assert set(report["failed"]) == FAILED
    aside = Path(layout.quarantine(settings.lake_url, TRANSACTIONS, DAY))
    assert sum(pq.read_metadata(f).num_rows for f in aside.rglob("*.parquet")) == rows


def test_a_released_day_passes_until_it_changes(settings: Settings) -> None:
    with pytest.raises(QualityGateFailed, match="nothing is kept aside"):
        release(settings, TRANSACTIONS, DAY)
    folder = _put(settings, TRANSACTIONS, _broken())
    with pytest.raises(QualityGateFailed):
        check(_no_session, settings, TRANSACTIONS, DAY)
    assert not folder.exists()
    assert release(settings, TRANSACTIONS, DAY, clock=lambda: 1)["status"] == "released"
    assert folder.exists()
    assert check(_no_session, settings, TRANSACTIONS, DAY)["status"] == "released"
    _put(settings, TRANSACTIONS, [{**e, "currency": "eur"} for e in _broken()])
    with pytest.raises(QualityGateFailed, match="currency"):
        check(_no_session, settings, TRANSACTIONS, DAY)


def test_a_day_that_is_archived_again_takes_the_place_of_what_is_aside(settings: Settings) -> None:
    imported = _put(settings, TRANSACTIONS, GENERATED.transactions)
    _put(settings, TRANSACTIONS, _broken(), kafka=True)
    with pytest.raises(QualityGateFailed):
        check(_no_session, settings, TRANSACTIONS, DAY)
    _put(settings, TRANSACTIONS, STREAMED, kafka=True)
    summary = check(_no_session, settings, TRANSACTIONS, DAY)
    assert (summary["status"], summary["rows"]) == ("passed", 2 * len(GENERATED.transactions))
    # What had been imported is back beside what was archived again.
    assert sorted(p.name for p in imported.iterdir()) == ["import-a-00000.parquet", "origin=kafka"]
    assert not Path(layout.quarantine(settings.lake_url, TRANSACTIONS, DAY)).exists()


def test_a_day_without_events_is_no_failure(settings: Settings) -> None:
    summary = check(_no_session, settings, TRANSACTIONS, DAY)
    assert (summary["status"], summary["rows"]) == ("empty", 0)
    assert summary["warnings"] == ["expect_table_row_count_to_be_between(min_value)"]


def _archived(settings: Settings, read: int, dead: int) -> None:
    folder = _put(settings, TRANSACTIONS, STREAMED, kafka=True)
    manifest = {"date": DAY.isoformat(), "offsets": {}, "read": read, "dead": dead}
    (folder / "_offsets.json").write_bytes(orjson.dumps(manifest))


def test_a_day_of_dead_letters_is_kept_aside(settings: Settings) -> None:
    """The rows that are left are good; what is missing is the fault."""
    _archived(settings, 1000, 11)
    with pytest.raises(QualityGateFailed, match=r"dead_letters_at_most\(\): 11 of 1000 messages \(1\.1 %; 1 % may be"):
        check(_no_session, settings, TRANSACTIONS, DAY)
    assert not Path(layout.events(settings.lake_url, TRANSACTIONS, DAY)).exists()
    # Also when it is looked at again, where it lies; the page says so as well.
    with pytest.raises(QualityGateFailed, match="11 of 1000") as failure:
        check(_no_session, settings, TRANSACTIONS, DAY)
    report = Path(settings.lake_url) / f"quality/{TRANSACTIONS}/{DAY}/report.html"
    assert str(report) in str(failure.value)
    assert "11 of 1000 messages" in report.read_text()
    release(settings, TRANSACTIONS, DAY)
    assert check(_no_session, settings, TRANSACTIONS, DAY)["status"] == "released"


def test_a_few_dead_letters_stop_nothing(settings: Settings) -> None:
    _archived(settings, 1000, 10)
    assert check(_no_session, settings, TRANSACTIONS, DAY)["status"] == "passed"


def test_a_day_in_another_currency_is_kept_aside(settings: Settings) -> None:
    """Also one that is in a single one: it is added to the days before."""
    _put(settings, TRANSACTIONS, [{**e, "currency": "JPY"} for e in STREAMED])
    with pytest.raises(QualityGateFailed, match=r"observed JPY .*as EUR: convert them, or set LAMINA") as found:
        check(_no_session, settings, TRANSACTIONS, DAY)
    assert "1 of " in str(found.value)
    assert check(_no_session, settings.model_copy(update={"currency": "JPY"}), TRANSACTIONS, DAY)["failed"] == []


@pytest.mark.parametrize("aside", [False, True])
def test_an_empty_day_after_one_with_events_is_a_failure(settings: Settings, aside: bool) -> None:
    before = DAY - timedelta(days=1)
    folder = _put(settings, TRANSACTIONS, GENERATED.transactions, day=before)
    if aside:
        Path(layout.quarantine(settings.lake_url, TRANSACTIONS, DAY)).parent.mkdir(parents=True)
        folder.rename(layout.quarantine(settings.lake_url, TRANSACTIONS, before))
    with pytest.raises(QualityGateFailed, match=f"no events, and some on {before}"):
        check(_no_session, settings, TRANSACTIONS, DAY)
    # A person knows that it was a holiday; the day after it is quiet as well.
    assert release(settings, TRANSACTIONS, DAY)["status"] == "released"
    assert check(_no_session, settings, TRANSACTIONS, DAY)["status"] == "released"
    assert check(_no_session, settings, TRANSACTIONS, DAY + timedelta(days=1))["status"] == "empty"


def test_a_day_without_labels_is_a_warning(settings: Settings) -> None:
    labels = [{**e, "timestamp": e["transaction_timestamp"]} for e in GENERATED.fraud_labels]
    _put(settings, FRAUD_LABELS, labels, day=DAY - timedelta(days=1))
    summary = check(_no_session, settings, FRAUD_LABELS, DAY)
    assert (summary["status"], summary["failed"]) == ("empty", [])
    assert "not_empty_after_a_day_with_events()" in summary["warnings"]


def test_an_empty_day_that_was_archived_fails_too(settings: Settings) -> None:
    _put(settings, TRANSACTIONS, GENERATED.transactions, day=DAY - timedelta(days=1))
    _put(settings, TRANSACTIONS, [], kafka=True)
    with pytest.raises(QualityGateFailed, match="not_empty_after_a_day_with_events"):
        check(_no_session, settings, TRANSACTIONS, DAY)


@pytest.mark.parametrize(
    ("timestamp", "failed", "warned"),
    [
        (START_MS + 90_000_000, [], ["expect_column_values_to_be_between(timestamp, max_value)"]),
        (START_MS - 8 * 86_400_000, ["expect_column_values_to_be_between(timestamp)"], []),
        (START_MS // 1000 * 1_000_000, ["expect_column_values_to_be_between(timestamp)"], None),
    ],
    ids=["after midnight", "too late", "microseconds"],
)
def test_times_lie_around_the_day(
    settings: Settings, timestamp: int, failed: list[str], warned: list[str] | None
) -> None:
    _put(settings, TRANSACTIONS, [{**e, "timestamp": timestamp} for e in GENERATED.transactions])
    if failed:
        with pytest.raises(QualityGateFailed):
            check(_no_session, settings, TRANSACTIONS, DAY)
    else:
        check(_no_session, settings, TRANSACTIONS, DAY)
    report = orjson.loads((Path(settings.lake_url) / f"quality/{TRANSACTIONS}/{DAY}/report.json").read_bytes())
    assert report["failed"] == failed
    if warned is not None:
        assert report["warnings"] == warned
