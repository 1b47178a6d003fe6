"""The activity model from a folder of native weights: what serving loads."""

from __future__ import annotations

from pathlib import Path

from lamina.contracts.activity_answers import PURCHASE
from lamina.contracts.features import FeatureSet
from lamina.definitions.activity import FEATURES
from lamina.scoring import trees
from lamina.scoring.trees import TreesScorer


def load(folder: Path, features: FeatureSet = FEATURES) -> TreesScorer:
    """Scores are probabilities of a purchase within a day. See `lamina.scoring.trees.load`."""
    return trees.load(folder, features, PURCHASE)
