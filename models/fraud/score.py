"""The fraud model from a folder of native weights: what serving loads."""

from __future__ import annotations

from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.definitions.fraud import FEATURES
from lamina.scoring import trained
from lamina.scoring.trained import TrainedScorer


def load(folder: Path, features: FeatureSet = FEATURES) -> TrainedScorer:
    """Scores are probabilities of fraud. See `lamina.scoring.trained.load`."""
    return trained.load(folder, features)
