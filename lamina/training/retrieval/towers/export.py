"""Trained towers as files that serving opens without torch: tables as arrays, heads compiled, vectors of all items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lamina.scoring.export import compile_network
from lamina.scoring.retrievers.towers import HEADS, TABLES
from lamina.training.retrieval.towers.data import Examples
from lamina.training.retrieval.towers.settings import DONE_FILE


def export_towers(towers: Any, examples: Examples, losses: list[float], out: Path) -> None:
    """Write everything into `out`; `done.json` with the losses comes last.

    Raises: ExportError: a head's compiled form gives something else than torch.
    """
    towers = towers.cpu().eval()
    for name in TABLES:
        table = getattr(towers, name).weight.detach().numpy()
        # Buckets of words count from 0; their table has a row of zeros before, for training alone.
        np.save(out / f"{name}.npy", table[1:] if name.endswith("_words") else table)
    for name in HEADS:
        width = towers.item_ids.weight.shape[1]
        (out / f"{name}.onnx").write_bytes(compile_network(getattr(towers, name), width, width)[1])
    with torch.inference_mode():
        places = torch.arange(1, len(examples.items) + 1)
        np.save(out / "vectors.npy", towers.items(places, torch.from_numpy(examples.item_words)).numpy())
    np.save(out / "users.npy", np.array(examples.users, dtype=np.str_))
    (out / DONE_FILE).write_text(json.dumps({"losses": losses}), encoding="utf-8")
