"""What a ranker says of a candidate: heads by name, and how each one's margin becomes a number that means something."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lamina.scoring.trained_spec import Part

HeadKind = Literal["binary", "quantity"]
Float64s = NDArray[np.float64]


class Head(Part):
    """One thing that a ranker learns.

    binary: whether something happens; its value is a probability. quantity: how much there is of something, 0 or above,
    such as seconds; its value is the mean that is to be expected, in the unit of what was learnt from. most: quantities
    above count as this, in training and in figures, so that the value is the mean of what is cut off there.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: HeadKind = "binary"
    unit: str = ""
    most: float | None = Field(None, gt=0)


class ServedHead(Head):
    """A head after its training: its margin passes a line, `slope` times it plus `intercept`, which changes no order.

    The line gives log-odds of a binary head, and the logarithm of a quantity. mean: of its values of the rows that it
    was calibrated on, at the position that is served: what the score divides by.
    """

    slope: float = Field(gt=0)
    intercept: float
    mean: float = Field(gt=0)

    def value(self, margin: Float64s) -> Float64s:
        """float64[n], probabilities or quantities, of margins float64[n].

        >>> head = ServedHead(name="seen", kind="quantity", unit="s", slope=1.0, intercept=2.0, mean=5.0)
        >>> head.value(np.array([0.0, -2.0])).round(3).tolist()
        [7.389, 1.0]
        """
        line = self.slope * margin + self.intercept
        found: Float64s = np.exp(line) if self.kind == "quantity" else 1.0 / (1.0 + np.exp(-line))
        return found
