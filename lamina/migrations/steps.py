"""Every step from an older version to this one, the oldest first."""

from __future__ import annotations

from lamina.contracts.fraud_decisions import PREDICTIONS, PREDICTIONS_BEFORE
from lamina.contracts.transactions import FRAUD_LABELS
from lamina.migrations.renamed_folders import archived_ends, renamed_folders
from lamina.migrations.renamed_topic import renamed_topic
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
        ),
    ),
)
