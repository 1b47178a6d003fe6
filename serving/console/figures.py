"""What this process has counted, as rows for a table: traffic and latency by system, version and arm."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import orjson

from lamina.monitoring import metrics

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Traffic:
    """Answers of one version since the process began, and each second since somebody looked before."""

    system: str
    version: str
    status: str
    answers: int
    per_second: float | None


@dataclass(frozen=True)
class Latency:
    """Of the answers of one system, milliseconds: a bucket's end, below which so many of them lie; None: above all."""

    system: str
    answers: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Side:
    """The newest answers of one version and arm, as they were read from Kafka; times in milliseconds."""

    system: str
    version: str
    arm: str
    answers: int
    p50_ms: float
    p99_ms: float


class Looks:
    """Remembers the counts of the look before. Args: monotonic: seconds of a clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now, self._at_s = monotonic, 0.0
        self._before: dict[Labels, float] = {}

    def traffic(self) -> list[Traffic]:
        """By system, version and status."""
        now_s = self._now()
        now = {tuple(each.labels.values()): each.value for each in _samples(metrics.PREDICTIONS, "_total")}
        since_s, before = now_s - self._at_s, self._before
        self._at_s, self._before = now_s, now
        return [
            Traffic(*labels, int(n), (n - before.get(labels, 0)) / since_s if before and since_s > 0 else None)  # type: ignore[call-arg]
            for labels, n in sorted(now.items())
        ]


def latencies() -> list[Latency]:
    """By system, of all answers since the process began."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for each in _samples(metrics.PREDICTION_LATENCY, "_bucket"):
        buckets[each.labels["system"]][float(each.labels["le"])] += each.value
    return [
        Latency(system, int(found[inf]), _quantile(found, 0.5), _quantile(found, 0.99))
        for system, found in sorted(buckets.items())
        if found[inf]
    ]


def sides(newest: Mapping[str, Sequence[bytes]]) -> list[Side]:
    """By system, version and arm. Args: newest: by system the newest answers as JSON."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for system, answers in newest.items():
        for raw in answers:
            served = orjson.loads(raw)
            if not served.get("shadow"):
                model = served["models"].get("model") or {}
                found[system, model.get("version", "no model"), served.get("arm") or "-"].append(served["latency_ms"])
    return [
        Side(system, version, arm, len(times), _rank(times, 0.5), _rank(times, 0.99))
        for (system, version, arm), times in sorted(found.items())
    ]


def _samples(metric: Any, ending: str) -> Iterable[Any]:
    return (sample for family in metric.collect() for sample in family.samples if sample.name.endswith(ending))


def _quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The end of the first bucket that holds `share`, milliseconds; buckets count what is at most as long.

    >>> _quantile({0.01: 90, 0.1: 99, inf: 100}, 0.5), _quantile({0.01: 90, inf: 100}, 0.99)
    (10.0, None)
    """
    wanted = share * buckets[inf]
    end = next(end for end in sorted(buckets) if buckets[end] >= wanted)
    return None if end == inf else 1000 * end


def _rank(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed.

    >>> _rank([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def shown(raw: bytes) -> dict[str, Any]:
    """What a table says of an answer, from its JSON."""
    served = orjson.loads(raw)
    model = served["models"].get("model") or {}
    return {
        "served_at": served["served_at"],
        "request_id": served["request_id"],
        "subjects": ", ".join(f"{entity} {each}" for entity, each in served["subjects"].items()),
        "score": next(iter(served["outputs"].values()), None),
        "action": served.get("action") or "-",
        "version": model.get("version", "no model"),
        "arm": served.get("arm") or "-",
        "fallback": served["fallback"],
        "shadow": served.get("shadow", False),
        "latency_ms": served["latency_ms"],
    }
