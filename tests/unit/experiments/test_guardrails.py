from __future__ import annotations

import random

import pytest

from lamina.experiments.experiment import Limits
from lamina.experiments.guardrails import Guardrails

LIMITS = Limits(window_s=60, min_decisions=100, max_error_share=0.05, slow_ms=5, max_slow_share=0.1, max_score_gap=0.3)


class Rails:
    """Guardrails with a hand on the clock, and a control that is well."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.rails = Guardrails(LIMITS, ["old", "new"], "old", monotonic=lambda: self.now_s)
        self.rng = random.Random(7)

    def feed(
        self, arm: str, n: int, *, failed: float = 0.0, slow: float = 0.0, times: float = 1.0, power: float = 4
    ) -> None:
        for i in range(n):
            score = None if i < failed * n else min(1.0, times * self.rng.random() ** power)
            self.rails.observe(arm, model_ms=9 if i >= n - slow * n else 1, score=score)

    @property
    def kinds(self) -> dict[str, str]:
        return {arm: breach.kind for arm, breach in self.rails.breaches().items()}


@pytest.mark.parametrize(
    ("arm", "kinds"),
    [
        ({}, {}),
        ({"failed": 0.04}, {}),
        ({"failed": 0.06}, {"new": "errors"}),
        ({"slow": 0.09}, {}),
        ({"slow": 0.12}, {"new": "latency"}),
        ({"power": 0.5}, {"new": "scores"}),
        ({"times": 0.01}, {"new": "scores"}),
    ],
)
def test_an_arm_worse_than_the_control(arm: dict[str, float], kinds: dict[str, str]) -> None:
    rails = Rails()
    rails.feed("old", 1000)
    rails.feed("new", 1000, **arm)
    assert rails.kinds == kinds


def test_what_the_control_suffers_too_is_no_fault_of_the_arm() -> None:
    rails = Rails()
    rails.feed("old", 1000, failed=0.2, slow=0.5)
    rails.feed("new", 1000, failed=0.2, slow=0.5)
    assert rails.kinds == {}


def test_few_decisions_say_nothing() -> None:
    rails = Rails()
    rails.feed("old", 1000)
    rails.feed("new", 99, failed=1)
    assert rails.kinds == {}
    rails.feed("new", 1, failed=1)
    assert rails.kinds == {"new": "errors"}


def test_scores_wait_for_the_control_and_errors_do_not() -> None:
    rails = Rails()
    rails.feed("new", 1000, power=0.5)
    assert rails.kinds == {}
    rails.feed("new", 100, failed=1)
    assert rails.kinds == {"new": "errors"}


def test_the_window_slides() -> None:
    rails = Rails()
    rails.feed("old", 1000)
    rails.feed("new", 200, failed=1)
    rails.now_s += LIMITS.window_s - 3
    rails.feed("old", 1000)
    assert rails.kinds == {"new": "errors"}
    rails.now_s += 6
    rails.feed("new", 200)
    assert rails.kinds == {}
    assert len(rails.rails._slices) <= 3
