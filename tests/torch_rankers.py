"""`python -m tests.torch_rankers FOLDER`: rankers trained for real on the examples in FOLDER, all in one process.

In `FOLDER/<name>` lie examples; the network comes to `FOLDER/<name>-network`, by the command itself. Others are trained
without export, which takes longer than they do; what is found of them and of the losses is in `answers.json`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lamina.scoring.network import NETWORK_FILE
from lamina.scoring.ranker.heads import Head
from lamina.training.ranking.data import Examples, Shown
from lamina.training.ranking.loss import HeadLosses
from lamina.training.ranking.network import RankerNetwork
from lamina.training.ranking.settings import RankerSettings
from lamina.training.ranking.train import main as train_all
from lamina.training.ranking.train import trained
from tests.rankers import ANSWERS, AWARE, BLIND, KINDS, PROBES


def margins(network: Any, rows: Any) -> list[list[float]]:
    """What the network says of float32[n, inputs + 1]."""
    with torch.inference_mode():
        found: list[list[float]] = network.eval()(torch.from_numpy(np.asarray(rows, np.float32))).tolist()
    return found


def minima() -> list[float]:
    """Margins at which the loss of two heads over the same rows is least: the rows' odds, and the mean by its unit."""
    truth = np.array([[1, 0], [0, 0], [0, 9], [1, 6], [np.nan, np.nan]], np.float32)
    weight = np.array([1, 1, 1, 3, 5], np.float32)
    rows = Shown(np.zeros((5, 1), np.float32), truth, np.zeros(5, np.int64), weight)
    examples = Examples((Head(name="a"), Head(name="b", kind="quantity")), (0,), replace(rows, weight=weight**0), rows)
    loss = HeadLosses(examples, RankerSettings(), rows)
    found = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=100)

    def step() -> Any:
        optimiser.zero_grad()
        value = loss(found.expand(5, 2))
        value.backward()
        return value

    optimiser.step(step)
    return [float(value) for value in found.detach()]


def parts_of_the_loss(examples: Examples) -> dict[str, float]:
    """The loss at margins of 0: of all rows, of the halves of them, and with one head counting double."""
    settings, n = RankerSettings(), len(examples.learn) // 2 * 2
    zeros = torch.zeros(n, len(examples.heads))
    loss = HeadLosses(examples, settings, examples.learn)
    double = HeadLosses(examples, replace(settings, loss={"click": 2.0}), examples.learn)
    order = torch.randperm(n)
    return {
        "all": float(loss(zeros, torch.arange(n))),
        "halves": float(sum(loss(zeros[: n // 2], half) for half in order.chunk(2)) / 2),
        "double": float(double(zeros, torch.arange(n))),
    }


def kinds(examples: Examples, settings: RankerSettings) -> dict[str, Any]:
    """Margins of the probes before any training, of texts in the order of `KINDS` and of places."""
    torch.manual_seed(1)
    network = RankerNetwork(examples, settings)
    places: Any = network.places
    torch.nn.init.normal_(places.weight)
    found = {name: margins(network, [PROBES[kind] for kind in names]) for name, names in KINDS.items()}
    return found | {"places": places.weight.tolist()}


def main(folder: Path) -> None:
    """Train those that are exported, then the others."""
    torch.set_num_threads(1)
    sys.argv = ["train", *(str(folder / f"{name}{end}") for name in (AWARE, BLIND) for end in ("", "-network"))]
    train_all()
    examples, settings = Examples.read(folder / AWARE), RankerSettings.read(folder / AWARE)
    short = replace(settings, epochs=2)
    probes = list(PROBES.values())
    kept = torch.export.load(folder / f"{AWARE}-network" / NETWORK_FILE).module()
    again, other = (trained(examples, replace(short, seed=seed)) for seed in (0, 1))
    once_more = trained(examples, short)
    found = {
        "again": [margins(each[0], probes) for each in (again, once_more, other)],
        "folded": [margins(each, probes) for each in (again[0], again[0].folded())],
        "losses": once_more[1],
        "exported": kept(torch.tensor(probes, dtype=torch.float32)).tolist(),
        "minima": minima(),
        "loss": parts_of_the_loss(examples),
        "kinds": kinds(examples, settings),
    }
    (folder / ANSWERS).write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
