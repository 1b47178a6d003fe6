"""Several versions of a model as one: its score is the mean of theirs, each with its weight.

Each member lies in a folder of its own beside `spec.json`, as it was registered: native weights and its own spec. All
are ensembles of trees of one system; which inputs each reads is its own business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lamina.contracts.features import FeatureSet
from lamina.scoring import trees
from lamina.scoring.protocol import SCORE, Outputs, Value
from lamina.scoring.trained_spec import Part, TrainedSpec
from lamina.scoring.trees import TreesScorer

KIND: Literal["blend"] = "blend"


class Member(Part):
    """A version that takes part: in which folder, of which day, and with what weight."""

    folder: str = Field(pattern=r"^member-[0-9]+$")
    version: str
    logical_date: date
    weight: float = Field(gt=0, le=1)


class BlendSpec(TrainedSpec):
    """Everything about a blend but its members' weights. `split` has as training days those that the members were
    weighed on.
    """

    remedy = "make the blend anew with this version"

    format: Literal[1] = 1
    kind: Literal["blend"] = KIND
    members: tuple[Member, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sum_is_one(self) -> Self:
        if abs(sum(member.weight for member in self.members) - 1) > 1e-9:
            raise ValueError("the members' weights must add up to 1")
        return self

    @property
    def made_of(self) -> str:
        """What it is made of, in words for its card."""
        parts = (f"{each.weight:.3f} version {each.version} ({each.logical_date})" for each in self.members)
        return f"mean of the scores of past versions, {' + '.join(parts)}"


class BlendScorer:
    """A loaded blend; implements `Scorer`. Safe to use from several threads."""

    def __init__(self, spec: BlendSpec, members: Sequence[TreesScorer], output: str = SCORE) -> None:
        self.spec = spec
        self.system, self.outputs = spec.system, (output,)
        self.names = spec.names
        self.calibrated = all(member.calibrated for member in members)
        self._output = output
        self._members = [(each.weight, member) for each, member in zip(spec.members, members, strict=True)]

    def predict(self, features: Mapping[str, Value]) -> float:
        """See `Scorer.predict`."""
        return sum(weight * member.predict(features) for weight, member in self._members)

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """See `Scorer.predict_batch`."""
        found = np.zeros(len(rows))
        for weight, member in self._members:
            found += weight * member.predict_batch(rows)[member.outputs[0]]
        return {self._output: found}

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """See `Scorer.predict_columns`."""
        found = np.zeros(rows)
        for weight, member in self._members:
            found += weight * member.predict_columns(columns, rows)[member.outputs[0]]
        return {self._output: found}

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """The members' contributions to their log-odds, each with the member's weight, largest in size first.

        They say what speaks for and against; they do not add up to the log-odds of the mean.
        """
        found: dict[str, float] = {}
        for weight, member in self._members:
            for name, part in member.explain(features):
                found[name] = found.get(name, 0.0) + weight * part
        return sorted(found.items(), key=lambda item: -abs(item[1]))


def load(folder: Path, features: FeatureSet, output: str = SCORE) -> BlendScorer:
    """The blend in `folder`, ready to score what `features` define.

    Raises: ModelUnavailable: when a file is missing or broken, or a member does not fit the definitions any more.
    """
    spec = BlendSpec.read(folder)
    spec.check_against(features)
    members = [trees.load(folder / member.folder, features, output) for member in spec.members]
    return BlendScorer(spec, members, output)
