from __future__ import annotations

import numpy as np
import pytest

from lamina.scoring.ranker.heads import Head, ServedHead
from lamina.training.ranking.calibrate import FEWEST, NothingLearnt, fit_line

CLICK, SECONDS = Head(name="click"), Head(name="seconds", kind="quantity")
RNG = np.random.default_rng(3)
MARGIN = RNG.normal(0.5, 2.0, 20_000)
ONES = np.ones(20_000)


def served(head: Head, margin: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> ServedHead:
    slope, intercept = fit_line(head, margin, truth, weight)
    return ServedHead(**head.model_dump(), slope=slope, intercept=intercept, mean=1.0)


def planted(head: Head) -> np.ndarray:
    """Truth whose line has the slope 0.5 and the intercept -1; quantities by far more than their mean or nothing."""
    line = 0.5 * MARGIN - 1.0
    if head.kind == "binary":
        return (RNG.random(len(MARGIN)) < 1 / (1 + np.exp(-line))).astype(np.float64)
    return np.exp(line) * RNG.lognormal(-0.5, 1.0, len(MARGIN))


@pytest.mark.parametrize("head", [CLICK, SECONDS], ids=lambda head: head.name)
class TestEveryKind:
    def test_the_planted_line_is_found(self, head: Head) -> None:
        slope, intercept = fit_line(head, MARGIN, planted(head), ONES)
        assert slope == pytest.approx(0.5, abs=0.05) and intercept == pytest.approx(-1.0, abs=0.08)

    def test_the_mean_is_kept_by_weights_of_rows_that_are_known(self, head: Head) -> None:
        truth, weight = planted(head), RNG.gamma(1.0, 1.0, len(MARGIN))
        truth[::7], weight[::5] = np.nan, 0.0
        value = served(head, MARGIN, truth, weight).value(MARGIN)
        known = ~np.isnan(truth)
        means = [np.average(each[known], weights=weight[known]) for each in (value, truth)]
        assert means[0] == pytest.approx(means[1], rel=1e-4)

    def test_what_is_given_in_another_unit_comes_out_in_it(self, head: Head) -> None:
        """A margin's unit is nothing to the values; that of a quantity is theirs."""
        truth, factor = planted(head), 1000.0 if head.kind == "quantity" else 1.0
        plain = served(head, MARGIN, truth, ONES).value(MARGIN)
        other = served(head, 7.0 * MARGIN - 40.0, factor * truth, ONES).value(7.0 * MARGIN - 40.0)
        assert other == pytest.approx(factor * plain, rel=1e-4)

    def test_a_head_that_learnt_nothing_is_refused(self, head: Head) -> None:
        for margin in (-MARGIN, np.full(len(MARGIN), 3.0)):
            with pytest.raises(NothingLearnt, match=f"{head.name!r} tells the validation rows apart no better"):
                fit_line(head, margin, planted(head), ONES)

    def test_a_head_of_which_little_is_known_is_refused(self, head: Head) -> None:
        truth = np.zeros(len(MARGIN))
        best = np.argsort(-MARGIN)
        truth[best[: FEWEST - 1]] = 1.0
        with pytest.raises(NothingLearnt, match=f"has {FEWEST - 1} validation rows above 0, and needs {FEWEST}"):
            fit_line(head, MARGIN, truth, ONES)
        truth[best[5 * FEWEST]] = 1.0
        assert fit_line(head, MARGIN, truth, ONES)[0] > 0
