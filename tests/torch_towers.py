"""`python -m tests.torch_towers EXAMPLES FILE`: what towers and their parts do in torch, as JSON. In a process of its
own, as `tests.torch_networks`. Under torchrun, what several processes make of the same batches together.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from lamina.training.retrieval.towers.loss import in_batch_loss, known_among
from lamina.training.retrieval.towers.network import BatchNorm
from lamina.training.retrieval.towers.together import gathered, rank
from lamina.training.retrieval.towers.train import trained

ITEMS, SHARES, AFFINITY = 5, [0.4, 0.3, 0.15, 0.1, 0.05], [0.3, -0.2, 0.5, 0.1, -0.7]
"""Items, how often each is drawn, and how much they are liked beyond that: P(item | user) ~ share * exp(affinity)."""


TRUTH = torch.tensor(SHARES) * torch.tensor(AFFINITY).exp()


def learnt(sign: float) -> list[float]:
    """Scores of the items, learnt from draws, with `sign` times the logarithm of the shares as correction."""
    torch.manual_seed(0)
    scores = torch.zeros(ITEMS, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.05)
    for _ in range(200):
        own = torch.multinomial(TRUTH, 256, replacement=True)
        users, items = torch.ones(256, 1), scores[own].unsqueeze(1)
        nothing = torch.zeros(256, 1, dtype=torch.long)
        count = (256 * TRUTH / TRUTH.sum())[own].log()
        loss = in_batch_loss(users, items, own, own, nothing, sign * count, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return [float(value) for value in (scores - scores.mean()).detach()]


def batch_norm() -> dict[str, Any]:
    """Ours and torch's on the same rows, in training and after it."""
    torch.manual_seed(1)
    ours, theirs, rows = BatchNorm(3), torch.nn.BatchNorm1d(3), torch.randn(8, 3) * 2 + 1
    outputs = [layer(rows).tolist() for layer in (ours, theirs)]
    evaluated = [layer.eval()(rows).tolist() for layer in (ours, theirs)]
    return {"training": outputs, "evaluation": evaluated}


def whole() -> dict[str, Any]:
    """Output and gradients of one batch: normalised, each row told from all of the batch; of this process's rows."""
    torch.manual_seed(2)
    rows, items = torch.randn(8, 3), torch.randn(8, 3)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    own = slice(rank() * 8 // count, (rank() + 1) * 8 // count)
    mine, other = rows[own].clone().requires_grad_(), items[own].clone().requires_grad_()
    norm, ids = BatchNorm(3), torch.arange(8)
    nothing = torch.zeros(len(mine), 1, dtype=torch.long)
    loss = in_batch_loss(norm(mine), gathered(other), ids[own], ids, nothing, torch.zeros(8), own.start)
    loss.backward()
    return {"loss": float(loss), "users": (mine.grad / count).tolist(), "items": (other.grad / count).tolist()}


def taught(examples: Path, out: Path) -> dict[str, Any]:
    """The loss of every step of a training that nothing interrupts, and the vectors that items have after it."""
    training = trained(examples, out)
    towers, words = training.towers.eval(), torch.from_numpy(training.examples.item_words)
    with torch.inference_mode():
        vectors = towers.items(torch.arange(1, len(training.examples.items) + 1), words)
    return {"losses": training.losses, "vectors": vectors.tolist()}


def main(examples: Path, out: Path) -> None:
    """Write what was found; under torchrun each process its own part."""
    torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
        found = {"whole": whole(), **taught(examples, out.parent / "together")}
        out.with_suffix(f".{rank()}").write_text(json.dumps(found))
        distributed.destroy_process_group()
        return
    met = torch.tensor([[3, 0, 0], [1, 5, 0]])
    found = {
        "signs": {str(sign): learnt(sign) for sign in (1, 0, -1)},
        "truth": (TRUTH.log() - TRUTH.log().mean()).tolist(),
        "batch_norm": batch_norm(),
        "whole": whole(),
        **taught(examples, out.parent / "alone"),
        "known": known_among(torch.tensor([4, 2, 4, 9]), met).tolist(),
    }
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
