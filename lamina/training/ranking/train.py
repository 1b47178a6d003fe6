"""`python -m lamina.training.ranking.train FOLDER OUT [FOLDER OUT ...]`

Trains a ranker on the examples in each FOLDER and writes the network as it is served to OUT: `network.onnx`,
`network.pt2`, and last `done.json` with the losses and the version of torch. What is finished is left as it is. The
same examples and settings give the same network on the same machine: one thread, and every draw by the seed.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from lamina.scoring.export import compile_network
from lamina.scoring.network import COMPILED_FILE, NETWORK_FILE
from lamina.training.ranking.data import Examples, Shown
from lamina.training.ranking.loss import HeadLosses
from lamina.training.ranking.network import RankerNetwork
from lamina.training.ranking.settings import DONE_FILE, RankerSettings


def trained(examples: Examples, settings: RankerSettings) -> tuple[RankerNetwork, list[float]]:
    """The network after the epoch that was best on the validation rows, and each epoch's loss there."""
    torch.manual_seed(settings.seed)
    network = RankerNetwork(examples, settings)
    optimiser = torch.optim.AdamW(_groups(network, settings), lr=settings.rate, weight_decay=settings.decay)
    learn, valid = _rows(examples.learn), _rows(examples.valid)
    loss, watched = (HeadLosses(examples, settings, rows) for rows in (examples.learn, examples.valid))
    found: list[float] = []
    best: Any = None
    for _ in range(settings.epochs):
        network.train()
        order = torch.randperm(len(learn))
        # Whole batches; what is left over comes in another order in the next epoch.
        size = min(settings.batch, len(order))
        for begin in range(0, len(order) - size + 1, size):
            places = order[begin : begin + size]
            optimiser.zero_grad()
            loss(network(learn[places]), places).backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            found.append(float(watched(network(valid))))
        if found[-1] == min(found):
            best = copy.deepcopy(network.state_dict())
        elif len(found) - found.index(min(found)) > settings.patience:
            break
    network.load_state_dict(best)
    return network, found


def _groups(network: RankerNetwork, settings: RankerSettings) -> list[dict[str, Any]]:
    """Matrices decay, vectors do not; what positions add has a rate of its own."""
    places = [] if network.places is None else [network.places.weight]
    others = [each for each in network.parameters() if not any(each is place for place in places)]
    return [
        {"params": [each for each in others if each.ndim > 1]},
        {"params": [each for each in others if each.ndim == 1], "weight_decay": 0.0},
        {"params": places, "weight_decay": 0.0, "lr": settings.position_rate},
    ]


def _rows(shown: Shown) -> Any:
    """float32[n, inputs + 1], the position last."""
    return torch.cat([torch.from_numpy(shown.matrix), torch.from_numpy(shown.position)[:, None].float()], dim=1)


def train(folder: Path, out: Path) -> None:
    """See the module.

    Raises: ExportError: the compiled network gives something else than torch.
    """
    if (out / DONE_FILE).exists():
        return
    examples = Examples.read(folder)
    network, losses = trained(examples, RankerSettings.read(folder))
    exported, compiled = compile_network(network.folded(), len(examples.sizes) + 1, len(examples.heads))
    out.mkdir(parents=True, exist_ok=True)
    torch.export.save(exported, out / NETWORK_FILE)
    (out / COMPILED_FILE).write_bytes(compiled)
    (out / DONE_FILE).write_text(json.dumps({"losses": losses, "torch": torch.__version__}), encoding="utf-8")


def main() -> None:
    """One after the other."""
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    torch.use_deterministic_algorithms(True)
    folders = [Path(name) for name in sys.argv[1:]]
    for folder, out in zip(folders[::2], folders[1::2], strict=True):
        train(folder, out)


if __name__ == "__main__":
    main()
