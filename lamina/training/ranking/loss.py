"""What a head loses on a row, by its kind; a head whose truth is not known of a row loses nothing there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lamina.training.ranking.data import Examples, Shown
from lamina.training.ranking.settings import RankerSettings


class HeadLosses:
    """Loss of all heads on `rows`: the sum of each head's mean over the rows whose truth is known, by their weights.

    binary: log loss. quantity: weighted logistic regression (Covington et al. 2016, for watch time), in which every row
    counts once as a negative, and y times as a positive, y in means of the rows learnt from:

        loss = y * softplus(-margin) + softplus(margin)

    It is least where the odds, e^margin, are the mean of y. Its slope, (e^margin - y) / (1 + e^margin), is an error by
    the size of what was expected: a few huge rows do not drown the others, as they would in squared errors.
    """

    def __init__(self, examples: Examples, settings: RankerSettings, rows: Shown) -> None:
        quantity = np.array([head.kind == "quantity" for head in examples.heads])
        unit = np.where(quantity, _means(examples.learn), 1.0)
        truth, weight = rows.truth / unit, rows.weight.astype(np.float64)
        known = ~np.isnan(truth)
        counts = np.array([settings.loss.get(head.name, 1.0) for head in examples.heads])
        factor = counts * len(rows) / (known * weight[:, None]).sum(axis=0)
        self._truth = torch.from_numpy(np.where(known, truth, 0.0).astype(np.float32))
        self._weight = torch.from_numpy((known * weight[:, None] * factor).astype(np.float32))
        self._quantity = torch.from_numpy(quantity)

    def __call__(self, margins: Any, places: Any = slice(None)) -> Any:
        """Of the rows at `places`, whose margins are [n, heads]: as many drawn rows stand for all."""
        truth, weight = self._truth[places], self._weight[places]
        others = torch.where(self._quantity, 1.0, 1.0 - truth)
        losses = truth * functional.softplus(-margins) + others * functional.softplus(margins)
        return (losses * weight).mean(dim=0).sum()


def _means(rows: Shown) -> NDArray[np.float64]:
    """Of each head the mean truth, by the weights of the rows of which it is known."""
    truth, weight = rows.truth.astype(np.float64), rows.weight.astype(np.float64)[:, None]
    known = ~np.isnan(truth)
    found: NDArray[np.float64] = (np.where(known, truth, 0.0) * weight).sum(axis=0) / (known * weight).sum(axis=0)
    return found
