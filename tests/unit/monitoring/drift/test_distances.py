"""Distances and p-values: those of scipy on the same data, and those that other libraries publish."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lamina.monitoring.drift.distances import (
    aligned,
    bin_edges,
    binned,
    chi_square_p,
    closer,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    population_stability,
    shares_p,
)
from lamina.monitoring.drift.distributions import Floats, Numbers, Texts, pooled_numbers, pooled_texts
from lamina.monitoring.drift.sketches import NumberSketch

TINIEST = float(np.finfo(np.float64).tiny)


def numbers(values: Floats) -> Numbers:
    distinct, counts = np.unique(values, return_counts=True)
    return Numbers(distinct, counts.astype(np.float64), 0, 0.0)


def texts(counts: dict[str, int], others: int = 0) -> Texts:
    return Texts(counts, others, 0, 0.0)


# Published in scipy's tests of ks_2samp (scipy/stats/tests/test_stats.py, TestKSTwoSamples).
LARGE = np.linspace(1, 200, 10_000) - 1 / (10_000 * 110 * 4)
TIES = (
    [2] * 2 + [3] * 4 + [5] * 11 + [6] * 4,
    [3] * 10 + [4] * 2 + [6] * 10 + [7] * 4,
)


@pytest.mark.parametrize(
    ("a", "b", "statistic"),
    [
        (np.linspace(1, 100, 100), np.linspace(1, 100, 110) + 20.1, 0.2109090909090909),
        (LARGE, np.linspace(2, 100, 110), 0.5025),
        (np.array(TIES[0], float), np.array(TIES[1], float), 0.34798534798534797),
        (np.array([0.99, 1.99]), np.array([1.0, 2.0, 3.0]), 2 / 3),
    ],
)
def test_ks_is_the_published_one(a: Floats, b: Floats, statistic: float) -> None:
    assert kolmogorov_smirnov(numbers(a), numbers(b)) == pytest.approx(statistic, abs=1e-9)


def test_the_p_value_of_ks_is_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 700), rng.normal(0.1, 1, 900)
    theirs = stats.ks_2samp(a, b, method="asymp")
    assert kolmogorov_smirnov_p(theirs.statistic, 700, 900) == pytest.approx(theirs.pvalue, rel=1e-12)
    assert kolmogorov_smirnov_p(-0.01, 700, 900) == 1.0


def test_ks_of_sketches_is_scipys_within_their_error() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(0, 1, 200_000), rng.lognormal(0.05, 1, 100_000)
    both = []
    for values in (a, b):
        sketch = NumberSketch()
        sketch.update(values)
        both.append(sketch.distribution())
    error = both[0].error + both[1].error
    assert 0 < error < 0.002
    assert kolmogorov_smirnov(*both) == pytest.approx(stats.ks_2samp(a, b).statistic, abs=error)


def test_ks_sees_infinities_as_the_ends() -> None:
    a = numbers(np.array([-np.inf, 1.0, 2.0, np.inf]))
    assert kolmogorov_smirnov(a, a) == 0
    assert kolmogorov_smirnov(a, numbers(np.array([-np.inf, -np.inf, -np.inf, 2.0]))) == pytest.approx(0.5)
    assert np.isnan(kolmogorov_smirnov(a, numbers(np.empty(0))))


def equal_width(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Shares as in Frouros: 10 bins of equal width over both."""
    edges = np.linspace(min(reference.min(), current.min()), max(reference.max(), current.max()), 11)
    return tuple(np.histogram(each, edges)[0] / len(each) for each in (reference, current))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("size", "mean", "deviation", "again", "expected"),
    [(500, 1, 1, False, 0.01840072), (100, 5, 2, True, 461.20379435)],
    ids=["the same", "another"],
)
def test_psi_is_that_of_frouros(size: int, mean: int, deviation: int, again: bool, expected: float) -> None:
    """Its floor is the smallest float: one empty bin makes the second what it is, which ours is not."""
    random = np.random.RandomState(31)
    reference = random.normal(1, 1, size)
    current = (np.random.RandomState(31) if again else random).normal(mean, deviation, size)
    shares = equal_width(reference, current)
    assert population_stability(*shares, floor=TINIEST) == pytest.approx(expected, abs=1e-6)
    assert population_stability(*shares) < min(expected * 1.001, 20)


def test_psi_of_texts_is_that_of_evidently() -> None:
    """A category is missing on one side (evidently, tests/multitest/metrics/data_drift.py)."""
    shares = aligned(texts({"2": 2, "3": 1}), texts({"1": 1, "2": 1, "3": 1}))
    assert population_stability(*shares) == pytest.approx(2.93, abs=0.01)


def test_bins_hold_as_much_of_the_reference_each() -> None:
    rng = np.random.default_rng(3)
    reference = numbers(rng.normal(0, 1, 5_000))
    shares = binned(reference, bin_edges(reference))
    assert len(shares) == 10 and shares == pytest.approx(np.full(10, 0.1), abs=1e-9)
    constant = numbers(np.full(50, 7.0))
    assert binned(constant, bin_edges(constant)).tolist() == [1.0, 0.0]


def test_chi_square_is_scipys() -> None:
    a, b = {"x": 50, "y": 40, "z": 10}, {"x": 70, "y": 40, "z": 40}
    shares = aligned(texts(a), texts(b))
    theirs = stats.chi2_contingency([list(a.values()), list(b.values())], correction=False)
    assert chi_square_p(*shares, 100, 150) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert chi_square_p(*aligned(texts({"x": 9}), texts({"x": 9})), 9, 9) == 1.0


def test_chi_square_takes_rare_texts_together() -> None:
    """A hundred texts of one row each say nothing one by one."""
    common = {"x": 1_000}
    a, b = texts(common | {f"a{i}": 1 for i in range(100)}), texts(common | {f"b{i}": 1 for i in range(100)})
    assert chi_square_p(*aligned(a, b), a.count, b.count) == 1.0


def test_jensen_shannon_is_0_to_1() -> None:
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1)
    assert jensen_shannon(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0


def test_what_may_be_the_sketches_error_is_no_difference() -> None:
    r, c = np.array([0.5, 0.5]), np.array([0.51, 0.49])
    assert closer(r, c, 0.01).tolist() == r.tolist()
    assert closer(r, c, 0.004) == pytest.approx([0.506, 0.494])


def test_shares_are_compared_as_by_a_chi_square() -> None:
    theirs = stats.chi2_contingency([[20, 80], [45, 105]], correction=False)
    assert shares_p(0.2, 100, 0.3, 150) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert shares_p(0.2, 100, 0.3, 150, dispersion=4) > theirs.pvalue
    assert shares_p(0.0, 10, 0.0, 10) == 1.0


def test_parts_taken_together_are_the_whole() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 40, 900).astype(np.float64)
    parts = [numbers(values[:100]), numbers(values[100:]), numbers(np.empty(0))]
    whole = pooled_numbers(parts)
    assert whole.values.tolist() == numbers(values).values.tolist()
    assert whole.weights.tolist() == numbers(values).weights.tolist()
    assert pooled_numbers([]).count == 0
    together = pooled_texts([texts({"a": 1}, 2), texts({"a": 2, "b": 1})])
    assert (together.counts, together.others, together.count) == ({"a": 3, "b": 1}, 2, 6)


def test_errors_of_parts_are_averaged_by_their_rows() -> None:
    exact, off = Numbers(np.array([1.0]), np.array([3.0]), 0, 0.0), Numbers(np.array([1.0]), np.array([1.0]), 0, 0.4)
    assert pooled_numbers([exact, off]).error == pytest.approx(0.1)
