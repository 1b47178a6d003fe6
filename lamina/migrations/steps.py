"""Every step from an older version to this one, the oldest first."""

from __future__ import annotations

from lamina.contracts.fraud_decisions import PREDICTIONS, PREDICTIONS_BEFORE, Decision, read_answer
from lamina.contracts.transactions import FRAUD_LABELS
from lamina.lake.schemas import json_columns
from lamina.migrations.envelopes import envelopes
from lamina.migrations.renamed_folders import archived_ends, renamed_folders
from lamina.migrations.renamed_topic import renamed_topic
from lamina.migrations.shadow_scores import SHADOW_SCORES, shadow_of
from lamina.migrations.step import Step

FEEDBACK = "model-feedback"
"""The topic of fraud's labels before it was named after them."""

STEPS = (
    Step(
        "labels of fraud in the lake are those of topic fraud-labels",
        lambda settings: renamed_folders(settings.lake_url, FEEDBACK, FRAUD_LABELS),
    ),
    Step(
        "labels of fraud are sent on topic fraud-labels",
        lambda settings: renamed_topic(settings, FEEDBACK, FRAUD_LABELS),
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
)
