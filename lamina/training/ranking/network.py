"""A ranker as a module of torch: inputs as they are served, a position, and a margin for each head."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from lamina.scoring.linear import WIDEST, squashed
from lamina.training.ranking.data import Examples
from lamina.training.ranking.settings import RankerSettings

START = 0.1
"""Deviation of an embedding's numbers at the start."""


class RankerNetwork(nn.Module):
    """From float32[n, inputs + 1], the position last, to margins [n, heads]. It does its own scaling.

    Numbers are squashed as in `lamina.scoring.linear`, then of mean 0 and deviation 1 over the rows learnt from; where
    one is missing, it is the mean, and an indicator says so. The position adds to each head's margin, and meets no
    other input: what it explains is taken off the rest, and at one position for all it moves no order.
    """

    def __init__(self, examples: Examples, settings: RankerSettings) -> None:
        super().__init__()
        sizes = np.array(examples.sizes, np.int64)
        learnt = squashed(examples.learn.matrix[:, sizes == 0].astype(np.float64))
        missing = np.isnan(learnt)
        counts = np.maximum((~missing).sum(axis=0), 1)
        mean = np.where(missing, 0.0, learnt).sum(axis=0) / counts
        deviation = np.sqrt(np.where(missing, 0.0, (learnt - mean) ** 2).sum(axis=0) / counts)
        for name, values in (
            ("numbers", np.flatnonzero(sizes == 0)),
            ("texts", np.flatnonzero(sizes > 0)),
            ("largest", sizes[sizes > 0] - 1),
            ("sometimes", np.flatnonzero(missing.any(axis=0))),
            ("mean", mean.astype(np.float32)),
            ("deviation", np.where(deviation > 0, deviation, 1.0).astype(np.float32)),
        ):
            self.register_buffer(name, torch.from_numpy(np.asarray(values)))
        self.tables = nn.ModuleList(_table(int(size), settings.embedding) for size in sizes[sizes > 0])
        width = len(mean) + int(missing.any(axis=0).sum()) + settings.embedding * len(self.tables)
        layers: list[nn.Module] = []
        for units in settings.hidden:
            # The normalisation has a constant of its own.
            layers += [nn.Linear(width, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
            layers.append(nn.Dropout(settings.dropout))
            width = units
        self.layers = nn.Sequential(*layers)
        self.heads = nn.Linear(width, len(examples.heads))
        self.places = nn.Embedding(settings.positions + 1, len(examples.heads)) if settings.positions else None
        if self.places is not None:
            nn.init.zeros_(self.places.weight)

    def forward(self, rows: Any) -> Any:
        """Margins [n, heads]: log-odds of binary heads; of quantities the logarithm, in means of what was learnt."""
        numbers = rows[:, self.numbers]
        missing = torch.isnan(numbers)
        numbers = torch.where(missing, 0.0, numbers)
        numbers = torch.sign(numbers) * torch.log1p(torch.abs(numbers))
        scaled = torch.clamp((numbers - self.mean) / self.deviation, -WIDEST, WIDEST)
        parts = [torch.where(missing, 0.0, scaled), missing[:, self.sometimes].to(rows.dtype)]
        codes = torch.minimum(rows[:, self.texts].clamp(min=0).long(), self.largest)
        parts += [table(codes[:, place]) for place, table in enumerate(self.tables)]
        margins = self.heads(self.layers(torch.cat(parts, dim=1)))
        if self.places is None:
            return margins
        return margins + self.places(rows[:, -1].clamp(0, self.places.num_embeddings - 1).long())

    def folded(self) -> RankerNetwork:
        """A copy for serving alone: each normalisation is folded into the layer before it, and nothing is dropped."""
        found: RankerNetwork = copy.deepcopy(self).eval()
        linear = [layer for layer in found.layers if isinstance(layer, nn.Linear)]
        normal = [layer for layer in found.layers if isinstance(layer, nn.BatchNorm1d)]
        layers: list[nn.Module] = []
        for one, other in zip(linear, normal, strict=True):
            layers += [fuse_linear_bn_eval(one, other), nn.ReLU()]
        found.layers = nn.Sequential(*layers)
        return found


def _table(rows: int, width: int) -> nn.Embedding:
    """The last row, for what was not there in training, is zeros until something is."""
    made = nn.Embedding(rows, width)
    with torch.no_grad():
        made.weight.normal_(std=START)
        made.weight[-1] = 0.0
    return made
