"""A stack that is shot at: what can be killed, and how each comes back.

Programs are killed with `kill -9`. Their supervisor starts them again; the one thing it cannot is to submit a stream
job whose job manager is gone: that is done here, from the newest checkpoint that lies on disk, as an operator would.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.fire.load import Load
from benchmarks.fire.recount import (
    Difference,
    compare_features,
    compare_letters,
    compare_tiles,
    expected_tiles,
    read_log,
)
from benchmarks.stream import submit
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.streams.submit import newest_checkpoint
from lamina.streams.topics import create_topics

PLAN = make_plan(FEATURES)
TASK_MANAGER, STREAM_JOB, SINK, REDIS, EMPTIED_REDIS, KAFKA = VICTIMS = (
    "task manager",
    "stream job",
    "sink",
    "Redis",
    "Redis and its data",
    "Kafka",
)
PROGRAMS = {
    TASK_MANAGER: ("flink-taskmanager",),
    STREAM_JOB: ("flink-jobmanager", "flink-taskmanager"),
    SINK: ("sink",),
    REDIS: ("redis",),
    EMPTIED_REDIS: ("redis",),
    KAFKA: ("kafka",),
}
ARGUMENTS = ("--state-backend", "hashmap", "--checkpoint-interval-ms", "1000")
QUIET_S = 60.0
POLL_S = 0.5
BACK_S = 60.0
OUTAGE_S = 60.0


class Arena:
    """Kafka, Redis, Flink with the stream job of `fraud`, the sink, and a load on them; stopped at the end."""

    def __init__(self, folder: Path, *, seed: int, rate: int, users: int) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("LAMINA_")}
        self.stack = Stack(folder / "stack", services={"kafka", "redis", "flink"}, env=env, preferred_ports=False)
        self._load_options = {"seed": seed, "rate": rate, "users": users}
        self.killed: Counter[str] = Counter()
        self.outages = 0
        self._begun = time.monotonic()
        self.seconds: dict[str, float] = {}
        """When each step ended, in seconds from the start."""

    def __enter__(self) -> Self:
        self.stack.start()
        try:
            found = {name.removeprefix("LAMINA_").lower(): value for name, value in self.stack.env.items()}
            self.settings = Settings(**found)  # type: ignore[arg-type]
            create_topics(self.settings.kafka_bootstrap)
            self.load = Load(self.settings, **self._load_options)
            self.load.start()
            self._done("services")
            with ThreadPoolExecutor(1) as pool:
                submitted = pool.submit(self._submit, None)
                self.stack.start("sink")
                submitted.result()
            self._done("sink and stream job")
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.load.is_alive():
                self.load.stop()
        finally:
            self.stack.stop()

    def kill(self, victims: Iterable[str]) -> None:
        """Kill all of these at once, and return when what was killed runs again; it may still have to catch up."""
        chosen = [v for v in VICTIMS if v in set(victims)]
        pids = self.stack.pids()
        programs = sorted({p for v in chosen for p in PROGRAMS[v] if p in pids})
        if EMPTIED_REDIS in chosen:
            self._forget()
        for program in programs:
            os.kill(pids[program], signal.SIGKILL)
        self.killed.update(chosen)
        self._await(programs, pids)
        self.stack.start("sink")
        if STREAM_JOB in chosen:
            self._submit(newest_checkpoint(str(self.stack.layout.data / "flink" / "checkpoints")))
        self._done(f"{', '.join(chosen)}: killed and back")

    def silence_kafka(self) -> None:
        """Halt the broker for a minute: it answers nobody, and its connections stay open."""
        pid = self.stack.pids()[KAFKA.lower()]
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(OUTAGE_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.outages += 1
        self._done(f"{KAFKA}: silent for {OUTAGE_S:.0f} s")

    def recount(self) -> Difference:
        """End the load, wait until the store has caught up or nothing moves any more, and compare everything."""
        if self.load.is_alive():
            self.load.stop()
        self._done("load ended")
        log = read_log(self.settings, PLAN)
        expected, url = expected_tiles(PLAN, log), self.settings.redis_url.get_secret_value()
        found = compare_tiles(PLAN, expected, url)
        last, moved = found, time.monotonic()
        while found.total and time.monotonic() - moved < QUIET_S:
            time.sleep(POLL_S)
            found = compare_tiles(PLAN, expected, url)
            if (found.lost, found.doubled) != (last.lost, last.doubled):
                last, moved = found, time.monotonic()
        self._done("caught up")
        unsent = self.load.acknowledged - log.ids[FEATURES.request.name]
        found.lost += len(unsent)
        compare_features(PLAN, log, url, found)
        compare_letters(self.settings, log, found)
        self._done("recounted")
        return found

    def _forget(self) -> None:
        """Remove what Redis keeps on disk; the process that has it open goes on writing, the next does not see it."""
        for entry in (self.stack.layout.data / "redis").iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _done(self, step: str) -> None:
        self.seconds[step] = round(time.monotonic() - self._begun, 1)
        print(f"{self.seconds[step]:7.1f} s  {step}", flush=True)

    def _await(self, programs: Iterable[str], before: dict[str, int]) -> None:
        """Until the supervisor has started each of them again."""
        deadline = time.monotonic() + BACK_S
        while any(self.stack.pids().get(p, before[p]) == before[p] for p in programs):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{', '.join(programs)}: not started again after {BACK_S:.0f} s")
            time.sleep(0.1)

    def _submit(self, checkpoint: str | None) -> None:
        submit(self.stack, self.settings, *ARGUMENTS, checkpoint=checkpoint)
