"""Alarms of drift on the fraud world, at the thresholds that are shipped: false ones, and planted drift found.

A model is trained as in service; then the world goes on for 100 days without drift. `false_per_month` counts alarms in
30 days: reports with an alert of a kind whose report before had none. `false_share` is the share of reports with an
alert, of the worst kind. Features and scores are compared each 12 hours, a day of them at a time, labels each day.

Then drift is planted 20 times of each kind and size, begun on different days, each in the same 100 days. Covariate: so
many rows of one feature, another one each time, jump to its largest value that KS becomes .05, .15 or .30. Prior: all
frauds of so many users count twice that there are 1.2, 1.5 or 2 times as many. Concept: so many frauds get the score of
an honest payment that the AUC falls by .03, .06 or .12. `found_...` is the share found within 7 days, of labels within
42 days from the first complete ones; keys without a kind take the worst kind. `delay_h_...` is the median of the hours
until it was found: for concept from when the first of its labels are complete, else from its beginning, and labels take
7 days. `features_swaying` of all features are those whose own test days were so uneven that their threshold is higher
than the usual one: drift planted in them is `..._covariate_swaying`, and no part of the keys without a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.fraud_world import world_table
from benchmarks.report import emit
from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.definitions.fraud import FEATURES, SYSTEM
from lamina.evaluation.table import Table
from lamina.monitoring.drift.columns import STEADY, compare_column
from lamina.monitoring.drift.decide import decided
from lamina.monitoring.drift.distributions import Distribution, Numbers
from lamina.monitoring.drift.findings import Finding, Kind, State
from lamina.monitoring.drift.hours import Served
from lamina.monitoring.drift.labels import compare_concept, compare_prior
from lamina.monitoring.drift.reference import Reference
from lamina.monitoring.drift.sketches import distributions, sketch_columns
from lamina.monitoring.drift.watch import compare_served, weekly_features
from lamina.monitoring.hours import HOUR_MS
from lamina.scoring.encode import Encoder
from lamina.training.train import TrainingPlan, scorer_of, train
from lamina.worlds.fraud.world import LABEL_DELAY_DAYS, FraudWorld
from models.fraud.recipe import RECIPE

SEED = 7
START = date(2025, 1, 1)
WARM_DAYS = 90
"""Until the longest windows are full: before that, features do drift."""
TRAINED_ON_DAYS = 35
SIZES = ("small", "medium", "large")
KS, PRIOR, CONCEPT = (0.05, 0.15, 0.30), (1.2, 1.5, 2.0), (0.03, 0.06, 0.12)
HORIZON_HOURS, HORIZON_DAYS = 7 * 24, 42
VERSION = "1"
WATCHING = SYSTEM.watching
WEEKLY = weekly_features(FEATURES)
BARS = {"false_per_month": "<= 1", "found_medium": ">= 1", "found_large": ">= 1"}


@dataclass(frozen=True)
class Live:
    """The rows after training, in order of time, with their scores; and the reference of the model that gave them."""

    table: Table
    at_ms: NDArray[np.int64]
    unit: NDArray[np.int64]
    score: NDArray[np.float64]
    reference: Reference
    begin_ms: int
    end_ms: int

    def places(self, start_ms: int, end_ms: int) -> slice:
        """The rows from a time to before another."""
        first, last = np.searchsorted(self.at_ms, (start_ms, end_ms))
        return slice(int(first), int(last))


def make_live(users: int, days: int) -> Live:
    """The world's last `days` days, with the features and the model of the days before."""
    world = FraudWorld(seed=SEED, users=users, days=WARM_DAYS + TRAINED_ON_DAYS + days, start=START)
    # Everything is known in the end: what labels show is looked at as late as they are complete.
    known = START + timedelta(days=world.days - 1 + LABEL_DELAY_DAYS)
    table, _ = world_table(world, known, TRAINED_ON_DAYS + days)
    begin = START + timedelta(days=WARM_DAYS + TRAINED_ON_DAYS)
    begin_ms = midnight_ms(begin)
    trained = train(RECIPE, table, TrainingPlan(begin))
    live = table.take(table.day >= begin_ms // DAY_MS)
    scorer = scorer_of(trained.spec, trained.members)
    score = scorer.score(Encoder(trained.spec.inputs).matrix(live.inputs, len(live)))
    _, unit = np.unique(live.unit, return_inverse=True)
    at = live.columns["timestamp"].astype(np.int64)
    return Live(live, at, unit, np.asarray(score, np.float64), trained.reference, begin_ms, begin_ms + days * DAY_MS)


def served(live: Live, start_ms: int, end_ms: int, names: Iterable[str]) -> Served:
    """The sketches of the rows of a window, as the monitor makes them."""
    rows = live.places(start_ms, end_ms)
    features = distributions(sketch_columns({name: live.table.inputs[name][rows] for name in names}))
    scores = sketch_columns({VERSION: live.score[rows]})[VERSION].distribution()
    assert isinstance(scores, Numbers)
    return Served(start_ms, features, {VERSION: scores}, rows.stop - rows.start)


def compare_at(live: Live, end_ms: int, days: dict[int, Served]) -> list[Finding]:
    """What the report of `end_ms` finds of features and scores, not decided yet. Args: days: made so far, by begin."""
    day_ms = WATCHING.drift_hours * HOUR_MS
    hours = [served(live, end_ms - 7 * DAY_MS, end_ms - 2 * day_ms, WEEKLY)]
    for start_ms in (end_ms - 2 * day_ms, end_ms - day_ms):
        if start_ms not in days:
            days[start_ms] = served(live, start_ms, start_ms + day_ms, live.reference.features)
        hours.append(days[start_ms])
    return compare_served(live.reference, hours, VERSION, WEEKLY, end_ms, WATCHING)


def compare_labels_at(
    live: Live, end_ms: int, weight: NDArray[np.float64], score: NDArray[np.float64]
) -> list[Finding]:
    """What the report of `end_ms` finds of labels that are complete, not decided yet."""
    complete = end_ms - LABEL_DELAY_DAYS * DAY_MS
    month = live.places(complete - WATCHING.label_days * DAY_MS, complete)
    week = live.places(complete - WATCHING.days * DAY_MS, complete)
    least = WATCHING.min_rows
    positive = live.table.positive
    return [
        compare_prior(live.reference, positive[month], weight[month], threshold=WATCHING.prior, least_positives=least),
        compare_concept(
            live.reference,
            positive[week],
            score[week],
            live.unit[week],
            threshold=WATCHING.concept,
            least_positives=least,
        ),
    ]


def drifted(findings: Sequence[Finding], kind: Kind, subject: str = "") -> bool:
    """Whether an alert is of `kind`, and of `subject` where one is given."""
    final = decided(findings, WATCHING.significance)
    return any(f.state is State.DRIFTED and f.kind is kind and subject in ("", f.subject) for f in final)


def alarms(reports: Sequence[bool]) -> int:
    """How many times an alert begins."""
    return sum(now and not before for before, now in zip((False, *reports), reports, strict=False))


def can_jump(live: Live, name: str) -> bool:
    """Whether enough of a feature's values are not its largest, so that they can jump there."""
    before = live.reference.columns[name]
    return isinstance(before, Numbers) and float(before.weights[-1] / before.weights.sum()) < 1 - KS[-1]


def plant_covariate(live: Live, base: dict[int, list[Finding]], name: str, ks: float, begun: int) -> int | None:
    """Hours until the jump of a feature that begins at `begun` is found; None when it is not."""
    values = live.table.inputs[name]
    before = live.reference.columns[name]
    assert isinstance(before, Numbers)
    top = float(before.values[-1])
    share = ks / (1 - float(before.weights[-1] / before.weights.sum()))
    jumps = (np.random.default_rng([SEED, begun % 1_000_003]).random(len(values)) < share) & ~np.isnan(values)
    day_ms = WATCHING.drift_hours * HOUR_MS

    def planted(rows: slice) -> Distribution:
        changed = np.where(jumps[rows] & (live.at_ms[rows] >= begun), top, values[rows])
        return sketch_columns({name: changed})[name].distribution()

    for end_ms in sorted(at for at in base if begun < at <= begun + HORIZON_HOURS * HOUR_MS):
        day_before, now = (
            planted(live.places(end_ms - back * day_ms, end_ms - (back - 1) * day_ms)) for back in (2, 1)
        )
        sway = live.reference.sway.get(name, STEADY)
        found = compare_column(name, before, now, WATCHING, sway=sway, day_before=day_before)
        if drifted([*(f for f in base[end_ms] if f.subject != name), *found], Kind.COVARIATE, name):
            return (end_ms - begun) // HOUR_MS
    return None


def plant_labels(
    live: Live, kind: Kind, begun: int, weight: NDArray[np.float64], score: NDArray[np.float64]
) -> int | None:
    """Hours until what labels show is found; None when it is not."""
    complete = begun + LABEL_DELAY_DAYS * DAY_MS
    for day in range(1, HORIZON_DAYS + 1):
        end_ms = complete + day * DAY_MS
        if end_ms > live.end_ms + LABEL_DELAY_DAYS * DAY_MS:
            return None
        if drifted(compare_labels_at(live, end_ms, weight, score), kind):
            return (end_ms - (complete if kind is Kind.CONCEPT else begun)) // HOUR_MS
    return None


def more_frauds(live: Live, factor: float, begun: int, seed: int) -> NDArray[np.float64]:
    """Weights by which the frauds of so many users from `begun` on count twice that they are `factor` times as many."""
    twice = np.random.default_rng([SEED, seed]).random(int(live.unit.max()) + 1) < factor - 1
    return np.where(live.table.positive & (live.at_ms >= begun) & twice[live.unit], 2.0, 1.0)


def worse_scores(live: Live, fall: float, begun: int, seed: int) -> NDArray[np.float64]:
    """Scores with which the AUC is `fall` lower from `begun` on."""
    rng = np.random.default_rng([SEED, seed])
    auc = live.reference.ranking.auc if live.reference.ranking else 1.0
    changed = live.table.positive & (live.at_ms >= begun) & (rng.random(len(live.score)) < fall / (auc - 0.5))
    return np.where(changed, rng.choice(live.score[~live.table.positive], len(live.score)), live.score)


def false_alarms(
    live: Live, base: dict[int, list[Finding]], label_reports: Sequence[list[Finding]]
) -> dict[str, float]:
    """Alarms without drift, a month, in all and by kind."""
    months = (live.end_ms - live.begin_ms) / DAY_MS / 30
    found: dict[str, float] = {}
    shares = []
    for kind in Kind:
        of = label_reports if kind in (Kind.PRIOR, Kind.CONCEPT) else [base[at] for at in sorted(base)]
        reports = [drifted(findings, kind) for findings in of]
        found[f"false_per_month_{kind}"] = round(alarms(reports) / months, 2)
        shares.append(sum(reports) / max(len(reports), 1))
    total = round(sum(found.values()), 2)
    return {"false_per_month": total, "false_share": round(max(shares), 4), **found}


def summed(kind: str, size: str, delays: Sequence[int | None]) -> dict[str, float]:
    """Share found and median delay of plants of one kind and size."""
    there = [delay for delay in delays if delay is not None]
    found = {f"found_{size}_{kind}": round(len(there) / len(delays), 2)}
    return found | ({f"delay_h_{size}_{kind}": median(there)} if there else {})


def measure(users: int, days: int, plants: int, step_hours: int, told: Callable[[str], None]) -> dict[str, Any]:
    """All figures."""
    live = make_live(users, days)
    told(f"{len(live.score)} rows from {day_of(live.begin_ms)} on")
    ends = range(live.begin_ms + 7 * DAY_MS, live.end_ms + 1, step_hours * HOUR_MS)
    sketched: dict[int, Served] = {}
    base = {end_ms: compare_at(live, end_ms, sketched) for end_ms in ends}
    told(f"{len(base)} reports of features and scores")
    plain = np.ones(len(live.score))
    label_ends = range(live.begin_ms + 14 * DAY_MS, live.end_ms + LABEL_DELAY_DAYS * DAY_MS + 1, DAY_MS)
    label_reports = [compare_labels_at(live, end_ms, plain, live.score) for end_ms in label_ends]
    figures: dict[str, Any] = {
        "users": users,
        "days": days,
        "rows_a_day": round(len(live.score) / days),
        "positives_a_week": round(float(live.table.positive.sum()) / days * 7),
        "plants": plants,
        **false_alarms(live, base, label_reports),
    }
    told("false alarms counted")
    sway = {name: live.reference.sway.get(name, STEADY).values for name in live.reference.features}
    numbers = [n for n in live.reference.features if n not in WEEKLY and can_jump(live, n)]
    usual = [name for name in numbers if 2 * sway[name] <= WATCHING.ks]
    swaying = [name for name in numbers if name not in usual]
    figures |= {"features": len(live.reference.features), "features_swaying": len(swaying)}
    starts = [live.begin_ms + round(7 + i * max(days - 7 - 8, 0) / plants) * DAY_MS for i in range(plants)]
    room = max(days - HORIZON_DAYS - 14, 0)
    label_starts = [live.begin_ms + round(14 + i * room / plants) * DAY_MS for i in range(plants)]
    for i, size in enumerate(SIZES):
        for kind, names in (("covariate", usual), ("covariate_swaying", swaying)):
            of = [
                names[n * len(names) // plants] if len(names) > plants else names[n % len(names)] for n in range(plants)
            ]
            figures |= summed(
                kind, size, [plant_covariate(live, base, n, KS[i], at) for n, at in zip(of, starts, strict=True)]
            )
        seeded = list(enumerate(label_starts))
        figures |= summed(
            "prior",
            size,
            [plant_labels(live, Kind.PRIOR, at, more_frauds(live, PRIOR[i], at, n), live.score) for n, at in seeded],
        )
        figures |= summed(
            "concept",
            size,
            [plant_labels(live, Kind.CONCEPT, at, plain, worse_scores(live, CONCEPT[i], at, n)) for n, at in seeded],
        )
        told(f"{size} drift planted")
    kinds = ("covariate", "prior", "concept")
    figures |= {f"found_{size}": min(figures[f"found_{size}_{kind}"] for kind in kinds) for size in SIZES}
    delays = [figures[key] for kind in kinds if (key := f"delay_h_medium_{kind}") in figures]
    figures["delay_h_medium"] = max(delays) if len(delays) == len(kinds) else "not found"
    return figures


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer users, days and plants; no bars.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    users: Annotated[int, typer.Option(help="Users of the world; 0: as many as the form has.")] = 0,
) -> None:
    """Measure and print; the exit status is 1 when a bar was missed."""
    users = users or (300 if quick else 2_000)
    figures = measure(users, 63 if quick else 100, 3 if quick else 20, 24 if quick else 12, lambda line: print(line))
    if not emit("drift_alarms", figures, {} if quick else BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
