"""Every step from an older version to this one, the oldest first."""

from __future__ import annotations

from functools import partial

from lamina.contracts.feedback import MODEL_FEEDBACK
from lamina.contracts.fraud_decisions import PREDICTIONS, PREDICTIONS_BEFORE, Decision, read_answer
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.errors import ContractError
from lamina.lake.schemas import json_columns
from lamina.migrations.envelopes import envelopes
from lamina.migrations.label_versions import SPECS, one_label_each, said_before
from lamina.migrations.renamed_folders import archived_ends, days_with, renamed_folders
from lamina.migrations.renamed_specs import renamed_specs
from lamina.migrations.renamed_topic import renamed_topic, shared_topic
from lamina.migrations.reworded_models import reworded_models
from lamina.migrations.shadow_scores import SHADOW_SCORES, shadow_of
from lamina.migrations.step import Step, Task
from lamina.registry.mlflow import MlflowRegistry
from lamina.settings import Settings

FEEDBACK = MODEL_FEEDBACK
"""The topic of fraud's labels before it was named after them; what is said of any system's answers has the name now."""

CARD = "model_card.md"
"""What training leaves beside a model."""


def _labels_as_they_were(settings: Settings) -> bool:
    """Whether features of labels mean what they meant. Under the old name, too, as long as it was only looked at."""
    return one_label_each(settings.lake_url, (FEEDBACK, FRAUD_LABELS))


def _models(settings: Settings) -> list[Task]:
    said = partial(said_before, one_label=_labels_as_they_were(settings))
    return reworded_models(MlflowRegistry(settings.mlflow_uri), said, (CARD,))


def _specs(settings: Settings) -> list[Task]:
    url = settings.redis_url.get_secret_value()
    return renamed_specs(url, "merchant", SPECS, same=_labels_as_they_were(settings))


def _is_label(raw: bytes) -> bool:
    try:
        FraudLabel.from_json(raw)
    except ContractError:
        return False
    return True


STEPS = (
    Step(
        "labels of fraud in the lake are those of topic fraud-labels",
        lambda settings: renamed_folders(
            settings.lake_url,
            FEEDBACK,
            FRAUD_LABELS,
            stay=days_with(settings.lake_url, FEEDBACK, "feedback_id"),
        ),
    ),
    Step(
        "labels of fraud are sent on topic fraud-labels",
        lambda settings: shared_topic(settings, FEEDBACK, FRAUD_LABELS, _is_label),
    ),
    Step(
        "decisions in the lake are those of topic predictions-fraud",
        lambda settings: renamed_folders(settings.lake_url, PREDICTIONS_BEFORE, PREDICTIONS),
    ),
    Step(
        "decisions that were not archived yet are sent on topic predictions-fraud",
        lambda settings: renamed_topic(
            settings,
            PREDICTIONS_BEFORE,
            PREDICTIONS,
            archived_ends(settings.lake_url, PREDICTIONS_BEFORE, PREDICTIONS),
            lambda raw: read_answer(raw).to_json(),
        ),
    ),
    Step(
        "answers of fraud in the lake are envelopes",
        # Under the old name, too, as long as the folders were only looked at.
        lambda settings: envelopes(
            settings.lake_url, (PREDICTIONS_BEFORE, PREDICTIONS), read_answer, json_columns(Decision)
        ),
    ),
    Step(
        "shadow scores are sent on topic predictions-fraud, as envelopes",
        lambda settings: renamed_topic(
            settings, SHADOW_SCORES, PREDICTIONS, convert=lambda raw: shadow_of(raw).to_json()
        ),
    ),
    Step("labels by merchant in Redis have the names of today", _specs),
    Step("registered models say in today's words what their inputs mean", _models),
)
