"""What processes have counted, as rows for a table: traffic and latency by system, version and arm.

Each process tells its own (`Own`); rows of several are added up here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import orjson

from lamina.contracts.served import MODEL
from lamina.monitoring import metrics

Whose = tuple[str, str, str]


@dataclass(frozen=True)
class Traffic:
    """Answers of one version since processes began, and each second lately; None where nobody knows yet."""

    system: str
    version: str
    status: str
    answers: int
    per_second: float | None


@dataclass(frozen=True)
class Buckets:
    """How many of a version's answers were at most so much, by the text of each bucket's end."""

    system: str
    version: str
    counts: dict[str, float]


@dataclass(frozen=True)
class Spread:
    """Of the answers of one version, a bucket's end below which so many of them lie; None: above all buckets."""

    system: str
    version: str
    answers: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True)
class Times:
    """Times of the newest answers of one version and arm, as they were read from Kafka; milliseconds."""

    system: str
    version: str
    arm: str
    times_ms: list[float]


@dataclass(frozen=True)
class Side:
    """The newest answers of one version and arm; times in milliseconds."""

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
        self._before: dict[Whose, float] = {}

    def traffic(self) -> list[Traffic]:
        """Of this process, by system, version and status."""
        now_s = self._now()
        now = {
            (each.labels["system"], each.labels["model_version"], each.labels["status"]): each.value
            for each in samples(metrics.PREDICTIONS, "_total")
        }
        since_s, before = now_s - self._at_s, self._before
        self._at_s, self._before = now_s, now
        rate = (lambda whose: (now[whose] - before.get(whose, 0)) / since_s) if before and since_s > 0 else None
        return [Traffic(*whose, int(n), rate(whose) if rate else None) for whose, n in sorted(now.items())]


def added_traffic(rows: Iterable[Traffic]) -> list[Traffic]:
    """Rows of several processes, by system, version and status."""
    found: dict[Whose, list[Traffic]] = defaultdict(list)
    for row in rows:
        found[row.system, row.version, row.status].append(row)
    return [
        Traffic(*whose, sum(row.answers for row in same), sum(rates) if (rates := _known(same)) else None)
        for whose, same in sorted(found.items())
    ]


def _known(rows: Sequence[Traffic]) -> list[float]:
    return [row.per_second for row in rows if row.per_second is not None]


def latencies() -> list[Buckets]:
    """From a request's arrival to its answer, seconds, of all answers since this process began."""
    return _buckets(metrics.PREDICTION_LATENCY)


def ages() -> list[Buckets]:
    """Age of the newest event in the features of an answer, seconds, since this process began."""
    return _buckets(metrics.FEATURE_AGE)


def _buckets(metric: Any) -> list[Buckets]:
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for each in samples(metric, "_bucket"):
        found[each.labels["system"], each.labels.get("model_version", "-")][each.labels["le"]] += each.value
    return [Buckets(*whose, dict(counts)) for whose, counts in sorted(found.items())]


def spreads(rows: Iterable[Buckets], scale: float = 1.0) -> list[Spread]:
    """Rows of several processes, by system and version. Args: scale: what ends of buckets are multiplied by."""
    added: dict[tuple[str, str], dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        for end, n in row.counts.items():
            added[row.system, row.version][float(end)] += n
    return [
        Spread(*whose, int(found[inf]), _quantile(found, 0.5, scale), _quantile(found, 0.99, scale))
        for whose, found in sorted(added.items())
        if found[inf]
    ]


def times(newest: Mapping[str, Sequence[bytes]]) -> list[Times]:
    """By system, version and arm. Args: newest: by system the newest answers as JSON."""
    found: dict[Whose, list[float]] = defaultdict(list)
    for system, answers in newest.items():
        for raw in answers:
            served = orjson.loads(raw)
            if not served.get("shadow"):
                found[system, _version(served), served.get("arm") or "-"].append(served["latency_ms"])
    return [Times(*whose, each) for whose, each in sorted(found.items())]


def sides(rows: Iterable[Times]) -> list[Side]:
    """Rows of several processes, by system, version and arm."""
    found: dict[Whose, list[float]] = defaultdict(list)
    for row in rows:
        found[row.system, row.version, row.arm] += row.times_ms
    return [
        Side(*whose, len(each), _rank(each, 0.5), _rank(each, 0.99)) for whose, each in sorted(found.items()) if each
    ]


def samples(metric: Any, ending: str) -> Iterable[Any]:
    """What this process has counted of a metric, of its samples whose names end so."""
    return (sample for family in metric.collect() for sample in family.samples if sample.name.endswith(ending))


def _quantile(buckets: Mapping[float, float], share: float, scale: float) -> float | None:
    """`scale` times the end of the first bucket that holds `share`; each bucket counts what is at most its end.

    >>> _quantile({0.01: 90, 0.1: 99, inf: 100}, 0.5, 1000), _quantile({0.01: 90, inf: 100}, 0.99, 1000)
    (10.0, None)
    """
    wanted = share * buckets[inf]
    end = next(end for end in sorted(buckets) if buckets[end] >= wanted)
    return None if end == inf else scale * end


def _rank(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed.

    >>> _rank([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _version(served: Mapping[str, Any]) -> str:
    return str((served["models"].get(MODEL) or {}).get("version", "no model"))


def shown(raw: bytes) -> dict[str, Any]:
    """What a table says of an answer, from its JSON."""
    served = orjson.loads(raw)
    return {
        "served_at": served["served_at"],
        "request_id": served["request_id"],
        "subjects": ", ".join(f"{entity} {each}" for entity, each in served["subjects"].items()),
        "score": next(iter(served["outputs"].values()), None),
        "action": served.get("action") or "-",
        "version": _version(served),
        "arm": served.get("arm") or "-",
        "fallback": served["fallback"],
        "shadow": served.get("shadow", False),
        "latency_ms": served["latency_ms"],
    }
