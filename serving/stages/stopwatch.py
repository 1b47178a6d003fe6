"""How long the stages of a request took. Hot path."""

from __future__ import annotations

import time

NS_PER_MS = 1_000_000


class Stopwatch:
    """Milliseconds by stage; the first lap is given `before_ns` on top."""

    def __init__(self, before_ns: int = 0) -> None:
        self.ms: dict[str, float] = {}
        self._last_ns = time.perf_counter_ns() - before_ns

    def lap(self, stage: str) -> None:
        """End `stage`, which began at the last lap."""
        now = time.perf_counter_ns()
        self.ms[stage] = (now - self._last_ns) / NS_PER_MS
        self._last_ns = now
