"""Which method and settings: fitted on some of the training rows, measured on others, never on the test's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lamina.errors import LaminaError
from lamina.evaluation.top_k import measure
from lamina.scoring.interactions import Interactions
from lamina.training.retrieval.protocol import Method


class NothingToChoose(LaminaError):
    """No method was given."""


class Tried(NamedTuple):
    """A method with its settings, and what it reached where it was chosen by."""

    method: Method
    value: float


class Choice(NamedTuple):
    """The best, and all that were tried, in the order in which they were given."""

    method: Method
    tried: tuple[Tried, ...]


def choose(
    methods: Sequence[Method], learn: Interactions, valid: Interactions, *, k: int = 10, figure: str = "ndcg"
) -> Choice:
    """The method that, fitted on `learn`, has the largest mean `figure` on `valid`; of equals the first.

    Raises: NothingToChoose: `methods` is empty; NothingToRank: `valid` is empty.
    """
    if not methods:
        raise NothingToChoose("no method of retrieval was given: name one at least")
    tried = tuple(Tried(method, measure(method.fit(learn), learn, valid, k).means()[figure]) for method in methods)
    return Choice(max(tried, key=lambda each: each.value).method, tried)
