"""The activity model from a folder of native weights: what serving loads."""

from __future__ import annotations

from pathlib import Path

from lamina.definitions.activity import FEATURES
from lamina.scoring import trees
from lamina.scoring.trees import TreesScorer


OUTPUT = "purchase"
"""What the model gives of a view."""


def load(folder: Path) -> TreesScorer:
    """Scores are probabilities of a purchase within a day. See `lamina.scoring.trees.load`."""
    return trees.load(folder, FEATURES, OUTPUT)
