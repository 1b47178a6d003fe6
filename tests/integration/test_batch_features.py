"""Publishing from the executors goes on where it stopped, fails loudly, and says so only when everything is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis

from jobs.spark import backfill, batch_features, publish
from jobs.spark.lake import read_events
from lamina.clock import day_of, midnight_ms, next_day
from lamina.definitions import load
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS
from lamina.lake import layout
from lamina.lake.schemas import SCHEMAS, in_lake
from lamina.semantics.plan import Plan, make_plan
from lamina.semantics.reference import without_duplicates
from lamina.settings import ROOT
from lamina.store.redis import THROUGH_KEY
from tests.parity.generated import START_MS, generate
from tests.parity.lake import write_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FEATURES = load("fraud")
PLAN = make_plan(FEATURES)
DAY = day_of(START_MS) + timedelta(days=12)
THROUGH = str(midnight_ms(next_day(DAY))).encode()


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with tiles through `DAY`; the counts of the job are held to the events first."""
    folder = tmp_path_factory.mktemp("lake")
    generated = generate(11, n=200, users=40)
    arrived = write_lake(folder, generated)
    counts = batch_features.build(spark, str(folder), PLAN, DAY)
    for source in (TRANSACTIONS, FRAUD_LABELS):
        events = [e for _, e in arrived[source.name]]
        assert counts["events"][source.name] == len(events)
        assert counts["duplicates"][source.name] == len(events) - len(without_duplicates(source, events)) > 0
    assert set(counts["tiles"]) == {t.key for t in PLAN.tile_specs}
    return str(folder)


def blobs(redis: Redis) -> dict[bytes, dict[bytes, bytes]]:
    """Every batch hash in Redis."""
    return {key: redis.hgetall(key) for key in redis.scan_iter("*_batch:*")}  # type: ignore[misc]


def test_a_rerun_writes_only_what_is_not_done(spark: SparkSession, lake: str, clean_redis: str) -> None:
    redis = Redis.from_url(clean_redis)
    first = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    everything = blobs(redis)
    for entity, counts in first.items():
        own = [fields for key, fields in everything.items() if key.startswith(f"{entity}_batch:".encode())]
        assert counts["entities"] == len(own) > 0
        assert counts["blobs"] == counts["applied"] == sum(map(len, own))
        assert counts["bytes"] == sum(len(blob) for fields in own for blob in fields.values())
        assert counts["resumed"] == 0
    assert redis.hgetall(THROUGH_KEY) == {b"user": THROUGH, b"merchant": THROUGH}

    done = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert {e: (c["blobs"], c["resumed"] > 0) for e, c in done.items()} == {"user": (0, True), "merchant": (0, True)}

    # As after a kill: one part of the users was never finished.
    (work,) = redis.scan_iter("lamina:progress:user:*")
    lost = redis.spop(work)
    assert lost is not None
    for key in everything:
        redis.delete(key)
    resumed = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert 0 < resumed["user"]["entities"] < first["user"]["entities"]
    assert resumed["merchant"]["entities"] == 0
    assert blobs(redis).items() <= everything.items()

    again = publish.publish(spark, lake, PLAN, DAY, clean_redis, again=True)
    assert {e: c["entities"] for e, c in again.items()} == {e: c["entities"] for e, c in first.items()}
    assert blobs(redis) == everything


def test_tiles_that_were_built_anew_are_published_anew(spark: SparkSession, lake: str, clean_redis: str) -> None:
    first = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    batch_features.build(spark, lake, PLAN, DAY)
    second = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert second == first


def test_a_failed_write_fails_the_job_and_the_next_run_completes_it(
    spark: SparkSession, lake: str, clean_redis: str
) -> None:
    redis = Redis.from_url(clean_redis)
    redis.config_set("maxmemory", "1")  # from now on Redis refuses every write
    try:
        with pytest.raises(Exception, match="StoreUnavailable"):
            publish.publish(spark, lake, PLAN, DAY, clean_redis)
    finally:
        redis.config_set("maxmemory", "0")
    assert redis.hgetall(THROUGH_KEY) == {}
    counts = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert len(blobs(redis)) == sum(c["entities"] for c in counts.values()) > 0
    assert redis.hgetall(THROUGH_KEY) == {b"user": THROUGH, b"merchant": THROUGH}


