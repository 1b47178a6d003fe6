"""What every model that was trained from a day's rows says about itself, whatever it is made of."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.scoring.inputs import Input, fingerprint, misfit
from lamina.scoring.spec import Spec

DEFAULTS = "the recorded defaults"
"""Where parameters come from that no search chose."""


class Part(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Split(Part):
    """Which days the model was trained and tested on, both ends included, and how the rows were told apart.

    time: the test days follow the training days after `delay_days`, the time in which labels arrive. random: both are
    drawn, with equal shares of the label, from all the days. blocked_from: positive rows from this day on, once known,
    take their units out of the test; None: those from the first training day on.
    """

    kind: Literal["time", "random"]
    train_first: date
    train_last: date
    delay_days: int = Field(ge=0)
    test_first: date
    test_last: date
    blocked_from: date | None = None


class Rows(Part):
    """How many rows there were: for training, of them used after under-sampling, and in the test.

    train_positives, test_positives: those with the label, by the names that the file has had since fraud was the only
    one. unknown: rows of the training days that were left out, as their truth cannot be known. let_through: rows that
    count for declined ones. labels_late: share of the training days' labels that took longer than `delay_days`.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    train: int
    train_positives: int = Field(alias="train_frauds")
    used: int
    test: int
    test_positives: int = Field(alias="test_frauds")
    unknown: int = 0
    let_through: int = 0
    labels_late: float | None = None


class TrainedSpec(Spec):
    """Everything about a model but what it is made of, and its weights.

    `negatives_kept` is the share of negative training rows that was used. `parameters_from` says who chose the
    parameters; `money` what each policy would have cost in the test.
    """

    remedy = "train the model anew with this version"

    system: str
    logical_date: date
    inputs: tuple[Input, ...]
    negatives_kept: float = Field(1.0, gt=0, le=1)
    split: Split
    rows: Rows
    seed: int
    parameters_from: str = DEFAULTS
    money: dict[str, dict[str, float]] = Field(default_factory=dict)
    metrics: dict[str, float]
    git_commit: str
    libraries: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the weights' columns."""
        return tuple(i.name for i in self.inputs)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any input's name, place or meaning."""
        return fingerprint(self.inputs)

    @property
    def made_of(self) -> str:
        """What it is made of, in words for its card."""
        raise NotImplementedError

    def check_against(self, features: FeatureSet) -> None:
        """Nothing, when every input still means what it meant in training; other features may have been added.

        Raises: ModelUnavailable: names the inputs that are gone or changed.
        """
        if complaint := misfit(self.inputs, features):
            raise ModelUnavailable(
                f"the {self.system} model of {self.logical_date} (features {self.fingerprint}) does not fit the "
                f"definitions: {complaint}. Train it again (python -m models.{self.system}.train --date D) "
                "or bring those definitions back"
            )
