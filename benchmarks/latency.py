"""How long calls take, one after the other in this process; in any environment that has NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np


def times_ms(call: Callable[[int], object], n: int, warm_up: int) -> list[float]:
    """Milliseconds of each of `n` calls, which are told their number, after `warm_up` that do not count."""
    for i in range(warm_up):
        call(i)
    found = []
    for i in range(n):
        began = time.perf_counter_ns()
        call(warm_up + i)
        found.append((time.perf_counter_ns() - began) / 1e6)
    return found


def percentiles(prefix: str, times: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, by name of the figure.

    >>> percentiles("batch_", range(101))
    {'batch_p50_ms': 50.0, 'batch_p99_ms': 99.0}
    """
    return {f"{prefix}p{p}_ms": round(float(np.percentile(times, p)), 3) for p in (50, 99)}
