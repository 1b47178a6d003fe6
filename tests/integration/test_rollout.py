"""Features that go live while payments are sent and features read all the time, on a real broker, Redis and Flink."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.fire.recount import compare_tiles, expected_tiles, read_log
from benchmarks.tiles import batch_writes
from lamina.clock import midnight_ms, next_day, system_clock
from lamina.contracts.transactions import Transaction
from lamina.features.built import tiles_url
from lamina.lake.write import open_lake
from lamina.local import archive, jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.rollout import steps
from lamina.rollout.generation import Generation, lacking, write_features
from lamina.rollout.records import live_of, read_records
from lamina.rollout.status import status
from lamina.semantics.events import EventRow
from lamina.settings import Settings, load_settings
from lamina.store.filled import Filled
from lamina.store.redis import RedisStore
from lamina.streams.produce import EventProducer
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.submit import StreamJob, cancel, job_states, submit_stream_job
from lamina.streams.topics import create_topics
from tests.integration.rollout_load import USERS, Load, payment
from tests.unit.rollout.sets import NEW, OLD

pytestmark = pytest.mark.services
LATE_S = 15.0
"""A busy machine's stream is seldom later; one that fills from empty is."""


YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
BATCH_END_MS = midnight_ms(next_day(YESTERDAY))


@pytest.fixture
def settings(kafka: str, clean_redis: str, flink_url: str, topic_prefix: str, tmp_path: Path) -> Settings:
    create_topics(kafka, topic_prefix)
    return load_settings(
        kafka_bootstrap=kafka,
        redis_url=clean_redis,
        flink_url=flink_url,
        topic_prefix=topic_prefix,
        lake_url=str(tmp_path / "lake"),
    )


@pytest.fixture
def past() -> dict[str, list[EventRow]]:
    rng = random.Random(3)
    found: dict[str, list[EventRow]] = {user: [] for user in USERS}
    for i in range(200):
        user = rng.choice(USERS)
        made = payment(rng, user, -1 - i, BATCH_END_MS - rng.randrange(1, 4 * 86_400_000))
        found[user].append(made.model_copy(update={"transaction_id": f"past-{i}"}).model_dump())
    return found


@pytest.fixture
def means(settings: Settings, stack: Stack, tmp_path: Path, past: Mapping[str, Sequence[EventRow]]) -> steps.Means:
    code = archive.pack(tmp_path / "code.zip")

    def submit(generation: Generation) -> str:
        definitions = tmp_path / f"{generation.id}.json"
        definitions.write_text(write_features(generation.features))
        job = StreamJob(
            system="fraud",
            flink=flink_home() / "bin" / "flink",
            python=flink_env() / "bin" / "python",
            code=code,
            connector=jars.flink_connector()[0],
            definitions=definitions,
            arguments=("--checkpoint-interval-ms", "1000", "--state-backend", "hashmap"),
        )
        return submit_stream_job(settings, job, stack.flink_env())

    def fill(day: date) -> int:
        """What `jobs.spark.fill` does, without Spark: for whatever the generation that is being filled lacks."""
        records = read_records(settings.lake_url, "fraud")
        live = live_of(records)
        for record in records:
            others = [live.generation.plan] if live and live.id != record.id else []
            publish(settings, record.generation, past, day, [t.key for t in lacking(record.generation.plan, others)])
        return 0

    return steps.Means(submit, fill, system_clock, lambda text: None)


def publish(
    settings: Settings, generation: Generation, past: Mapping[str, Sequence[EventRow]], day: date, keys: Sequence[str]
) -> None:
    url, end_ms = settings.redis_url.get_secret_value(), midnight_ms(next_day(day))
    events = [event for own in past.values() for event in own]
    store = RedisStore(url)
    for write in batch_writes(generation.plan, {"transactions": events}, end_ms):
        ids = [t.id for t in generation.plan.tile_specs if t.key in keys]
        if blobs := {i: blob for i, blob in write.blobs.items() if i in ids}:
            store.publish([replace(write, blobs=blobs)])
    chosen = [t for t in generation.plan.tile_specs if t.key in keys]
    Filled(url).note(chosen, end_ms)
    for spec in chosen:
        fs, path = open_lake(tiles_url(settings.lake_url, spec, next_day(day)))
        fs.makedirs(path, exist_ok=True)


