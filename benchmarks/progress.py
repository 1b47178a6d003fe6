"""How far a stream has come at which time, sampled while it runs, and its rate once it is warm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import psutil

from lamina.local.stack import Stack


@dataclass(frozen=True)
class Steady:
    """What a stream did after its warm-up. share: of all that was moved; cpu_s: processor time by service, seconds."""

    moved: int
    share: float
    seconds: float
    cpu_s: dict[str, float]

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return self.moved / self.seconds


@dataclass
class Progress:
    """How many messages had been moved at which time, sampled until all were; and processor time by service."""

    times: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    cpu_s: list[dict[str, float]] = field(default_factory=list)

    def note(self, at_s: float, moved: int, cpu_s: dict[str, float]) -> None:
        """Keep a sample."""
        self.times.append(at_s)
        self.moved.append(moved)
        self.cpu_s.append(cpu_s)

    def steady(self, warm: float) -> Steady:
        """What came after the share `warm` of all messages had been moved.

        >>> progress = Progress()
        >>> for sample in ((0.0, 0, {"a": 0.0}), (5.0, 25, {"a": 4.0}), (8.0, 100, {"a": 7.0}), (9.0, 100, {"a": 9.0})):
        ...     progress.note(*sample)
        >>> progress.steady(0.25)
        Steady(moved=75, share=0.75, seconds=3.0, cpu_s={'a': 3.0})
        """
        first, last = (int(np.searchsorted(self.moved, share * self.moved[-1])) for share in (warm, 1.0))
        moved = self.moved[last] - self.moved[first]
        return Steady(
            moved=moved,
            share=moved / self.moved[last],
            seconds=self.times[last] - self.times[first],
            cpu_s={name: s - self.cpu_s[first][name] for name, s in self.cpu_s[last].items()},
        )


def service_cpu_s(stack: Stack) -> dict[str, float]:
    """Processor time so far of each running service and its children, seconds."""
    return {state.name: process_cpu_s(state.pids) for state in stack.status() if state.pids}


def process_cpu_s(pids: Iterable[int]) -> float:
    """Processor time so far of some processes and their children, seconds."""
    together = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return float(sum(sum(p.cpu_times()[:2]) for p in together))