def test_a_job_killed_half_way_is_completed_by_the_next(spark: SparkSession, lake: str, clean_redis: str) -> None:
    """`kill -9` of driver and workers when some parts are done and others are not."""
    redis = Redis.from_url(clean_redis)
    command = [
        sys.executable,
        "-m",
        "jobs.spark.publish",
        "--system",
        "fraud",
        "--date",
        DAY.isoformat(),
        "--lake-url",
        lake,
    ]
    env = {**os.environ, "LAMINA_REDIS_URL": clean_redis}
    job = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 240
        while not list(redis.scan_iter("lamina:progress:*")):
            assert time.monotonic() < deadline
            assert job.poll() is None
        redis.client_pause(60_000, all=False)  # from now on no write is answered
    finally:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait(30)
        redis.client_unpause()
    assert redis.hgetall(THROUGH_KEY) == {}
    half = blobs(redis)
    completed = publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert 0 < sum(c["resumed"] for c in completed.values()) < sum(c["parts"] for c in completed.values())
    found = blobs(redis)
    assert 0 < len(half) < len(found)
    assert redis.hgetall(THROUGH_KEY) == {b"user": THROUGH, b"merchant": THROUGH}
    redis.flushall()
    publish.publish(spark, lake, PLAN, DAY, clean_redis)
    assert found == blobs(redis)


def test_without_tiles_the_next_step_is_named(spark: SparkSession, tmp_path: Path, clean_redis: str) -> None:
    with pytest.raises(publish.TilesMissing, match="batch_features"):
        publish.publish(spark, str(tmp_path), PLAN, DAY, clean_redis)


def test_the_first_to_arrive_counts(spark: SparkSession, tmp_path: Path) -> None:
    """Two events of one id that differ, three ways: imported before Kafka, by day, by offset."""
    generated = generate(3, n=60)
    by_id = {e["transaction_id"]: e for e in generated.transactions}
    for i, event in enumerate(by_id.values()):
        generated.transactions.insert((i * 7) % len(generated.transactions), {**event, "amount": 1e6 + i})
    write_lake(tmp_path, generated)
    found = read_events(spark, str(tmp_path), "transactions", "transaction_id")
    amounts = {r["transaction_id"]: r["amount"] for r in found.frame.select("transaction_id", "amount").collect()}
    first = without_duplicates(FEATURES.request, generated.transactions)
    assert amounts == {e["transaction_id"]: e["amount"] for e in first}
    assert found.read - found.duplicates == len(first)


def test_the_job_reports_its_counts_as_json(lake: str) -> None:
    command = [
        sys.executable,
        "-m",
        "jobs.spark.batch_features",
        "--system",
        "fraud",
        "--date",
        DAY.isoformat(),
        "--lake-url",
        lake,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    line = orjson.loads(done.stdout.splitlines()[-1])
    assert (line["job"], line["system"], line["date"]) == ("batch_features", "fraud", DAY.isoformat())
    assert sum(line["tiles"].values()) > 0


def test_a_backfill_goes_on_after_a_kill_and_a_corrected_one_wins(
    spark: SparkSession, tmp_path: Path, clean_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, redis = str(tmp_path), Redis.from_url(clean_redis)
    generated = generate(12, n=120)
    write_lake(tmp_path, generated)
    build, built = batch_features.build, list[date]()

    def ended(spark: SparkSession, lake: str, plan: Plan, day: date) -> dict[str, Any]:
        if len(built) == 1:
            raise KeyboardInterrupt
        built.append(day)
        return build(spark, lake, plan, day)

    before = DAY - timedelta(days=1)
    with monkeypatch.context() as patched:
        patched.setattr(batch_features, "build", ended)
        with pytest.raises(KeyboardInterrupt):
            backfill.backfill(spark, lake, PLAN, before, DAY, clean_redis)
    assert blobs(redis) == {}
    counts = backfill.backfill(spark, lake, PLAN, before, DAY, clean_redis)
    assert (counts["days"], counts["resumed"], counts["published"]) == (2, 1, DAY.isoformat())
    first = blobs(redis)
    assert redis.hgetall(THROUGH_KEY) == {b"user": THROUGH, b"merchant": THROUGH}

    # A day of the past is corrected: what is served is of a later day, keeps its date and gets the correction.
    event = generated.transactions[0]
    late = {**event, "transaction_id": "late", "user_id": "u-late", "amount": 5.0}
    folder = Path(layout.events(lake, "transactions", before))
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**late, "partition": None, "offset": None}]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS[TRANSACTIONS.topic])), folder / "import-late-00000.parquet"
    )
    counts = backfill.backfill(spark, lake, PLAN, before, before, clean_redis)
    assert (counts["days"], counts["resumed"], counts["published"]) == (2, 0, DAY.isoformat())
    second = blobs(redis)
    assert second.keys() - first.keys() == {b"user_batch:u-late"}
    assert redis.hgetall(THROUGH_KEY) == {b"user": THROUGH, b"merchant": THROUGH}
    # An older day never takes the place of a newer one.
    publish.publish(spark, lake, PLAN, before, clean_redis)
    assert blobs(redis) == second
