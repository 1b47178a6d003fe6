"""A model of any kind that was trained from a day's rows, from its folder: what serves, and what is evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lamina.contracts.features import FeatureSet
from lamina.scoring import blend, linear, trees
from lamina.scoring.protocol import SCORE, SPEC_FILE, Scorer
from lamina.scoring.ranker import scorer as ranker
from lamina.scoring.ranker.spec import KIND as RANKER
from lamina.scoring.trained_spec import TrainedSpec


class TrainedScorer(Scorer, Protocol):
    """A scorer that knows how it was trained."""

    @property
    def spec(self) -> TrainedSpec:
        """What it says about itself."""

    @property
    def calibrated(self) -> bool:
        """Whether its score means what it says."""


LOADERS: dict[str | None, Callable[[Path, FeatureSet, str], TrainedScorer]] = {
    None: trees.load,
    blend.KIND: blend.load,
    linear.KIND: linear.load,
    RANKER: ranker.load,
}
"""By the `kind` of the spec; one that names none is an ensemble of trees."""


def load(folder: Path, features: FeatureSet, output: str = SCORE) -> TrainedScorer:
    """The model in `folder`, ready to score what `features` define; what it gives is called `output`.

    Raises: ModelUnavailable: when a file is missing or broken, or the definitions of its features have changed since.
    """
    try:
        kind = json.loads((folder / SPEC_FILE).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError):
        # Whoever reads the spec as what it is to be says what is wrong with it.
        kind = None
    return LOADERS.get(kind, trees.load)(folder, features, output)
