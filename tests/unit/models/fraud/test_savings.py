"""What policies cost, held against a loop over the payments as serving would decide on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.contracts.fraud_decisions import Action
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.card import model_card
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.lake import layout
from lamina.rules.bands import SEVERITY, assess, most_severe
from lamina.rules.book import load_rules
from lamina.rules.costs import choose
from lamina.settings import Settings
from lamina.training.train import TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from models.fraud.savings import Policies
from tests.training_sets import DAY, write_training_set

ROWS = 400


def write_payments(lake: str, ids: list[str]) -> None:
    """The labelled rows that the features were made for: every tenth from a country of the list."""
    countries = (Settings().rules_file.parent / "high_risk_countries.txt").read_text().split()
    listed = next(line for line in countries if len(line) == 2 and line.isupper())
    folder = Path(layout.training(lake, "fraud", DAY)) / "rows"
    folder.mkdir(parents=True)
    columns = {
        "transaction_id": ids,
        "card_token": ["card-ad773f96b5"] * len(ids),
        "country": [listed if i % 10 == 0 else "PT" for i in range(len(ids))],
        "amount": [1.0] * len(ids),
        "timestamp": [1_741_000_000_000] * len(ids),
        "location": [{"lat": 38.7, "lon": -9.3}] * len(ids),
    }
    pq.write_table(pa.table(columns), folder / "part-0.parquet")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_training_set(str(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="module")
def rows(lake: str) -> Table:
    found = read_table(lake, PROBLEM, DAY, FEATURES.names).take(np.arange(ROWS))
    found.inputs["lifetime_txn_count"][:] = 0.0  # the rule about usual amounts stays silent
    write_payments(lake, list(found.id))
    return found


def test_each_policy_costs_what_its_decisions_do(lake: str, rows: Table) -> None:
    book = load_rules(Settings().rules_file)
    scores = np.random.default_rng(1).beta(0.3, 1.0, ROWS)
    found = Policies(book, lake, "fraud", DAY).measure(rows, scores, calibrated=True)
    assert list(found) == ["no_model", "rules_only", "fixed_table", "expected_cost"]
    assert book.costs is not None
    spent = dict.fromkeys(found, 0.0)
    declined = dict.fromkeys(found, 0)
    for i in range(ROWS):
        score, amount = float(scores[i]), float(rows.columns["amount"][i])
        ruled: Action = "review" if i % 10 == 0 else "approve"
        actions = {
            "no_model": "approve",
            "rules_only": ruled,
            "fixed_table": most_severe(ruled, assess(book.risk, score, amount)[0]),
            "expected_cost": most_severe(ruled, choose(book.costs, score, amount)[0]),
        }
        for name, action in actions.items():
            spent[name] += getattr(book.costs.expected(float(rows.positive[i]), amount), action)
            declined[name] += SEVERITY[action] == 2
    for name, money in found.items():
        assert money["cost"] == pytest.approx(spent[name])
        assert money["saved"] == pytest.approx(spent["no_model"] - spent[name])
        assert money["declined"] == declined[name]
    assert 0 < declined["fixed_table"] != declined["expected_cost"]


def test_with_probabilities_expected_cost_is_cheapest(lake: str, rows: Table) -> None:
    """Truth drawn by the scores themselves: then nothing on average beats weighing costs by them."""
    rng = np.random.default_rng(2)
    book = load_rules(Settings().rules_file).model_copy(update={"rules": ()})
    scores = rng.beta(0.3, 1.0, ROWS)
    totals = {"fixed_table": 0.0, "expected_cost": 0.0, "no_model": 0.0}
    for _ in range(20):
        fraud, amount = rng.random(ROWS) < scores, rng.gamma(1.0, 300.0, ROWS)
        drawn = replace(rows, positive=fraud, columns={**rows.columns, "amount": amount})
        found = Policies(book, lake, "fraud", DAY).measure(drawn, scores, calibrated=True)
        for name in totals:
            totals[name] += found[name]["cost"]
    assert totals["expected_cost"] < totals["fixed_table"] < totals["no_model"]


def test_scores_that_are_no_probabilities_are_not_weighed(lake: str, rows: Table, tmp_path: Path) -> None:
    policies = Policies.of(Settings().rules_file, str(tmp_path), "fraud", DAY)
    found = policies.measure(rows, np.full(ROWS, 0.5), calibrated=False)
    assert set(found) == {"no_model", "fixed_table"}  # and without the payments no rules


def test_a_card_says_what_was_saved(lake: str) -> None:
    table = read_table(lake, PROBLEM, DAY, FEATURES.names)
    policies = Policies.of(Settings().rules_file, lake, "fraud", DAY)
    trained = train(RECIPE, table, TrainingPlan(DAY), policies=policies)
    money = trained.spec.money
    assert policies.as_metrics(money)["money_saved_expected_cost"] == money["expected_cost"]["saved"] > 0
    card = model_card(PROBLEM, trained.spec, trained.slices)
    assert "## Money" in card and "| expected cost |" in card
