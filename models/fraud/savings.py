"""What a policy would have cost in a test, and what it saved: each action held against what the payment was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from lamina.contracts.fraud_decisions import Action
from lamina.contracts.reasons import Reason
from lamina.contracts.transactions import Location, Transaction
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.card import markdown_table
from lamina.evaluation.metrics import Floats, Ints
from lamina.evaluation.table import Table
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.rules.bands import SEVERITY
from lamina.rules.book import EXPECTED_COST, FIXED_TABLE, RuleBook, load_rules
from lamina.rules.costs import Costs
from lamina.rules.kinds import FEATURES_READ
from lamina.scoring.trained_spec import TrainedSpec
from lamina.settings import Settings

NO_MODEL, RULES_ONLY = "no_model", "rules_only"


@dataclass(frozen=True)
class Policies:
    """The rules file that policies are measured by, and where the payments lie that its rules look at."""

    book: RuleBook
    lake: str
    system: str
    day: date

    @classmethod
    def of(cls, file: Path, lake: str, system: str, day: date) -> Policies:
        """By the rules in `file`, on the training set of a day.

        Raises: RulesError: when the file cannot be right.
        """
        return cls(load_rules(file), lake, system, day)

    @classmethod
    def configured(cls, settings: Settings, lake: str, day: date) -> Policies | None:
        """By the rules file of the settings; None where there is none."""
        file = settings.rules_file
        return cls.of(file, lake, FEATURES.system, day) if file.exists() else None

    def measure(self, rows: Table, scores: Floats, *, calibrated: bool) -> dict[str, dict[str, float]]:
        """By policy: `cost` in all, `saved` against approving everything, and how many were declined and reviewed.

        no_model approves everything; rules_only, fixed_table and expected_cost as they would decide in serving, the
        last only with `calibrated` scores. Nothing without costs in the rules file; without the payments (the set has
        no folder `rows`) the model's policies are measured without the rules, and rules_only is left out.

        Args: scores: float64[n].
        """
        costs = self.book.costs
        if costs is None:
            return {}
        ruled = self._ruled(rows)
        rules: Ints = np.zeros(len(rows), np.int64) if ruled is None else ruled
        actions = {NO_MODEL: np.zeros(len(rows), np.int64)}
        if ruled is not None:
            actions[RULES_ONLY] = ruled
        actions[FIXED_TABLE] = np.maximum(rules, self._by_table(scores, rows.columns["amount"]))
        if calibrated:
            expected = np.stack(costs.of(scores, np.maximum(rows.columns["amount"], 0.0)))
            actions[EXPECTED_COST] = np.maximum(rules, expected.argmin(axis=0))
        return _outcomes(costs, rows, actions)

    @staticmethod
    def as_metrics(money: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """The figures by the names they are logged under.

        >>> Policies.as_metrics({"fixed_table": {"cost": 3.0, "saved": 7.0, "declined": 1.0, "reviewed": 0.0}})
        {'money_cost_fixed_table': 3.0, 'money_saved_fixed_table': 7.0}
        """
        return {f"money_{key}_{name}": found[key] for name, found in money.items() for key in ("cost", "saved")}

    def _by_table(self, scores: Floats, amount: Floats) -> Ints:
        asked = np.zeros(len(scores), np.int64)
        lowest = -np.inf
        for band in self.book.risk:
            inside = (amount >= lowest) & (amount < (np.inf if band.below is None else band.below))
            for action, threshold in (("review", band.review), ("reject", band.reject)):
                asked[inside & (scores >= threshold)] = SEVERITY[action]  # type: ignore[index]
            lowest = lowest if band.below is None else band.below
        return asked

    def _ruled(self, rows: Table) -> Ints | None:
        """What the rules ask of each row, by severity; None where the payments are not there."""
        import pyarrow.dataset as ds

        fs, path = open_lake(f"{layout.training(self.lake, self.system, self.day)}/rows")
        if not fs.exists(path) or not set(FEATURES_READ) <= set(rows.inputs):
            return None
        payments = ds.dataset(path, format="parquet", filesystem=fs)
        names = [name for name in Transaction.model_fields if name in payments.schema.names]
        if "transaction_id" not in names:
            return None
        wanted = {identity: i for i, identity in enumerate(rows.id)}
        found = np.zeros(len(rows), np.int64)
        for batch in payments.to_batches(columns=names):
            for payment in batch.to_pylist():
                at = wanted.get(payment["transaction_id"])
                if at is not None:
                    found[at] = SEVERITY[judged(self.book, payment, rows, at)[0]]
        return found


def judged(book: RuleBook, payment: Mapping[str, object], rows: Table, at: int) -> tuple[Action, list[Reason]]:
    """What the rules ask of `payment`, a transaction as a mapping, whose features are those of row `at`, and why."""
    place = payment.get("location")
    location = Location.model_construct(**place) if isinstance(place, dict) else None
    transaction = Transaction.model_construct(**{**payment, "location": location})  # type: ignore[arg-type]
    values = {name: float(rows.inputs[name][at]) for name in FEATURES_READ}
    return book.judge(transaction, {name: None if v != v else v for name, v in values.items()})


def _outcomes(costs: Costs, rows: Table, actions: Mapping[str, Ints]) -> dict[str, dict[str, float]]:
    """What each policy's actions cost once the truth is known: expected costs with a probability of 0 or 1."""
    amount = np.maximum(rows.columns["amount"], 0.0)
    true_costs = np.stack(costs.of(rows.positive.astype(np.float64), amount)) * rows.weight
    every = np.arange(len(rows))
    spent = {name: float(true_costs[taken, every].sum()) for name, taken in actions.items()}
    return {
        name: {
            "cost": spent[name],
            "saved": spent[NO_MODEL] - spent[name],
            "declined": float(rows.weight[taken == SEVERITY["reject"]].sum()),
            "reviewed": float(rows.weight[taken == SEVERITY["review"]].sum()),
        }
        for name, taken in actions.items()
    }


def sections(spec: TrainedSpec) -> Sequence[tuple[str, str]]:
    """For the card: what each policy of the rules file would have cost on the test days, where that was measured."""
    if not spec.money:
        return ()
    heading = ("policy", "cost", "saved", "declined", "reviewed")
    rows = [
        (name.replace("_", " "), *(f"{found[key]:,.0f}" for key in ("cost", "saved", "declined", "reviewed")))
        for name, found in spec.money.items()
    ]
    text = (
        "What fraud let through, honest customers declined and reviews would have cost on the test days, by the costs "
        "of the rules file; saved against approving everything. The policies include the rules.\n\n"
    )
    without = "" if "expected_cost" in spec.money else "\n\nexpected cost: not measured, as scores are not calibrated."
    return (("Money", text + markdown_table(heading, rows) + without),)
