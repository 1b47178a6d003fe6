"""Figures of a fraud model beside those that any model of a binary label has."""

from __future__ import annotations

from lamina.evaluation.metrics import Flags, Floats, accuracy, brier, found_at_limit, ranking, unit_precision
from lamina.evaluation.table import Table

CARDS_PER_DAY = 100
"""As many as investigators look at on a day. A user is a card here, as in the publication."""


def measure(rows: Table, score: Floats) -> dict[str, float]:
    """Every figure of a test by scores float64[n], by the name it is logged under.

    Those of `ranking`; money_caught: of the frauds' money, what is found at 0.1 % false positives; brier: mean squared
    difference of score and truth; accuracy: share of rows of which the score says the likelier kind;
    card_precision_100: see `unit_precision`; recall_scenario_<s>: as recall_at_fpr_001, of one kind of fraud.

    Raises: ValueError: when frauds or legitimate rows are missing, so that nothing can be told apart.
    """
    found = ranking(rows.positive, score)
    caught, amount = found_at_limit(rows.positive, score), rows.columns["amount"]
    found |= {
        "money_caught": float(amount[caught].sum() / amount[rows.positive].sum()),
        "brier": brier(rows.positive, score),
        "accuracy": accuracy(rows.positive, score),
        "card_precision_100": unit_precision(rows.outcomes(score), CARDS_PER_DAY),
    }
    return found | _recall_by_scenario(rows, caught)


def _recall_by_scenario(rows: Table, caught: Flags) -> dict[str, float]:
    scenario = rows.columns["scenario"]
    named = {s for s in scenario[rows.positive] if isinstance(s, str)}
    members = {s: rows.positive & (scenario == s) for s in sorted(named)}
    return {f"recall_scenario_{s}": float((caught & own).sum() / own.sum()) for s, own in members.items()}
