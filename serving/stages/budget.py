"""The time that a request has, stage by stage, and what it is answered by where a stage has none left. Hot path."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import Counter

from lamina.monitoring import metrics

READ, SCORE, LOG = "features", "model", "log"
"""The stages of every system, as times and counts name them; a system's own come between."""


@dataclass(frozen=True)
class Fallbacks:
    """What an answer is called that was made without features, without a model that could, or too late for one."""

    no_features: str = "no_features"
    no_model: str = "no_model"
    late: str = "deadline"


@dataclass(frozen=True)
class Budget:
    """How long a request may take for its features, and from its arrival until its model is asked, in milliseconds."""

    read_ms: float
    deadline_ms: float
    fallbacks: Fallbacks = Fallbacks()


@dataclass(frozen=True)
class ListBudget:
    """How long the stages of a request for a list may take that work on threads, in milliseconds."""

    candidates_ms: float = 30
    ranking_ms: float = 40


@lru_cache
def _counter(system: str, stage: str, outcome: str) -> Counter:
    return metrics.STAGES_MISSED.labels(system, stage, outcome)


def over_budget(system: str, stage: str) -> None:
    """Count that a stage took longer than it may."""
    _counter(system, stage, "over_budget").inc()


def fell_back(system: str, stage: str) -> None:
    """Count that a request is answered without a stage."""
    _counter(system, stage, "fell_back").inc()
