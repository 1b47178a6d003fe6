"""Two towers as a method like any other: the training runs in the environment with torch, in processes of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.files import read_arrays
from lamina.scoring.retrievers.tokens import NONE, Tokens
from lamina.scoring.retrievers.towers import Towers
from lamina.training.retrieval.towers.data import write_examples
from lamina.training.retrieval.towers.settings import DONE_FILE, TowerSettings
from lamina.training.torch_process import ENVIRONMENT, run

MODULE = "lamina.training.retrieval.towers.train"


@dataclass(frozen=True)
class TrainTowers:
    """Implements `Method`. `user_words` and `item_words` are what is known beside who met what; processes: that train
    together, on this machine.
    """

    name: ClassVar[str] = "towers"

    settings: TowerSettings = field(default_factory=TowerSettings)
    user_words: Tokens = field(default=NONE, repr=False)
    item_words: Tokens = field(default=NONE, repr=False)
    processes: int = 1

    def fit(self, seen: Interactions) -> Towers:
        """See `Method.fit`.

        Raises: BadSetting; NoExamples; TrainingFailed: says what the training said last.
        """
        self.settings.check()
        with tempfile.TemporaryDirectory(prefix="lamina-towers-") as name:
            folder, out = Path(name) / "examples", Path(name) / "towers"
            write_examples(seen, folder, self.settings, self.user_words, self.item_words)
            run_training(folder, out, self.processes)
            found = Towers.opened(seen.items, read_arrays(out), {"longest": self.settings.longest})
        return found.knowing(self.user_words)


def run_training(folder: Path, out: Path, processes: int = 1) -> None:
    """Train on the examples in `folder`; with the same `out` again, it goes on where it was killed.

    Raises: TrainingFailed: there is no environment with torch, or the training failed.
    """
    if (out / DONE_FILE).exists():
        return
    run(command(folder, out, processes), "towers")


def command(folder: Path, out: Path, processes: int) -> list[str]:
    """What starts the training."""
    if processes == 1:
        return [str(ENVIRONMENT / "bin" / "python"), "-m", MODULE, str(folder), str(out)]
    launcher = [str(ENVIRONMENT / "bin" / "torchrun"), "--standalone", f"--nproc-per-node={processes}"]
    return [*launcher, "-m", MODULE, str(folder), str(out)]
