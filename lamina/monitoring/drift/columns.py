"""One column against its reference: numbers by Kolmogorov-Smirnov and PSI, texts by Jensen-Shannon and chi-square."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lamina.contracts.watching import Watching
from lamina.monitoring.drift.distances import (
    PSI_FLOOR,
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
from lamina.monitoring.drift.distributions import Distribution, Numbers, Texts
from lamina.monitoring.drift.findings import MISSING, Finding, Kind, State, not_compared

NEW_TEXTS_SHOWN = 5


@dataclass(frozen=True)
class Sway:
    """How far the furthest single day of a model's test was from the rows it was trained on: by the values of a column,
    and by the share that is missing. change: how far its values were at most from those of the day before, None where
    no two days of the test can be compared.
    """

    values: float = 0.0
    missing: float = 0.0
    change: float | None = None


STEADY = Sway()
SWAYS = 2.0
"""Beyond so many times its own sway a column drifts, where that is more than the threshold. What depends on few
entities, as on the merchants with a fraud of late, is never still: measured in docs/concepts/drift.md. Such a column
sways slowly. When it changed since the day before by more than so many times what it did at most in the test, it did
not sway, and the usual threshold holds.
"""


def compare_column(
    name: str,
    reference: Distribution,
    current: Distribution,
    watching: Watching,
    kind: Kind = Kind.COVARIATE,
    sway: Sway = STEADY,
    day_before: Distribution | None = None,
) -> list[Finding]:
    """What is found of a column: of its values, and of the share that is missing.

    A column whose kind changed, texts for numbers, has none of the values that the reference has.

    Args: day_before: the column as long before as what is compared reaches back; None where that is not known.
    """
    missing, values = (make(name, reference, current, watching, kind) for make in (_missing, _values))
    missing = replace(missing, threshold=max(missing.threshold, SWAYS * sway.missing))
    if values.effect is None or (limit := SWAYS * sway.values) <= values.threshold:
        return [missing, values]
    if sway.change is None or day_before is None or day_before.count < watching.compared_rows:
        return [missing, replace(values, threshold=limit)]
    change = distance(day_before, current)
    sudden = change - day_before.error - current.error > max(values.threshold, SWAYS * sway.change)
    further = {**values.further, "change_of_a_day": change}
    return [missing, replace(values, threshold=values.threshold if sudden else limit, further=further)]


def measure_sway(reference: Distribution, days: Iterable[Distribution]) -> Sway:
    """The sway of a column over days one after the other, whose rows none of the reference's are."""
    values, missing, changes, before = 0.0, 0.0, list[float](), None
    for day in days:
        if reference.count and day.count:
            values = max(values, distance(reference, day))
        if before is not None and before.count and day.count:
            changes.append(distance(before, day))
        missing, before = max(missing, abs(reference.missing_share - day.missing_share)), day
    return Sway(values, missing, max(changes, default=None))


def distance(one: Distribution, other: Distribution) -> float:
    """How far two columns with values are apart, 0 to 1: numbers by Kolmogorov and Smirnov, texts by Jensen and
    Shannon; of different kinds nothing is alike.
    """
    if isinstance(one, Numbers) and isinstance(other, Numbers):
        return kolmogorov_smirnov(one, other)
    if isinstance(one, Texts) and isinstance(other, Texts):
        return jensen_shannon(*aligned(one, other))
    return 1.0


def _values(name: str, reference: Distribution, current: Distribution, watching: Watching, kind: Kind) -> Finding:
    numbers = isinstance(reference, Numbers)
    found = Finding(
        kind=kind,
        subject=name,
        statistic="ks" if numbers else "jensen_shannon",
        threshold=watching.ks if numbers else watching.jensen_shannon,
        reference_rows=reference.count,
        rows=current.count,
    )
    state = not_compared(current.count, reference.count, watching.compared_rows)
    if state is State.EMPTY and current.missing:
        state, found = State.ALL_MISSING, replace(found, rows=current.missing)
    if state is not None:
        return replace(found, state=state)
    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        return _numbers(found, reference, current)
    if isinstance(reference, Texts) and isinstance(current, Texts):
        return _texts(found, reference, current)
    return replace(found, effect=1.0, p=0.0)


def _numbers(found: Finding, reference: Numbers, current: Numbers) -> Finding:
    effect, error = kolmogorov_smirnov(reference, current), reference.error + current.error
    edges = bin_edges(reference)
    psi = population_stability(binned(reference, edges), binned(current, edges))
    return replace(
        found,
        effect=effect,
        error=error,
        p=kolmogorov_smirnov_p(effect - error, reference.count, current.count),
        further={"psi": psi, "psi_floor": PSI_FLOOR},
    )


def _texts(found: Finding, reference: Texts, current: Texts) -> Finding:
    r, c = aligned(reference, current)
    effect, certain = jensen_shannon(r, c), closer(r, c, reference.error + current.error)
    new = sorted(set(current.counts) - set(reference.counts), key=lambda text: (-current.counts[text], text))
    further: dict[str, float | int | str] = {"psi": population_stability(r, c), "psi_floor": PSI_FLOOR}
    if new:
        further |= {
            "new": ", ".join(new[:NEW_TEXTS_SHOWN]),
            "new_share": sum(current.counts[text] for text in new) / current.count,
        }
    return replace(
        found,
        effect=effect,
        error=effect - jensen_shannon(r, certain),
        p=chi_square_p(r, certain, reference.count, current.count),
        further=further,
    )


def _missing(name: str, reference: Distribution, current: Distribution, watching: Watching, kind: Kind) -> Finding:
    """The share of rows without a value, which is exact: it is counted beside the sketch."""
    n, m = (column.count + column.missing for column in (reference, current))
    found = Finding(
        kind=kind,
        subject=name,
        statistic=MISSING,
        threshold=watching.missing,
        reference_rows=n,
        rows=m,
        state=not_compared(m, n, watching.compared_rows) or State.STABLE,
    )
    if found.state is not State.STABLE:
        return found
    before, now = reference.missing_share, current.missing_share
    return replace(
        found,
        effect=abs(now - before),
        p=shares_p(before, n, now, m),
        further={"reference_share": before, "share": now},
    )
