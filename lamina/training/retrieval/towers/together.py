"""Several processes as one: what each has gathered or added up, with gradients that are those of the whole.

Each process's loss is a mean over its own rows, and DistributedDataParallel takes the mean of the gradients over the
processes. What a process gives to others therefore gets the sum of the gradients of all of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed


def processes() -> int:
    """How many there are."""
    return int(distributed.get_world_size()) if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(distributed.get_rank()) if distributed.is_initialized() else 0


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Any) -> Any:
        ctx.rows = len(own)
        return _rows_of_all(own)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return _sum_of_all(gradient)[rank() * ctx.rows : (rank() + 1) * ctx.rows]


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Any) -> Any:
        return _sum_of_all(own)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return _sum_of_all(gradient)


def gathered(own: Any) -> Any:
    """The rows of all processes, [processes * n, ...], in the order of their ranks."""
    if processes() == 1:
        return own
    return _Gathered.apply(own) if own.is_floating_point() else _rows_of_all(own)


def added(own: Any) -> Any:
    """The sum over all processes."""
    return own if processes() == 1 else _Added.apply(own)


def _rows_of_all(own: Any) -> Any:
    parts = [torch.empty_like(own) for _ in range(processes())]
    distributed.all_gather(parts, own.contiguous())
    return torch.cat(parts)


def _sum_of_all(own: Any) -> Any:
    whole = own.contiguous().clone()
    distributed.all_reduce(whole)
    return whole
