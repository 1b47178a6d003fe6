"""`python -m tests.torch_networks FOLDER`: small networks made and exported with torch, and what torch says of them.

In a process of its own: torch and what compiles with it would stay in the memory of every test that follows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from lamina.definitions import activity
from lamina.registry.protocol import MODEL_FOLDER
from lamina.scoring.export import ExportError, export_network
from lamina.scoring.inputs import inputs_of
from lamina.scoring.network import NETWORK_FILE, NetworkSpec
from tests.networks import ANSWERS, HEADS, NAMES, ROWS, SEEDS, SEVERAL

MISFITS = {"four inputs": (4, 1), "two scores": (3, 2)}


def main(folder: Path) -> None:
    """Export a network for each seed, then those that have to be refused; what torch said comes last."""
    spec = NetworkSpec(system="activity", inputs=inputs_of(activity.FEATURES, {}, NAMES))
    scores, refused = {}, {}
    for seed in SEEDS:
        torch.manual_seed(seed)
        layers = torch.nn.Linear(len(NAMES), 8), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(8, 1)
        made = export_network(torch.nn.Sequential(*layers, torch.nn.Sigmoid()), spec, folder / str(seed) / MODEL_FOLDER)
        with torch.inference_mode():
            kept = torch.export.load(made / NETWORK_FILE).module()
            scores[seed] = kept(torch.tensor(ROWS, dtype=torch.float32))[:, 0].tolist()
    torch.manual_seed(SEEDS[0])
    several = spec.model_copy(update={"outputs": HEADS})
    made = export_network(torch.nn.Linear(len(NAMES), len(HEADS)), several, folder / SEVERAL)
    with torch.inference_mode():
        kept = torch.export.load(made / NETWORK_FILE).module()
        heads = kept(torch.tensor(ROWS, dtype=torch.float32)).T.tolist()
    for name, shape in MISFITS.items():
        try:
            export_network(torch.nn.Linear(*shape), spec, folder / name)
        except ExportError as error:
            refused[name] = str(error)
    (folder / ANSWERS).write_text(json.dumps({"scores": scores, "heads": heads, "refused": refused}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
