"""`torchrun --nproc-per-node N -m lamina.training.retrieval.towers.train FOLDER OUT`, or the same by `python -m`.

Trains on the examples in FOLDER and writes tables, heads and vectors to OUT. Started again after it was killed, it goes
on from the last checkpoint in OUT and ends as if it had not been; finished, it does nothing. The same global batches
are drawn with any number of processes, and rank 0 writes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from lamina.training.retrieval.frequency import StreamingFrequency
from lamina.training.retrieval.protocol import BadSetting
from lamina.training.retrieval.towers.checkpoint import keep, kept
from lamina.training.retrieval.towers.data import Examples, read_examples
from lamina.training.retrieval.towers.export import export_towers
from lamina.training.retrieval.towers.loss import in_batch_loss
from lamina.training.retrieval.towers.network import TwoTowers
from lamina.training.retrieval.towers.settings import DONE_FILE, TowerSettings
from lamina.training.retrieval.towers.together import gathered, processes, rank


class Training:
    """Towers on their way: where they stand is a step, and everything that a step changes is kept with it."""

    def __init__(self, examples: Examples, settings: TowerSettings) -> None:
        settings.check()
        torch.manual_seed(settings.seed)
        self.examples, self.settings, self.step = examples, settings, 0
        self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if _on_gpu() else torch.device("cpu")
        self.towers = TwoTowers(examples, settings).to(self.device)
        # Every process computes the same buffers: nothing is to be sent.
        self._run = self.towers if processes() == 1 else DistributedDataParallel(self.towers, broadcast_buffers=False)
        matrices = [each for each in self.towers.parameters() if each.ndim > 1]
        vectors = [each for each in self.towers.parameters() if each.ndim == 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=settings.rate, weight_decay=settings.decay)
        self._frequency = StreamingFrequency(len(examples.items))
        if settings.batch % processes():
            raise BadSetting(
                f"a batch of {settings.batch} cannot be shared by {processes()} processes: take a multiple"
            )
        self.batch = max(1, min(settings.batch, len(examples.user)) // processes())
        counts = np.bincount(examples.item, minlength=len(examples.items))
        self._exact = np.log(np.maximum(counts, 1) / len(examples.item) * self.batch * processes())
        self.losses: list[float] = []

    @property
    def steps_an_epoch(self) -> int:
        """Whole batches; what is left over comes in another order in the next epoch."""
        return len(self.examples.user) // processes() // self.batch

    def batches(self) -> Iterator[Any]:
        """This process's part of each batch that is still to come, as places of pairs."""
        sampler = DistributedSampler(
            range(len(self.examples.user)), processes(), rank(), seed=self.settings.seed, drop_last=True
        )
        while self.step < self.settings.epochs * self.steps_an_epoch:
            epoch, begin = divmod(self.step, self.steps_an_epoch)
            sampler.set_epoch(epoch)
            places = np.fromiter(iter(sampler), np.int64)
            for batch in range(begin, self.steps_an_epoch):
                yield places[batch * self.batch : (batch + 1) * self.batch]

    def learn(self, places: Any) -> float:
        """One step; the loss over the batch of all processes."""
        examples, settings = self.examples, self.settings
        user, item = examples.user[places], examples.item[places]
        known = self._known(places)
        met = examples.histories[user]
        # What is to be told must not be read off the history.
        left = (met != item[:, None] + 1) & self._remembered(places, met.shape[1])
        history = np.where(left, met, 0)
        inputs = (
            (user + 1) * known[0],
            history,
            examples.user_words[user],
            (item + 1) * known[1],
            examples.item_words[item],
        )
        users, items = self._run(*(torch.from_numpy(each).to(self.device) for each in inputs))
        own = torch.from_numpy(item).to(self.device)
        everybodys = gathered(own)
        count = torch.from_numpy(self._log_count(everybodys.cpu().numpy())).to(self.device)
        known_items = torch.from_numpy(met).to(self.device)
        loss = in_batch_loss(
            users / settings.temperature, gathered(items), own, everybodys, known_items, count, rank() * len(item)
        )
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self.step += 1
        return float(gathered(loss.detach().reshape(1)).mean())

    def _log_count(self, drawn: Any) -> Any:
        if self.settings.correction == "none":
            return np.zeros(len(drawn), np.float32)
        if self.settings.correction == "exact":
            return self._exact[drawn].astype(np.float32)
        self._frequency.update(drawn)
        return self._frequency.log_count(drawn).astype(np.float32)

    def _known(self, places: Any) -> Any:
        """bool[2, n]: whether the ids of user and item are shown. By chance, of pair and epoch alone, so that it is the
        same however many processes there are.
        """
        draws = [_mixed(places, self._salt(side), self.settings.seed) for side in range(2)]
        return np.array(draws) >= self.settings.unknown

    def _remembered(self, places: Any, longest: int) -> Any:
        """bool[n, longest]: which items of the histories are read, by chance as `_known`."""
        numbers = places[:, None] * longest + np.arange(longest)
        return _mixed(numbers, self._salt(2), self.settings.seed) >= self.settings.forgotten

    def _salt(self, purpose: int) -> int:
        return self.step // self.steps_an_epoch * 3 + purpose

    def state(self) -> dict[str, Any]:
        """Everything that the next step needs."""
        frequency = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in self._frequency.state().items()
        }
        return {
            "step": self.step,
            "towers": self.towers.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "frequency": frequency,
            "losses": self.losses,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.step, self.losses = state["step"], list(state["losses"])
        self.towers.load_state_dict(state["towers"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._frequency.restore({name: np.asarray(value) for name, value in state["frequency"].items()})


def _mixed(places: Any, salt: int, seed: int) -> Any:
    """float64[n] in [0, 1): numbers by chance that depend on place, salt and seed alone (splitmix64)."""
    mixed = places.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64


def _on_gpu() -> bool:
    return bool(torch.cuda.is_available()) and "LOCAL_RANK" in os.environ


def trained(folder: Path, out: Path) -> Training:
    """All steps done, those before the last checkpoint in `out` by an earlier process."""
    if rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
    settings = TowerSettings.read(folder)
    training = Training(read_examples(folder), settings)
    if (state := kept(out)) is not None:
        training.restore(state)
    for places in training.batches():
        training.losses.append(training.learn(places))
        if rank() == 0 and training.step % settings.checkpoint == 0:
            keep(out, training.state())
            print(json.dumps({"step": training.step, "loss": round(training.losses[-1], 6)}), flush=True)  # noqa: T201
    return training


def train(folder: Path, out: Path) -> None:
    """See the module."""
    if (out / DONE_FILE).exists():
        return
    training = trained(folder, out)
    if rank() == 0:
        export_towers(training.towers, training.examples, training.losses, out)


def main() -> None:
    """Alone, or as one of several that torchrun started."""
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if _on_gpu():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if several:
        distributed.init_process_group("nccl" if _on_gpu() else "gloo")
    try:
        train(Path(sys.argv[1]), Path(sys.argv[2]))
    finally:
        if several:
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
