"""What a ranker is: `spec.json` beside its network and its weights."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lamina.scoring.protocol import SCORE
from lamina.scoring.ranker.heads import ServedHead
from lamina.scoring.trained_spec import TrainedSpec

KIND: Literal["ranker"] = "ranker"


class RankerSpec(TrainedSpec):
    """Everything about a ranker but its network and the weights of its heads.

    heads: in the order of the network's outputs. position: at which every candidate is scored, from 1, the top; values
    are those that a candidate would have if it were shown there. parameters: how it was trained, in words and numbers.
    """

    remedy = "train the ranker anew with this version"

    format: Literal[1] = 1
    kind: Literal["ranker"] = KIND
    heads: tuple[ServedHead, ...] = Field(min_length=1)
    position: int = Field(1, ge=1)
    parameters: dict[str, float | int | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [head.name for head in self.heads]
        if len({*names, SCORE}) <= len(names):
            raise ValueError(f"heads need names of their own, other than {SCORE!r}: {', '.join(names)}")
        return self

    @property
    def made_of(self) -> str:
        """What it is made of, in words for its card."""
        heads = ", ".join(f"{head.name} ({head.unit or head.kind})" for head in self.heads)
        return f"a shared network with the heads {heads}, calibrated and weighed"
