"""What the model of a system predicts, and by what it is judged: said once in `models/<system>`, read by every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lamina.contracts.features import FeatureSet
from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.contracts.systems import System
from lamina.evaluation.metrics import Flags, Floats, Ints, Texts, accuracy, brier, ranking
from lamina.evaluation.table import Table
from lamina.scoring.trained_spec import TrainedSpec

Figures = Callable[[Table, Floats], dict[str, float]]
"""From rows and their scores, float64[n], figures by the names they are logged under; `auc` and `average_precision` are
among them. Raises ValueError where all rows are of one kind."""

Slices = Callable[[Table], Iterable[tuple[str, Flags]]]
"""Names and masks, bool[n], of the parts that are looked at one by one. Those of one kind may overlap another's."""

Weights = Callable[[str, Texts, Ints, Flags], Floats]
"""For how many rows each counts, float64[n], 0 where its truth cannot be known; from the lake's URL, ids, times in
epoch milliseconds, and whether any label arrived."""

Sections = Callable[[TrainedSpec], Sequence[tuple[str, str]]]
"""Headings and texts in Markdown that only this system's card has."""


@dataclass(frozen=True)
class Words:
    """How messages and the model card speak of the rows.

    predicts: what a score is. row: what a row is, with its article. positive, positives: one label and many; negative:
    what the other rows are called; withheld: rows whose truth decisions kept from being known. unseen, unreported,
    left_out: sentences of the card on what the model has not seen, on labels that never come, and on who is left out of
    the test. at_threshold: the figures at the threshold of few false positives.
    """

    predicts: str
    row: str
    positive: str
    positives: str
    negative: str
    unseen: str
    unreported: str
    left_out: str
    withheld: str = "rows"
    at_threshold: tuple[str, ...] = ("recall_at_fpr_001",)


def _usual(rows: Table, score: Floats) -> dict[str, float]:
    own = {"brier": brier(rows.positive, score), "accuracy": accuracy(rows.positive, score)}
    return ranking(rows.positive, score) | own


def _no_slices(rows: Table) -> Iterable[tuple[str, Flags]]:
    return ()


def _count_alike(lake: str, ids: Texts, timestamp: Ints, labelled: Flags) -> Floats:
    return np.ones(len(ids))


def _nothing_more(spec: TrainedSpec) -> Sequence[tuple[str, str]]:
    return ()


@dataclass(frozen=True)
class Problem:
    """The label of the system of `record`, and how scores of it are judged.

    unit: column with the subject whose rows are no independent evidence, such as a user: its
    rows are drawn together and learnt from together. known_leave: they leave the test once a positive one of it is
    known, as those of a card that is blocked then. figures: by default those of `ranking`, `brier` and `accuracy`.
    columns: further columns of the training set, and `beside`: of the rows it was made for, that the figures and slices
    look at; those are missing (None) where they cannot be had.
    """

    record: System
    unit: str
    words: Words
    figures: Figures = _usual
    slices: Slices = _no_slices
    known_leave: bool = False
    columns: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    weights: Weights = _count_alike
    sections: Sections = _nothing_more

    @property
    def system(self) -> str:
        """The system's name, under which its models are registered."""
        return self.record.name

    @property
    def features(self) -> FeatureSet:
        """What is known of a request."""
        return self.record.features

    @property
    def label(self) -> str:
        """Column of the training set that holds the label, true or false."""
        return self.record.learnt_label.column

    @property
    def inputs(self) -> tuple[str, ...]:
        """Features of a training set that models, figures and slices look at: all that are no lists."""
        lists = {feature.name for feature in self.features.window_features if feature.aggregate.is_list}
        return tuple(name for name in self.features.names if name not in lists)

    @property
    def own_columns(self) -> Mapping[str, None]:
        """Columns of the training set beside the features, in order, each once."""
        request = self.features.request
        return dict.fromkeys((request.id, self.unit, request.timestamp, self.label, LABEL_TIMESTAMP, *self.columns))
