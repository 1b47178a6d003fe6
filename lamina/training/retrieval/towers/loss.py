"""In-batch softmax: each pair's item is to be told from the items of all other pairs of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def in_batch_loss(users: Any, items: Any, own: Any, everybodys: Any, met: Any, log_count: Any, first: int) -> Any:
    """Mean cross entropy of n users over the m items of the whole batch.

    An item that is drawn often is a negative often, and would be pushed down for it. The logarithm of how often it is
    expected in a batch is taken *off* its score as a negative (logQ), so that the sum over the batch stands for the sum
    over all items. The user's own item is there for certain, not by a draw, and keeps its score. An item that the user
    has met is no negative of his: the history would tell it, and what it speaks for would be pushed down.

    Args: users: [n, d]; items: [m, d], of all processes; own: int64[n], item of each user; everybodys: int64[m]; met:
    int64[n, h], items + 1 of each user, 0 for none; log_count: [m]; first: place of the first user's item among all.
    """
    scores = users @ items.T
    place = torch.arange(len(users), device=users.device) + first
    no_negative = known_among(everybodys, torch.cat([met, own.unsqueeze(1) + 1], dim=1))
    negatives = (scores - log_count).masked_fill(no_negative, float("-inf"))
    return functional.cross_entropy(
        torch.scatter(negatives, 1, place[:, None], scores.gather(1, place[:, None])), place
    )


def known_among(items: Any, met: Any) -> Any:
    """bool[n, m]: which of the m items each of n users has met, by int64[n, h], items + 1, 0 for none."""
    distinct, place = torch.unique(items, return_inverse=True)
    at = torch.searchsorted(distinct, (met - 1).clamp(min=0)).clamp(max=len(distinct) - 1)
    there = (distinct[at] == met - 1).nonzero()
    found = torch.zeros(len(met), len(distinct), dtype=torch.bool, device=items.device)
    found[there[:, 0], at[there[:, 0], there[:, 1]]] = True
    return found[:, place]
