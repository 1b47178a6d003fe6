"""What labels show: more positives, a worse ranking, and when there are too few to say."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.monitoring.drift.decide import decide
from lamina.monitoring.drift.findings import Finding, State
from lamina.monitoring.drift.labels import compare_concept, compare_prior
from lamina.monitoring.drift.ranking import measure_ranking
from lamina.monitoring.drift.reference import Reference
from lamina.monitoring.drift.sketches import NumberSketch

RNG = np.random.default_rng(10)


def reference(share: float = 0.02, lift: float = 3.0) -> Reference:
    positive = RNG.random(50_000) < share
    score = RNG.normal(0, 1, 50_000) + lift * positive
    days = tuple((5_000.0, float(each.sum())) for each in np.split(positive, 10))
    return Reference({}, NumberSketch(), days, measure_ranking(positive, score, np.arange(50_000)))


def prior(kept: Reference, rows: int, share: float) -> Finding:
    positive = RNG.random(rows) < share
    return decide([compare_prior(kept, positive, np.ones(rows), threshold=0.3, least_positives=30)], 0.01)[0]


def concept(kept: Reference, rows: int, lift: float, share: float = 0.02) -> Finding:
    positive = RNG.random(rows) < share
    score = RNG.normal(0, 1, rows) + lift * positive
    return decide([compare_concept(kept, positive, score, np.arange(rows), threshold=0.04, least_positives=30)], 0.01)[
        0
    ]


@pytest.mark.parametrize(("share", "state"), [(0.02, State.STABLE), (0.03, State.DRIFTED), (0.0125, State.DRIFTED)])
def test_a_share_that_rises_or_falls_by_half_is_drift(share: float, state: State) -> None:
    found = prior(reference(), 40_000, share)
    assert found.state is state and found.further["share"] == pytest.approx(share, rel=0.15)


def test_no_positives_at_all_are_a_fall() -> None:
    found = prior(reference(), 20_000, 0.0)
    assert found.state is State.DRIFTED and found.effect is not None and np.isfinite(found.effect)


def test_few_expected_positives_say_nothing() -> None:
    assert prior(reference(), 1_400, 0.5).state is State.TOO_FEW
    assert prior(reference(), 0, 0.5).state is State.EMPTY


def test_rows_that_stand_for_others_count_so_often() -> None:
    positive = RNG.random(40_000) < 0.02
    weight = np.where(positive, 2.0, 1.0)
    found = compare_prior(reference(), positive, weight, threshold=0.3, least_positives=30)
    assert found.further["share"] == pytest.approx(0.04, rel=0.15)


def test_a_worse_ranking_is_drift_and_a_better_one_is_not() -> None:
    kept = reference()
    assert concept(kept, 30_000, 3.0).state is State.STABLE
    worse = concept(kept, 30_000, 1.5)
    assert worse.state is State.DRIFTED and worse.effect == pytest.approx(0.127, abs=0.03)
    better = concept(kept, 30_000, 5.0)
    assert better.state is State.STABLE and better.effect is not None and better.effect < 0 and better.certain == 0


def test_a_fall_that_chance_explains_is_none() -> None:
    """Thirty positives: an AUC of so few is off by more than the threshold."""
    found = [concept(reference(), 2_500, 3.0) for _ in range(40)]
    assert {each.state for each in found} <= {State.STABLE, State.TOO_FEW}


def test_too_few_positives_say_nothing_of_the_ranking() -> None:
    assert concept(reference(), 500, 1.0).state is State.TOO_FEW
    assert concept(reference(), 0, 1.0).state is State.EMPTY
    assert concept(Reference({}, NumberSketch(), (), None), 5_000, 1.0).state is State.NO_REFERENCE
