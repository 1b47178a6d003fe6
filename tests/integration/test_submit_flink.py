"""The stream job as it is submitted to any cluster: `flink run` with the archive, on a real session cluster."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from lamina.contracts.transactions import Transaction
from lamina.definitions import load
from lamina.errors import StackError
from lamina.local import archive, jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.rollout.generation import stream_job_name
from lamina.semantics.plan import make_plan
from lamina.settings import Settings, load_settings
from lamina.store.memory import MemoryStore
from lamina.store.protocol import ReadKey
from lamina.store.tiles import decode_speed
from lamina.streams.produce import EventProducer
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.submit import StreamJob, cancel, last_checkpoint, running_jobs, submit_stream_job
from lamina.streams.topics import create_topics
from tests.parity.generated import generate

pytestmark = pytest.mark.services
TILE_SPECS = [t for t in make_plan(load("fraud")).speed if t.entity.name == "user"]
DEADLINE_S = 120


def stream_job(folder: Path) -> StreamJob:
    (connector,) = jars.flink_connector()
    return StreamJob(
        system="fraud",
        flink=flink_home() / "bin" / "flink",
        python=flink_env() / "bin" / "python",
        code=archive.pack(folder / "code.zip"),
        connector=connector,
        arguments=("--checkpoint-interval-ms", "500"),
    )


def send(settings: Settings, transactions: Iterable[Transaction]) -> None:
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for transaction in transactions:
            producer.send("transactions", transaction)


def counted(store: MemoryStore, settings: Settings, users: Iterable[str]) -> list[int]:
    """What the store counts of each user after the sink has moved what waits, by tile spec; all must agree."""
    options = SinkOptions(bootstrap=settings.kafka_bootstrap, topic_prefix=settings.topic_prefix, until_now=True)
    TileSink(options, store).run()
    found = []
    for user in users:
        (reply,) = store.read([ReadKey("user", user, ())]).replies
        seen = {sum(found.tiles.n) for found in decode_speed(TILE_SPECS, reply.speed, {}).values()}
        found.append(max(seen) if len(seen) == 1 else -1)
    return found


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.25)


def test_a_job_continues_from_its_checkpoint(
    kafka: str, flink_url: str, stack: Stack, topic_prefix: str, tmp_path: Path
) -> None:
    """It forgets nothing and counts nothing twice: not what was sent before, nor what is sent again afterwards."""
    settings = load_settings(kafka_bootstrap=kafka, flink_url=flink_url, topic_prefix=topic_prefix)
    create_topics(kafka, topic_prefix)
    events = [Transaction.model_validate(e) for e in generate(3, n=120).transactions]
    unique = {e.transaction_id: e for e in events}
    users = sorted({e.user_id for e in events})
    job, store = stream_job(tmp_path), MemoryStore()

    def expected(sent: Iterable[Transaction]) -> list[int]:
        ids = {(e.user_id, e.transaction_id) for e in sent}
        return [sum(u == user for u, _ in ids) for user in users]

    first_id = submit_stream_job(settings, job, stack.flink_env())
    assert running_jobs(flink_url)[first_id] == stream_job_name(make_plan(load("fraud")))
    send(settings, events[:60])
    until(lambda: counted(store, settings, users) == expected(events[:60]))
    until(lambda: last_checkpoint(flink_url, first_id) is not None)
    cancel(flink_url, first_id)
    assert first_id not in running_jobs(flink_url)
    # Only now: a checkpoint that was the newest while the job ran may have made way for another.
    checkpoint = last_checkpoint(flink_url, first_id)

    send(settings, events[40:])
    again = submit_stream_job(settings, dataclasses.replace(job, savepoint=checkpoint), stack.flink_env())
    try:
        until(lambda: counted(store, settings, users) == expected(unique.values()))
    finally:
        cancel(flink_url, again)


def test_the_cluster_takes_no_jar_from_the_web(flink_url: str, tmp_path: Path) -> None:
    """Any page in a browser could post one; `flink run`, as in the other tests here, goes another way."""
    (jar,) = jars.flink_connector()
    for method, path, sent in (
        ("POST", "/jars/upload", {"files": {"jarfile": (jar.name, jar.read_bytes(), "application/x-java-archive")}}),
        ("GET", "/jars", {}),
        ("POST", f"/jars/{jar.name}/run", {"json": {}}),
        ("POST", f"/jars/{jar.name}/run-application", {"json": {}}),
    ):
        answer = httpx.request(method, f"{flink_url}{path}", timeout=30, **sent)
        # A path that nobody serves; for files the door itself says so.
        assert answer.status_code == (400 if "files" in sent else 404), (path, answer.text)
    assert httpx.get(f"{flink_url}/config").json()["features"]["web-submit"] is False


def test_a_job_that_cannot_run_says_why(kafka: str, flink_url: str, stack: Stack, tmp_path: Path) -> None:
    settings = load_settings(kafka_bootstrap=kafka, flink_url=flink_url)
    job = dataclasses.replace(stream_job(tmp_path), system="no_such_system")
    with pytest.raises(StackError, match="no system 'no_such_system'"):
        submit_stream_job(settings, job, stack.flink_env())
