"""What the parts of a stack take over time: memory of processes and Redis, bytes of topics and of the journal."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import psutil
from redis import Redis
from redis.exceptions import RedisError

from lamina.local.stack import Stack
from lamina.settings import Settings

MIB = 2**20
BLOCK = 512
MEMORY, STORE, JOURNAL, TOPIC = "process", "redis", "journal", "topic"


class Sampler(threading.Thread):
    """Notes sizes every `every_s` seconds until `stop`. What is gone for a moment has no value there."""

    def __init__(self, stack: Stack, settings: Settings, *, every_s: float) -> None:
        super().__init__(name="sampler", daemon=True)
        self._stack, self._settings, self._every_s = stack, settings, every_s
        self._ended = threading.Event()
        self._began = time.monotonic()
        self.at_s: list[float] = []
        self.series: dict[tuple[str, str], list[float | None]] = defaultdict(list)
        """MiB by kind and name, one a moment."""
        self.restarts: Counter[str] = Counter()
        self.marks: list[tuple[float, str]] = []
        """When what was back again."""

    def stop(self) -> None:
        """End, after a last look."""
        self._ended.set()
        self.join()

    def restarted(self, part: str) -> None:
        """Note that a part was restarted just now."""
        self.restarts[part] += 1
        self.marks.append((time.monotonic() - self._began, part))

    def run(self) -> None:
        """Look until told to stop."""
        while True:
            last = self._ended.wait(self._every_s)
            self.add(time.monotonic() - self._began, self._look())
            if last:
                return

    def add(self, at_s: float, sizes: dict[tuple[str, str], float]) -> None:
        """One more moment."""
        for name in self.series.keys() | sizes.keys():
            own = self.series[name]
            own += [None] * (len(self.at_s) - len(own))
            own.append(sizes.get(name))
        self.at_s.append(at_s)

    def peaks_mib(self) -> dict[str, float]:
        """The most that each process, Redis, the journal and each topic took."""
        return {
            f"{kind} {name}" if kind == TOPIC else name: round(max(v for v in own if v is not None), 1)
            for (kind, name), own in sorted(self.series.items())
        }

    def growth_mib(self) -> float:
        """Growth of all but the topics: the median of the last tenth less that of the tenth after the half."""
        return growth(list(self._totals()))

    def _totals(self) -> Iterable[float]:
        kept = [filled(own) for (kind, _), own in self.series.items() if kind != TOPIC]
        return (sum(moment) for moment in zip(*kept, strict=True))

    def _look(self) -> dict[tuple[str, str], float]:
        found = {(MEMORY, name): _resident(pid) for name, pid in self._stack.pids().items()}
        layout = self._stack.layout
        found[JOURNAL, "journal"] = _on_disk(layout.stack_dir / "journal")
        for folder in (layout.data / "kafka" / "log").glob("*-*"):
            topic = folder.name.rpartition("-")[0]
            if not topic.startswith("__"):
                found[TOPIC, topic] = found.get((TOPIC, topic), 0.0) + _on_disk(folder)
        try:
            with Redis.from_url(self._settings.redis_url.get_secret_value(), socket_timeout=2) as client:
                found[STORE, "redis data"] = client.info("memory")["used_memory"] / MIB
        except RedisError:
            pass  # it is being restarted
        return {name: size for name, size in found.items() if size}


def growth(totals: Sequence[float]) -> float:
    """The median of the last tenth less that of the tenth after the half, to the tenth.

    >>> growth([5.0] * 10 + [float(n) for n in range(10)])
    8.0
    """
    half, tenth = len(totals) // 2, max(len(totals) // 10, 1)
    return round(median(totals[-tenth:]) - median(totals[half : half + tenth]), 1)


def filled(values: Sequence[float | None]) -> list[float]:
    """With each gap as it was before, and 0 before the first.

    >>> filled([None, 2.0, None])
    [0.0, 2.0, 2.0]
    """
    found: list[float] = []
    for value in values:
        found.append(value if value is not None else found[-1] if found else 0.0)
    return found


def _resident(pid: int) -> float:
    """MiB that a process and its children hold; 0 where it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / MIB
    except psutil.Error:
        return 0.0


def _on_disk(folder: Path) -> float:
    """MiB that the files of a folder take on disk; Kafka's indices are longer than that."""
    size = 0
    for file in folder.glob("*"):
        try:
            size += file.stat().st_blocks * BLOCK
        except FileNotFoundError:
            continue  # deleted meanwhile
    return size / MIB