@contextmanager
def flowing(settings: Settings) -> Iterator[None]:
    """The sink, and no stream job of ours afterwards."""
    url = settings.redis_url.get_secret_value()
    options = SinkOptions(bootstrap=settings.kafka_bootstrap, topic_prefix=settings.topic_prefix)
    sink = TileSink(options, RedisStore(url))
    thread = threading.Thread(target=sink.run)
    thread.start()
    try:
        yield
    finally:
        for job_id in job_states(settings.flink_url):
            cancel(settings.flink_url, job_id)
        sink.stop()
        thread.join(60)


class Killed(Exception):
    """Whoever ran a step is gone."""


def killing(at: str) -> steps.Tell:
    """Ends whoever tells this."""

    def tell(text: str) -> None:
        if at in text:
            raise Killed

    return tell


def until(done: object, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.2)


def test_features_go_live_and_back_without_a_gap(
    settings: Settings,
    means: steps.Means,
    past: Mapping[str, Sequence[EventRow]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is added, one changed, one removed, and all of it taken back, while payments go on and features are read;
    whoever makes them live is killed half way.
    """
    monkeypatch.setattr(steps, "SEEN_S", 3.0)  # a process of the test looks every quarter of a second
    old, new = Generation(OLD), Generation(NEW)
    steps.begin(settings, old, system_clock())
    publish(settings, old, past, YESTERDAY, [t.key for t in old.plan.tile_specs])
    RedisStore(settings.redis_url.get_secret_value()).advance_watermark("user", BATCH_END_MS)
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for events in past.values():
            for event in events:
                producer.send("transactions", Transaction.model_validate(event))
    with flowing(settings):
        steps.submit_missing(settings, [old], means)
        load = Load(settings, past, LATE_S)
        with load.running():
            load.add("old code", OLD)
            until(lambda: load.answers["old code"] and not load.answers["old code"][-1].vector.stale)
            load.answers.clear()  # before the stream had brought its first payment
            load.add("new code", NEW)
            until(lambda: len(load.answers["new code"]) > 50)

            with pytest.raises(Killed):
                steps.start(settings, new, replace(means, tell=killing("events are to be read")))
            steps.start(settings, new, means)
            until(lambda: load.read_by("new code")[-1] == NEW)
            found = status(settings, new)
            assert [(each.id, each.state) for each in found.generations] == [(old.id, "kept"), (new.id, "live")]
            assert [spec.key for spec in found.specs if spec.layer == "batch" and spec.problem] == []
            time.sleep(3)

            # The code before again: its features are kept, so it is read at once, and live within seconds.
            load.add("old code again", OLD)
            began = time.monotonic()
            steps.start(settings, old, means)
            assert time.monotonic() - began < 60
            gone = steps.finish(settings, old, means)
            assert gone == [new.id]
            until(lambda: load.read_by("new code")[-1] == OLD)
            time.sleep(2)
        for name in load.processes:
            assert load.wrong(name)[:5] == [], name
            assert [a.at_ms for a in load.answers[name] if a.vector.stale] == []
            assert len(load.answers[name]) > 100
        assert load.read_by("old code") == [OLD]
        assert load.read_by("new code") == [OLD, NEW, OLD]
        assert load.read_by("old code again") == [OLD]

        log = read_log(settings, old.plan)
        url = settings.redis_url.get_secret_value()
        # What is older the batch layer has.
        expected = {
            key: Counter({name: n for name, n in tiles.items() if int(name.rpartition(b"/")[2]) >= BATCH_END_MS})
            for key, tiles in expected_tiles(old.plan, log).items()
        }
        until(lambda: compare_tiles(old.plan, expected, url, from_ms=BATCH_END_MS).total == 0)
        client = Redis.from_url(url, decode_responses=True)
        ids = [t.id for t in (*new.plan.tile_specs, *new.plan.speed)]
        kept = [t.id for t in (*old.plan.tile_specs, *old.plan.speed)]
        gone_ids = [i for i in ids if i not in kept]
        for key in client.scan_iter("user*"):
            assert [name for name in map(str, client.hkeys(key)) if name.startswith(tuple(gone_ids))] == []
        assert [record.id for record in read_records(settings.lake_url, "fraud")] == [old.id]
