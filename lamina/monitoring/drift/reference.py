"""What a model version was trained on, as sketches: kept with the version, so that nothing old has to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.monitoring.drift.columns import Sway, measure_sway
from lamina.monitoring.drift.distributions import Distribution
from lamina.monitoring.drift.ranking import Ranking, measure_ranking
from lamina.monitoring.drift.sketch_files import SketchFileError, dump_sketches, load_sketches
from lamina.monitoring.drift.sketches import NumberSketch, Sketch, distributions, sketch_columns

REFERENCE_FILE = "reference.json"
"""Of the run's artefacts, beside the model: serving does not need it."""
SCORES = "scores of the test"
"""The column of the file that holds them. No feature's name has blanks."""


@dataclass(frozen=True)
class Reference:
    """Of a model version: the features of its training rows, its scores of the test rows, and the labels of both.

    days: rows and positive ones of each day, a row counting as often as it stands for others. ranking: how well the
    scores told the test rows apart, none left out. Scores are of the test since a model knows its training rows.
    sway: how far single days of the test were from the training, by feature; of `SCORES` from the whole test.
    """

    features: Mapping[str, Sketch]
    scores: NumberSketch
    days: tuple[tuple[float, float], ...]
    ranking: Ranking | None
    sway: Mapping[str, Sway] = field(default_factory=dict)

    @cached_property
    def columns(self) -> Mapping[str, Distribution]:
        """The features, as they are compared."""
        return distributions(self.features)

    @property
    def rows(self) -> float:
        """Rows with a label."""
        return sum(rows for rows, _ in self.days)

    @property
    def positive_share(self) -> float:
        """The share of positive rows."""
        return sum(positives for _, positives in self.days) / self.rows if self.rows else 0.0

    @property
    def dispersion(self) -> float:
        """How many times the variance of a day's positives is that of independent rows, at least 1.

        Positives that come in series make it large, as several of one stolen card do: Pearson's statistic by its
        degrees of freedom, as for quasi-likelihood (McCullagh and Nelder 1989).
        """
        share = self.positive_share
        days = [(rows, positives) for rows, positives in self.days if rows]
        if len(days) < 2 or not 0 < share < 1:
            return 1.0
        squares = sum((positives - rows * share) ** 2 / (rows * share * (1 - share)) for rows, positives in days)
        return max(squares / (len(days) - 1), 1.0)

    def dump(self) -> str:
        """The reference as the text of a file."""
        about = {
            "days": self.days,
            "ranking": None if self.ranking is None else asdict(self.ranking),
            "sway": {name: asdict(sway) for name, sway in self.sway.items()},
        }
        return dump_sketches({**self.features, SCORES: self.scores}, about).decode()


def load_reference(text: str, name: str) -> Reference:
    """The reference in a file called `name`.

    Raises: SketchFileError: it cannot be read.
    """
    columns, about = load_sketches(text, name)
    scores = columns.pop(SCORES, None)
    if not isinstance(scores, NumberSketch) or not {"days", "ranking", "sway"} <= set(about):
        raise SketchFileError(f"{name} holds no reference: train the version again")
    ranking = None if about["ranking"] is None else Ranking(**about["ranking"])
    days = tuple((rows, positives) for rows, positives in about["days"])
    return Reference(columns, scores, days, ranking, {name: Sway(**each) for name, each in about["sway"].items()})


def make_reference(
    features: Mapping[str, NDArray[Any]],
    *,
    day: NDArray[np.int64],
    positive: NDArray[np.bool_],
    weight: NDArray[np.float64],
    test_features: Mapping[str, NDArray[Any]],
    test_day: NDArray[np.int64],
    test_score: NDArray[np.float64],
    test_positive: NDArray[np.bool_],
    test_unit: NDArray[Any],
) -> Reference:
    """The reference of a model.

    Args: features: of the rows trained on, by name. day, positive, weight: [n] of all rows whose truth is known, of the
    training and of the test. test_...: [m] of the rows of the test days.
    """
    days, place = np.unique(day, return_inverse=True)
    rows = np.bincount(place, weight, len(days))
    positives = np.bincount(place, weight * positive, len(days))
    scores = NumberSketch()
    scores.update(test_score)
    sketches = sketch_columns(features)
    return Reference(
        sketches,
        scores,
        tuple(zip(rows.tolist(), positives.tolist(), strict=True)),
        measure_ranking(test_positive, test_score, test_unit),
        _sway({**sketches, SCORES: scores}, {**test_features, SCORES: test_score}, test_day),
    )


def _sway(
    sketches: Mapping[str, Sketch], features: Mapping[str, NDArray[Any]], day: NDArray[np.int64]
) -> dict[str, Sway]:
    of_day = [day == each for each in np.unique(day)]
    found = {}
    for name, sketch in sketches.items():
        days = (sketch_columns({name: features[name][rows]})[name].distribution() for rows in of_day)
        found[name] = measure_sway(sketch.distribution(), days)
    return found
