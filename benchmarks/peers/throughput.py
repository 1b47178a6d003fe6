"""Runs peers of the stream job on the events that ours has read, and takes their rate as ours is taken.

Each reads the same topic from its beginning and writes the same messages to a topic of its own, and is stopped after
`wanted` of them. What comes behind is left out: their tiles go to no store.
"""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from benchmarks.peers.agreement import different, tiles_on
from benchmarks.peers.environment import peers_python
from benchmarks.progress import Progress, process_cpu_s, service_cpu_s
from benchmarks.stream import CODE, TILE_SPECS
from lamina.contracts.topics import FEATURE_TILES, Topic
from lamina.contracts.transactions import TRANSACTIONS
from lamina.local import jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.settings import ROOT, Settings
from lamina.streams.submit import StreamJob, cancel, submit_stream_job
from lamina.streams.topics import create_topics

WARM = 0.25
PYFLINK_SHARE = 0.4  # of the events, so that the slowest does not take the longest
DEADLINE_S = 240.0
POLL_S = 0.25
STOP_S = 30.0
NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
"""What a topic may answer that was made a moment ago."""
SHIPPED = ("__init__.py", "peers/__init__.py", "peers/tiles.py", "peers/pyflink_tiles.py")
(TILE_SPEC,) = TILE_SPECS
WORKERS = os.cpu_count() or 1
"""Python workers of each peer: one a core."""

Figures = dict[str, float | int | str]


@dataclass(frozen=True, kw_only=True)
class PeerJob(StreamJob):
    """The same features by PyFlink's DataStream API.

    operators: Flink's jar of those that run Python. peers: archive of `SHIPPED`. target: the topic to write.
    """

    operators: Path
    peers: Path
    target: str

    def command(self, settings: Settings) -> list[str]:
        """The whole `flink run` command."""
        run = [str(self.flink), "run", "--detached", "--jobmanager", urlsplit(settings.flink_url).netloc]
        run += ["-pyclientexec", str(self.python), "-pyexec", str(self.python)]
        run += ["--pyFiles", f"{self.code},{self.peers}", "--pyModule", "benchmarks.peers.pyflink_tiles"]
        run += [*_places(settings, self.target), "--jars", str(self.connector), str(self.operators)]
        return [*run, "--parallelism", str(WORKERS)]


def beside(stack: Stack, settings: Settings, folder: Path, wanted: int, ours_per_s: float) -> Figures:
    """Figures of each peer: events a second and how often ours is that, processor time an event, tiles that differ."""
    found: Figures = {"peer_workers": WORKERS}
    for name, peer, share in (("quix", _quix, 1.0), ("pyflink_per_event", _pyflink, PYFLINK_SHARE)):
        target = f"tiles-of-{name.replace('_', '-')}"
        create_topics(settings.kafka_bootstrap, topics=(Topic(target, compacted=True),))
        with peer(stack, settings, folder, target) as cpu_s:
            steady = _watch(stack, settings, target, round(share * wanted), cpu_s).steady(WARM)
        ours, theirs = (tiles_on(settings.kafka_bootstrap, topic) for topic in (FEATURE_TILES, target))
        found |= {
            f"{name}_per_s": round(steady.per_s),
            f"over_{name}": round(ours_per_s / steady.per_s, 2),
            f"{name}_measured": steady.moved,
            f"{name}_cpu_us": round(1e6 * steady.cpu_s["peer"] / steady.moved, 1),
            f"{name}_kafka_cpu_us": round(1e6 * steady.cpu_s["kafka"] / steady.moved, 1),
            f"{name}_different": different(TILE_SPEC, ours, theirs),
        }
    return found


Cpu = Callable[[], float]


@contextmanager
def _quix(stack: Stack, settings: Settings, folder: Path, target: str) -> Iterator[Cpu]:
    """A consumer group of Quix Streams; its processor time."""
    log = folder / "quix.log"
    command = [str(peers_python()), "-m", "benchmarks.peers.quix_tiles", *_places(settings, target), "--state-dir"]
    with log.open("wb") as out:
        workers = [
            subprocess.Popen([*command, str(folder / f"quix-{n}")], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
            for n in range(WORKERS)
        ]

    def cpu_s() -> float:
        if any(worker.poll() is not None for worker in workers):
            raise RuntimeError(f"a worker of Quix Streams ended: {log.read_text()[-2000:]}")
        return process_cpu_s(worker.pid for worker in workers)

    try:
        yield cpu_s
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(STOP_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def _pyflink(stack: Stack, settings: Settings, folder: Path, target: str) -> Iterator[Cpu]:
    """A job of Python functions on the stack's cluster; the cluster's processor time."""
    peers = folder / "peers.zip"
    with zipfile.ZipFile(peers, "w") as archive:
        for name in SHIPPED:
            archive.write(ROOT / "benchmarks" / name, f"benchmarks/{name}")
    (connector,) = jars.flink_connector()
    (operators,) = (flink_home() / "opt").glob("flink-python-*.jar")
    job = PeerJob(
        system="peer",
        flink=flink_home() / "bin" / "flink",
        python=flink_env() / "bin" / "python",
        code=CODE,
        connector=connector,
        operators=operators,
        peers=peers,
        target=target,
    )
    job_id = submit_stream_job(settings, job, stack.flink_env())
    try:
        yield lambda: service_cpu_s(stack)["flink"]
    finally:
        cancel(settings.flink_url, job_id)


def _places(settings: Settings, target: str) -> list[str]:
    return [
        *("--bootstrap", settings.kafka_bootstrap),
        *("--source", settings.topic_prefix + TRANSACTIONS),
        *("--target", target),
        *("--tile-spec", TILE_SPEC.id),
    ]


def _watch(stack: Stack, settings: Settings, target: str, wanted: int, cpu_s: Cpu) -> Progress:
    """Sample until `wanted` messages are on `target`."""
    client = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "peer-watch"})
    places = [TopicPartition(target, p) for p in client.list_topics(target, timeout=30).topics[target].partitions]
    found, deadline = Progress(), time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline:
            try:
                moved = sum(client.get_watermark_offsets(p, timeout=30)[1] for p in places)
            except KafkaException as error:
                if error.args[0].code() not in NO_LEADER:
                    raise
            else:
                found.note(time.monotonic(), moved, {"peer": cpu_s(), "kafka": service_cpu_s(stack)["kafka"]})
                if moved >= wanted:
                    return found
            time.sleep(POLL_S)
    finally:
        client.close()
    raise RuntimeError(f"{target}: {max(found.moved, default=0)} of {wanted} messages after {DEADLINE_S:.0f} s")
