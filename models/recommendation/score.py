"""The recommendation model from a folder of native weights: what serving loads."""

from __future__ import annotations

from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.definitions.recommendation import FEATURES
from lamina.scoring import trained
from lamina.scoring.trained import TrainedScorer

WATCH = "watch"
"""The model's output: the probability."""


def load(folder: Path, features: FeatureSet = FEATURES) -> TrainedScorer:
    """Scores are probabilities of a watch within an hour. See `lamina.scoring.trained.load`."""
    return trained.load(folder, features, WATCH)
