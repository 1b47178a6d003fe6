"""How the ranker of a system is made: what `models/<system>` gives, and the training does the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError
from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table, TrainingSetError, split_days
from lamina.scoring.ranker.heads import Head
from lamina.scoring.ranker.weights import HeadWeights
from lamina.scoring.trained_spec import Split
from lamina.training.ranking.settings import RankerSettings


class BadRecipe(LaminaError):
    """Parts of a recipe that do not fit each other."""


@dataclass(frozen=True)
class RankingRecipe:
    """A ranker for a problem.

    label: the binary head whose truth is the problem's label; versions are compared by how the score tells it. What
    became of a row in the other heads is in the column of the head's name, of the problem's `columns` or `beside`:
    missing where it is not known. A quantity is what was counted until its window was over, known of a row once that
    is, whatever it became: rows whose quantity still grows are missing, and so is none for being large.

    position: the column with the place at which a row was shown, missing where it is not known; None where rows have
    none, and then no places are told apart. top: what this column calls the top, such as 0; each place below is one
    more. served_at: the place at which all candidates are scored, 1 for the top, of which rows to learn from are known.
    """

    problem: Problem
    heads: tuple[Head, ...]
    label: str
    weights: HeadWeights
    position: str | None = None
    top: int = 1
    served_at: int = 1
    settings: RankerSettings = field(default_factory=RankerSettings)

    def check(self) -> None:
        """Nothing, where all parts fit each other.

        Raises: BadRecipe; BadWeights; BadRankerSetting: names what does not.
        """
        names = [head.name for head in self.heads]
        if self.label not in {head.name for head in self.heads if head.kind == "binary"}:
            raise BadRecipe(f"{self.label!r} is to be the label, and is no binary head: there are {', '.join(names)}")
        if self.served_at < 1:
            raise BadRecipe(f"served_at is {self.served_at}: count places from 1, the top, on")
        self.weights.of(names)
        self.settings.check(names)

    def truth(self, rows: Table) -> Floats:
        """float64[n, heads]: what became of each row, quantities cut at their `most`, NaN where it is not known.

        Raises: TrainingSetError: a head has no column, or a truth that it cannot have.
        """
        found = [
            rows.positive.astype(np.float64) if head.name == self.label else _column(rows, head.name)
            for head in self.heads
        ]
        for head, values in zip(self.heads, found, strict=True):
            known = values[~np.isnan(values)]
            if not np.isfinite(known).all() or (known < 0).any():
                raise TrainingSetError(f"column {head.name!r} holds what is no number from 0 on")
            if head.kind == "binary" and not np.isin(known, (0.0, 1.0)).all():
                raise TrainingSetError(f"column {head.name!r} of a binary head holds other numbers than 0 and 1")
        most = [np.inf if head.most is None else head.most for head in self.heads]
        return np.minimum(np.column_stack(found), most)

    def positions(self, rows: Table) -> NDArray[np.int64]:
        """int64[n]: where each row was shown, 1 for the top, 0 where that is not known.

        Raises: TrainingSetError: there is no such column, or a position in it is none.
        """
        if self.position is None:
            return np.zeros(len(rows), np.int64)
        found = _column(rows, self.position) - self.top + 1
        known = found[~np.isnan(found)]
        if not np.isfinite(known).all() or (known < 1).any() or (known != np.round(known)).any():
            raise TrainingSetError(
                f"column {self.position!r} holds what is no position: whole numbers from {self.top}, the top, on. "
                "Where it counts from 0, say so in the recipe: top=0"
            )
        return np.nan_to_num(found).astype(np.int64)

    def check_served(self, rows: Table) -> None:
        """Nothing, where the place at which candidates are scored is one of `rows`, which are to be learnt from.

        Raises: BadRecipe: says which places they have; TrainingSetError: as `positions`.
        """
        found, last = self.positions(rows), self.settings.positions
        known = found[found > 0]
        if not last or min(self.served_at, last) in np.minimum(known, last):
            return
        places = f"the places {known.min()} to {known.max()}" if len(known) else "no places that are known"
        raise BadRecipe(
            f"served_at is {self.served_at}, where no row to learn from was shown: they have {places}. Score at one "
            "that they have"
        )


@dataclass(frozen=True)
class RankingPlan:
    """Which days to train and to test on; the last `valid_days` of the training days say when to stop, and calibrate.
    `gap_days` as in `split_days`.
    """

    day: date
    train_days: int = 14
    delay_days: int = 1
    test_days: int = 2
    valid_days: int = 2
    gap_days: int | None = None

    @property
    def days(self) -> Split:
        """The days to train and to test on."""
        return split_days(
            self.day,
            train_days=self.train_days,
            delay_days=self.delay_days,
            test_days=self.test_days,
            gap_days=self.gap_days,
        )


def _column(rows: Table, name: str) -> Floats:
    if name not in rows.columns:
        raise TrainingSetError(f"the rows have no column {name!r}: name it in the problem's columns, or beside")
    return np.asarray(rows.columns[name]).astype(np.float64)
