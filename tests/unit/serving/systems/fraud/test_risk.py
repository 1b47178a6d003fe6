"""Which models a policy can be used with."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path
from typing import cast

import pytest

from benchmarks.small_model import train_small_model
from lamina.contracts.fraud_decisions import Decision
from lamina.definitions.fraud import FEATURES
from lamina.errors import ModelUnavailable
from lamina.registry.memory import MemoryRegistry
from lamina.rules.bands import Band
from lamina.rules.book import RuleBook
from lamina.rules.costs import Costs
from lamina.scoring.trees import TreesScorer
from lamina.scoring.trees_spec import Calibration, ModelSpec
from models.fraud import score
from serving.stages.model import Model, ServedModel
from serving.systems.fraud.risk import loading_for, misfit
from serving.systems.fraud.rule_engine import RuleEngine
from tests.unit.serving.recognisable import Bench, add_version, fraud_of
from tests.unit.serving.shop import Shop

BANDS = (Band(reject=0.8, review=0.6),)
COSTS = Costs(friction=10, review=4, review_finds=0.9)
TABLE = RuleBook(version="1", rules=(), risk=BANDS)
CHEAPEST = RuleBook(version="1", rules=(), risk=BANDS, policy="expected_cost", costs=COSTS)


def calibrated(folder: Path) -> Path:
    train_small_model(folder, trees=5)
    spec = ModelSpec.read(folder)
    spec.model_copy(update={"calibration": Calibration(slope=1.2, intercept=-0.1)}).write(folder)
    return folder


def test_a_model_without_calibration_is_refused_where_costs_decide(tmp_path: Path) -> None:
    plain = train_small_model(tmp_path / "plain", trees=5)
    with pytest.raises(ModelUnavailable, match=r"no calibration.*policy expected_cost.*--no-calibrate"):
        loading_for(lambda: CHEAPEST, score.load)(plain, FEATURES)
    assert not loading_for(lambda: TABLE, score.load)(plain, FEATURES).calibrated
    assert loading_for(lambda: CHEAPEST, score.load)(calibrated(tmp_path / "line"), FEATURES).calibrated


def test_a_file_that_the_model_in_service_cannot_follow_is_refused(tmp_path: Path) -> None:
    served = ServedModel("fraud", MemoryRegistry(tmp_path), score.load, tmp_path)
    assert misfit(CHEAPEST, [served]) is None
    served.current = Model("fraud", "3", score.load(train_small_model(tmp_path / "m", trees=5)))
    assert misfit(TABLE, [served]) is None
    file = tmp_path / "rules.yaml"
    file.write_text("{version: 1a, rules: [], risk: [{reject: 0.8, review: 0.6}], costs: {friction: 10, review: 4}}")
    engine = RuleEngine(file)
    engine.misfit = lambda book: misfit(book, [served])
    file.write_text(file.read_text().replace("1a,", "2b, policy: expected_cost,"))
    os.utime(file, ns=(1, 1))
    assert not engine.reload()
    assert engine.book.version == "1a"
    assert "version 3 of fraud in service carries no calibration" in (engine.problem or "")


def test_costs_and_contributions_are_those_of_the_answered_score(tmp_path: Path) -> None:
    """The reasons of a decision by expected cost add up to the log-odds of the score that was weighed."""
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.5, tmp_path, "champion")
    bench.start()
    scorer = score.load(calibrated(tmp_path / "trees"))
    assert isinstance(scorer, TreesScorer)
    bench.champion.current = Model(FEATURES.system, "1", scorer)
    bench.rules.book = CHEAPEST
    found = asyncio.run(bench.decide("u1", amount=900.0))
    assert found.score is not None and found.policy == "expected_cost"
    assert (found.cost_approve, found.cost_review, found.cost_reject) == COSTS.expected(found.score, 900.0)
    total = scorer.bias + sum(weight for _, weight in scorer.explain(found.features))
    assert total == pytest.approx(math.log(found.score / (1 - found.score)), abs=1e-3)
    weights = dict(scorer.explain(found.features))
    reasons = [reason for reason in found.reasons if reason.kind == "feature"]
    assert reasons and all(reason.weight == weights[reason.code] for reason in reasons)
    assert bench.events.decisions == [found] == [Decision.from_json(found.to_json())]


def test_a_refused_model_is_tried_again_once_the_policy_allows_it(tmp_path: Path) -> None:
    """The whole service: a policy that the only model cannot follow, then one that it can, by a change of the file."""
    shop = Shop(tmp_path)
    shop.add_trees()
    file = tmp_path / "rules.yaml"
    file.write_text(
        "{version: '1', policy: expected_cost, rules: [], risk: [{reject: 0.8, review: 0.6}], "
        "costs: {friction: 10, review: 4}}"
    )
    service = shop.service(rules_file=file)

    async def look() -> tuple[str | None, str | None]:
        await fraud_of(service).models.champion.refresh()
        found = (await service.readiness()).dependencies["model of fraud"]
        return found.version, found.problem

    version, problem = asyncio.run(look())
    assert version is None
    assert problem is not None and "version 1 cannot be used" in problem and "carries no calibration" in problem
    file.write_text(file.read_text().replace("'1', policy: expected_cost", "'2', policy: fixed_table"))
    rules = cast(RuleEngine, fraud_of(service).files["rules"])
    assert rules.reload()
    assert asyncio.run(look()) == ("1", None)
    file.write_text(file.read_text().replace("'2', policy: fixed_table", "'3', policy: expected_cost"))
    assert not rules.reload()
    assert rules.book.version == "2" and "carries no calibration" in (rules.problem or "")
