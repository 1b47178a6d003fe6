"""Why an answer is what it is."""

from __future__ import annotations

from typing import Literal

from lamina.contracts.base import Event


class Reason(Event):
    """One cause of an answer: a rule that fired, with its numbers, or a feature that weighed much.

    `weight` of a feature is its contribution to the blended log-odds; of a rule it is absent.
    """

    kind: Literal["rule", "feature", "risk"]
    code: str
    detail: str
    weight: float | None = None
