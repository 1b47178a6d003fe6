"""Checkpoints that a kill at any moment leaves whole: the last one, or the one before it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from lamina.training.retrieval.towers.settings import CHECKPOINT_FILE


def keep(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` in the place of the checkpoint before: beside it first, renamed when it is on the disk."""
    beside = folder / f"{CHECKPOINT_FILE}.next"
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / CHECKPOINT_FILE)


def kept(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint; None where there is none."""
    file = folder / CHECKPOINT_FILE
    # Tensors, numbers and texts alone: a checkpoint runs no code of whoever wrote it.
    return torch.load(file, weights_only=True) if file.exists() else None
