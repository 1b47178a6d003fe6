"""Rules and model together on our own world: what is not approved, held against the truth.

As in serving: the model is the one of the day before the test days begin, and which rules speak and from which score on
is chosen on its own test days, the newest whose labels are complete by then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ROOT
from lamina.clock import DAY_MS, midnight_ms
from lamina.demo.stories.fraud import write_rules
from lamina.evaluation.metrics import FALSE_POSITIVE_LIMIT, Flags, Floats
from lamina.evaluation.table import Table
from lamina.rules.book import RuleBook, load_rules
from lamina.scoring.checked import all_finite
from lamina.scoring.encode import Encoder
from lamina.training.train import TrainingPlan, scorer_of, train
from models.fraud.recipe import RECIPE
from models.fraud.savings import judged

EVIDENCE = ("amount_to_mean", "total_1h_to_mean", "txn_count_1h", "merchant_reports_3d")
"""What a person would look at first: the amount and the last hour by the user's own, and the merchant's name."""
SEEN_BY_CHANCE = 0.01
SHIPPED_RULES = ROOT / "serving/systems/fraud/rules/fraud.yaml"


@dataclass(frozen=True)
class Week:
    """Scored days. `fired` has a column for each rule of the book: bool[n, rules]."""

    rows: Table
    score: Floats
    fired: NDArray[np.bool_]

    def stopped(self, rules: Sequence[int], threshold: float) -> Flags:
        """Rows that are not approved."""
        found: Flags = self.fired[:, list(rules)].any(axis=1) | (self.score >= threshold)
        return found

    @cached_property
    def evident(self) -> Flags:
        """Rows with evidence by themselves: a rule fires, or a figure of `EVIDENCE` is above what all but one honest
        row in a hundred have.
        """
        found: Flags = np.asarray(self.fired.any(axis=1), bool)
        for name in EVIDENCE:
            values = self.rows.inputs[name].astype(np.float64)
            found = found | (values > np.nanquantile(values[~self.rows.positive], 1 - SEEN_BY_CHANCE))
        return found

    def recall(self, stopped: Flags) -> float:
        """Share of the frauds that is stopped."""
        return float(stopped[self.rows.positive].mean())

    def false_positives(self, stopped: Flags) -> float:
        """Share of the honest rows that is stopped."""
        return float(stopped[~self.rows.positive].mean())

    def threshold(self, rules: Sequence[int]) -> float | None:
        """The lowest score to stop from so that, with `rules`, at most 0.1 % of the honest rows are stopped; None where
        the rules alone stop more.
        """
        honest = ~self.rows.positive
        ruled = self.fired[:, list(rules)].any(axis=1)
        left = int(FALSE_POSITIVE_LIMIT * honest.sum()) - int((ruled & honest).sum())
        if left < 0:
            return None
        scores = np.sort(self.score[honest & ~ruled])[::-1]
        return float(np.nextafter(scores[left], np.inf)) if left < len(scores) else 0.0


def load_book(listed_cards: Iterable[str]) -> RuleBook:
    """The shipped rules, with these cards on their list."""
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder:
        return load_rules(write_rules(Path(folder), SHIPPED_RULES, listed_cards))


def measure_together(
    table: Table,
    payments: Mapping[str, Mapping[str, Any]],
    book: RuleBook,
    in_service: TrainingPlan,
    later: TrainingPlan,
) -> dict[str, float | str]:
    """Figures of the test days of `later`, with the model of `in_service` and what is chosen on the test days of that.

    recall_at_fpr_001: share of the frauds stopped where the score's threshold leaves 0.1 % of the honest payments of
    these very days stopped, as the model's own recall is measured; recall and fpr: with the threshold chosen before.
    evident: share of the frauds that carry evidence by themselves (`Week.evident`), recall_evident_at_fpr_001: of those
    the share stopped, at that limit.
    All payments of the days count, those of users whose fraud is known too: a listed card is tried again and again.

    Args: payments: transactions by id, as mappings.
    """
    trained = train(RECIPE, table, in_service)
    spec, scorer = trained.spec, scorer_of(trained.spec, trained.members)

    def week(plan: TrainingPlan) -> Week:
        first, last = (midnight_ms(day) // DAY_MS for day in (plan.days.test_first, plan.days.test_last))
        rows = table.take((table.day >= first) & (table.day <= last))
        scores = all_finite(scorer.score(Encoder(spec.inputs).matrix(rows.inputs, len(rows))), len(rows))
        return Week(rows, scores, _fired(book, rows, payments))

    before, now = week(in_service), week(later)
    rules, threshold = _choose(before, len(book.rules))
    exact = now.threshold(rules)
    stopped = now.stopped(rules, threshold)
    at_limit = now.stopped(rules, np.inf if exact is None else exact)
    found: dict[str, float | str] = {
        "recall_at_fpr_001": now.recall(at_limit),
        "evident": now.recall(now.evident),
        "recall_evident_at_fpr_001": float(at_limit[now.rows.positive & now.evident].mean()),
        "recall": now.recall(stopped),
        "fpr": now.false_positives(stopped),
        "fpr_all_rules": now.false_positives(now.stopped(range(len(book.rules)), np.inf)),
        "rules": " ".join(book.rules[i].code for i in rules),
    }
    for scenario in sorted({s for s in now.rows.columns["scenario"][now.rows.positive] if isinstance(s, str)}):
        found[f"recall_scenario_{scenario}"] = float(at_limit[now.rows.columns["scenario"] == scenario].mean())
        found[f"evident_scenario_{scenario}"] = float(now.evident[now.rows.columns["scenario"] == scenario].mean())
    return found


def _choose(week: Week, rules: int) -> tuple[tuple[int, ...], float]:
    """The rules, and the score, that find most within the limit; of two choices that find as much the one with more
    rules.
    """
    best: tuple[float, tuple[int, ...], float] = (-1.0, (), 1.0)
    for some in (chosen for n in range(rules, -1, -1) for chosen in combinations(range(rules), n)):
        threshold = week.threshold(some)
        if threshold is not None and (recall := week.recall(week.stopped(some, threshold))) > best[0]:
            best = (recall, some, threshold)
    return best[1:]


def _fired(book: RuleBook, rows: Table, payments: Mapping[str, Mapping[str, Any]]) -> NDArray[np.bool_]:
    places = {rule.code: i for i, rule in enumerate(book.rules)}
    fired = np.zeros((len(rows), len(places)), bool)
    for at, identity in enumerate(rows.id):
        for reason in judged(book, payments[identity], rows, at)[1]:
            fired[at, places[reason.code]] = True
    return fired
