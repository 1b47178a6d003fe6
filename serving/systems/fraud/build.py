"""The one place where the parts that decide on transactions are put together. Nothing here opens a connection."""

from __future__ import annotations

from dataclasses import replace

from lamina.contracts.fraud_decisions import PREDICTIONS_BEFORE, fields_of, read_answer
from lamina.contracts.transactions import Transaction
from models.fraud import score
from serving.answering import Answering, Direct
from serving.platform import Platform
from serving.stages.budget import Fallbacks
from serving.stages.repeats import KeptForm
from serving.systems.fraud.admin import rules_router
from serving.systems.fraud.decide import REQUESTS, Ruled, RulesAndRisk, count
from serving.systems.fraud.review import reviewing
from serving.systems.fraud.risk import loading_for, misfit
from serving.systems.fraud.routes import DECISIONS, fraud_router, shown
from serving.systems.fraud.rule_engine import RuleEngine

FALLBACKS = Fallbacks(no_features="rules_only_no_features", no_model="rules_only_no_model", late="rules_only_deadline")
KEPT = KeptForm(
    fields=fields_of,
    read=read_answer,
    topics_before=frozenset({PREDICTIONS_BEFORE}),
)
"""Answers are kept as they were given: processes of the version before, which a roll-out has beside new ones, read no
envelopes.
"""
FraudSystem = Answering[Transaction, Ruled]


def build(platform: Platform) -> FraudSystem:
    """The system, from what the platform has.

    Raises: RulesError, ExperimentError: when the rules file or the experiment file cannot be right.
    """
    rules = RuleEngine(platform.settings.rules_file)
    made = platform.answering(
        REQUESTS,
        lambda: RulesAndRisk(rules.book),
        loading_for(lambda: rules.book, score.load),
        fallbacks=FALLBACKS,
        form=KEPT,
        # Ids of transactions were all that Redis held when there was one system.
        space="",
        experiment_file=platform.settings.experiment_file,
        count=count,
    )
    models = made.models
    rules.misfit = lambda book: misfit(book, (models.champion, *models.routing.challengers))
    rules.taken = models.retry
    routers = (fraud_router(made.pipeline, platform.events, platform.checks), rules_router(rules))
    return replace(
        made,
        routers=routers,
        direct=(Direct(DECISIONS, shown),),
        files={"rules": rules},
        reviewing=reviewing(lambda: rules.book),
    )
