"""The activity model from a folder of native weights: what serving loads."""

from __future__ import annotations

from pathlib import Path

from lamina.contracts.activity_answers import PURCHASE
from lamina.contracts.features import FeatureSet
from lamina.definitions.activity import FEATURES
from lamina.scoring import trained
from lamina.scoring.trained import TrainedScorer


def load(folder: Path, features: FeatureSet = FEATURES) -> TrainedScorer:
    """Scores are probabilities of a purchase within a day. See `lamina.scoring.trained.load`."""
    return trained.load(folder, features, PURCHASE)
