"""Columns compared: what drifted, what did not, and a clear answer for all that cannot be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lamina.contracts.watching import Watching
from lamina.monitoring.drift.columns import Sway, compare_column, measure_sway
from lamina.monitoring.drift.decide import decide
from lamina.monitoring.drift.distributions import Distribution
from lamina.monitoring.drift.findings import Finding, Kind, Severity, State
from lamina.monitoring.drift.sketches import sketch_columns

WATCHING = Watching(ks=0.1, jensen_shannon=0.1, missing=0.05, compared_rows=100)
RNG = np.random.default_rng(5)


def compared(reference: NDArray[Any], current: NDArray[Any]) -> dict[str, Finding]:
    before, now = (sketch_columns({"column": values})["column"].distribution() for values in (reference, current))
    found = decide(compare_column("column", before, now, WATCHING), 0.01)
    return {finding.statistic: finding for finding in found}


def normal(mean: float, rows: int) -> NDArray[np.float64]:
    return RNG.normal(mean, 1, rows)


def words(shares: dict[str, float], rows: int) -> NDArray[np.object_]:
    return RNG.choice(np.array(list(shares), object), rows, p=list(shares.values()))


def test_a_shift_beyond_the_threshold_is_drift() -> None:
    found = compared(normal(0, 20_000), normal(0.4, 20_000))["ks"]
    assert found.state is State.DRIFTED and found.severity is Severity.WARNING
    assert found.effect == pytest.approx(0.158, abs=0.02) and found.further["psi"] == pytest.approx(0.16, abs=0.03)
    assert compared(normal(0, 20_000), normal(1, 20_000))["ks"].severity is Severity.CRITICAL


def test_a_significant_shift_that_is_small_is_none() -> None:
    """However large n grows: this is what wakes people for nothing elsewhere."""
    found = compared(normal(0, 200_000), normal(0.1, 200_000))["ks"]
    assert found.adjusted is not None and found.adjusted < 1e-12
    assert found.state is State.STABLE and found.severity is None


def test_a_large_shift_that_chance_explains_is_none() -> None:
    reference = normal(0, 100)
    current = next(x for x in (normal(0, 100) for _ in range(500)) if compared(reference, x)["ks"].certain > 0.15)
    assert compared(reference, current)["ks"].state is State.STABLE


def test_what_the_sketches_may_be_off_by_is_taken_off() -> None:
    found = compared(normal(0, 100_000), normal(0, 100_000))["ks"]
    assert found.effect is not None and 0 < found.error < 0.002
    assert found.certain == pytest.approx(max(found.effect - found.error, 0))
    assert found.p is not None and found.p > 0.01


def test_texts_that_shift_are_drift_and_new_ones_are_named() -> None:
    before = words({"web": 0.7, "shop": 0.3}, 5_000)
    found = compared(before, words({"web": 0.4, "shop": 0.4, "phone": 0.2}, 5_000))["jensen_shannon"]
    assert found.state is State.DRIFTED and found.further["new"] == "phone"
    assert found.further["new_share"] == pytest.approx(0.2, abs=0.03)
    assert compared(before, words({"web": 0.7, "shop": 0.3}, 5_000))["jensen_shannon"].state is State.STABLE


def test_values_that_go_missing_are_drift() -> None:
    holes = normal(0, 5_000)
    holes[:500] = np.nan
    found = compared(normal(0, 5_000), holes)
    assert found["missing"].state is State.DRIFTED and found["missing"].further["share"] == pytest.approx(0.1)
    assert found["ks"].state is State.STABLE


@pytest.mark.parametrize(
    ("reference", "current", "state", "said"),
    [
        (normal(0, 500), np.empty(0), State.EMPTY, "nothing was served"),
        (normal(0, 500), normal(0, 99), State.TOO_FEW, "99 rows are too few"),
        (normal(0, 99), normal(0, 500), State.TOO_FEW, "too few"),
        (normal(0, 500), np.full(300, np.nan), State.ALL_MISSING, "missing in all 300 rows"),
        (np.full(500, np.nan), normal(0, 300), State.NO_REFERENCE, "no values"),
        (np.full(500, 3.0), np.full(300, 3.0), State.STABLE, "ks 0, threshold 0.1"),
        (np.full(500, 3.0), np.full(300, 3.5), State.DRIFTED, "ks 1, beyond 0.1"),
        (np.full(500, np.inf), np.full(300, -np.inf), State.DRIFTED, "ks 1"),
    ],
)
def test_odd_columns_get_a_clear_answer(
    reference: NDArray[Any], current: NDArray[Any], state: State, said: str
) -> None:
    found = compared(reference, current)["ks"]
    assert found.state is state and said in found.message


def test_all_missing_is_seen_by_the_missing_share() -> None:
    assert compared(normal(0, 500), np.full(300, np.nan))["missing"].state is State.DRIFTED


def test_texts_for_numbers_are_drift() -> None:
    assert compared(normal(0, 500), words({"a": 1.0}, 500))["ks"].state is State.DRIFTED


def test_p_is_corrected_for_the_number_of_comparisons() -> None:
    """One of 0.004 is found alone, and is none among a hundred that are looked at."""

    def finding(p: float) -> Finding:
        return Finding(
            kind=Kind.COVARIATE, subject="f", statistic="ks", threshold=0.1, reference_rows=9, rows=9, effect=0.2, p=p
        )

    assert decide([finding(0.004)], 0.01)[0].state is State.DRIFTED
    many = decide([finding(0.004), *(finding(0.5) for _ in range(99))], 0.01)
    assert many[0].state is State.STABLE and many[0].adjusted == pytest.approx(0.4)
    assert decide([], 0.01) == []


def test_a_column_that_is_never_still_has_a_threshold_of_its_own() -> None:
    """Twice what its own test days were off, values and missing ones each; a still one keeps that of all."""
    reference, day = normal(0, 20_000), normal(0.3, 20_000)
    before, now = (sketch_columns({"c": values})["c"].distribution() for values in (reference, day))
    sway = measure_sway(before, [before, now])
    assert sway.values == pytest.approx(0.12, abs=0.02) and sway.missing == 0
    assert decide(compare_column("c", before, now, WATCHING), 0.01)[1].state is State.DRIFTED
    found = decide(compare_column("c", before, now, WATCHING, sway=sway), 0.01)[1]
    assert found.state is State.STABLE and found.threshold == pytest.approx(2 * sway.values)
    assert compare_column("c", before, now, WATCHING, sway=Sway(0.04, 0.04))[1].threshold == 0.1
    assert compare_column("c", before, now, WATCHING, sway=Sway(0.04, 0.04))[0].threshold == 0.08


def test_a_column_that_sways_slowly_is_found_where_it_jumps() -> None:
    """What sways was nearly as far yesterday: of twice what it was off, and changed in a day, in its test."""
    still, test, today, near, few = (
        sketch_columns({"c": normal(mean, rows)})["c"].distribution()
        for mean, rows in ((0, 20_000), (0.3, 20_000), (0.5, 20_000), (0.45, 20_000), (0, 99))
    )
    sway = measure_sway(still, [test, test])
    assert sway.values == pytest.approx(0.12, abs=0.02) and sway.change == 0.0
    assert measure_sway(still, [test]).change is None and measure_sway(still, [test, still]).change == sway.values

    def found(day_before: Distribution | None, sway: Sway = sway) -> State:
        compared = compare_column("c", still, today, WATCHING, sway=sway, day_before=day_before)
        return decide(compared, 0.01)[1].state

    assert found(still) is State.DRIFTED
    assert {found(day_before) for day_before in (None, near, few)} == {State.STABLE}
    assert found(still, Sway(sway.values, 0.0, None)) is State.STABLE
    assert found(still, Sway(sway.values, 0.0, 0.2 / 2)) is State.STABLE
    assert found(still, Sway(sway.values, 0.0, 0.09)) is State.DRIFTED
    # Back to where it was is a jump, and no drift.
    back = compare_column("c", still, still, WATCHING, sway=sway, day_before=today)
    assert decide(back, 0.01)[1].state is State.STABLE


def test_the_sway_is_that_of_the_worst_day_of_texts_and_missing_values_too() -> None:
    texts = [sketch_columns({"c": words({"a": p, "b": 1 - p}, 5_000)})["c"].distribution() for p in (0.5, 0.5, 0.9)]
    assert measure_sway(texts[0], texts[1:]).values == pytest.approx(0.383, abs=0.03)
    full, holes = (sketch_columns({"c": np.array(v)})["c"].distribution() for v in ([1.0, 1.0], [1.0, np.nan]))
    assert measure_sway(full, [holes, full]) == Sway(0.0, 0.5, 0.0)
    assert measure_sway(full, []) == Sway()
