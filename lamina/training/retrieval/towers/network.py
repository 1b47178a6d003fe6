"""The towers as modules of torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lamina.training.retrieval.towers.data import Examples
from lamina.training.retrieval.towers.settings import TowerSettings
from lamina.training.retrieval.towers.together import added, processes

MOMENTUM = 0.1
EPSILON = 1e-5
START = 0.4
"""Length of an embedding at the start, about."""


class BatchNorm(nn.Module):
    """Batch normalisation over the rows of all processes; torch's own does that on GPUs only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, rows: Any) -> Any:
        """[n, width], each column of mean 0 and deviation 1, then scaled."""
        if not self.training:
            return (rows - self.mean) / torch.sqrt(self.variance + EPSILON) * self.weight + self.bias
        count = len(rows) * processes()
        mean = added(rows.sum(dim=0)) / count
        variance = added(((rows - mean) ** 2).sum(dim=0)) / count
        with torch.no_grad():
            self.mean += MOMENTUM * (mean - self.mean)
            self.variance += MOMENTUM * (variance * count / max(count - 1, 1) - self.variance)
        return (rows - mean) / torch.sqrt(variance + EPSILON) * self.weight + self.bias


class Head(nn.Module):
    """From the sum of embeddings to the vector: what is exported.

    No constant is learnt that changes no loss, as one would before a normalisation: rounding errors would drive it.
    """

    def __init__(self, settings: TowerSettings, shifted: bool) -> None:
        super().__init__()
        width, hidden = settings.dimensions, settings.hidden
        layers = [nn.Linear(width, hidden, bias=False), BatchNorm(hidden), nn.ReLU()] if hidden else []
        self.layers = nn.Sequential(*layers, *([nn.Linear(hidden, width, bias=False)] if hidden else []))
        self.scale = nn.Parameter(torch.ones(width))
        # What is left of a user of whom nothing is known: by it he is offered what most like. To all items alike it
        # would add the same.
        self.shift = nn.Parameter(torch.zeros(width)) if shifted else None

    def forward(self, rows: Any) -> Any:
        """[n, dimensions]."""
        found = self.scale * (rows + self.layers(rows) if len(self.layers) else rows)
        return found if self.shift is None else found + self.shift


class TwoTowers(nn.Module):
    """Both towers. Row 0 of each table stays zeros."""

    def __init__(self, examples: Examples, settings: TowerSettings) -> None:
        super().__init__()
        width = settings.dimensions

        def table(rows: int) -> nn.Embedding:
            made = nn.Embedding(rows, width, padding_idx=0)
            with torch.no_grad():
                made.weight.normal_(std=START / width**0.5)
                made.weight[0] = 0.0
            return made

        self.user_ids, self.item_ids = table(len(examples.users) + 1), table(len(examples.items) + 1)
        for ids, met in ((self.user_ids, examples.user), (self.item_ids, examples.item)):
            # Who is in no pair would keep what he began with, which is chance.
            absent = torch.ones(len(ids.weight), dtype=torch.bool)
            absent[torch.from_numpy(met) + 1] = False
            with torch.no_grad():
                ids.weight[absent] = 0.0
        self.history = table(len(examples.items) + 1)
        self.user_words, self.item_words = (table(settings.buckets + 1) for _ in range(2))
        self.user_head, self.item_head = Head(settings, shifted=True), Head(settings, shifted=False)

    def forward(self, user: Any, history: Any, user_words: Any, item: Any, item_words: Any) -> tuple[Any, Any]:
        """Vectors [n, dimensions] of users and of items; all arguments are rows of tables, 0 for none."""
        users = self.user_ids(user) + _bag(self.history, history, 0.5) + _bag(self.user_words, user_words, 1.0)
        return self.user_head(users), self.items(item, item_words)

    def items(self, item: Any, words: Any) -> Any:
        """Vectors of items."""
        return self.item_head(self.item_ids(item) + _bag(self.item_words, words, 1.0))


def _bag(table: nn.Embedding, rows: Any, power: float) -> Any:
    """Sum over the rows that are not 0, by their number to the `power`: 1 is the mean."""
    there = rows > 0
    counts = there.sum(dim=1)
    offsets = counts.cumsum(0) - counts
    found = functional.embedding_bag(rows[there], table.weight, offsets, mode="sum")
    return found / counts.clamp(min=1).unsqueeze(1).to(found.dtype) ** power
