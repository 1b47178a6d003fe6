"""By what weights a ranker's heads make its score: a file beside the network, with a version of its own.

version: 3
weights:
  watched_s: 0.6
  click: 0.3
  like: 0.1
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from lamina.errors import ModelUnavailable
from lamina.yaml_files import read_yaml

WEIGHTS_FILE = "weights.yaml"


class BadWeights(ModelUnavailable):
    """Weights by which no score can be made."""


@dataclass(frozen=True)
class HeadWeights:
    """Of each head by name, 0 or above, not all 0; the score goes by their shares of the sum.

    version: from 1 on, one higher with each change: answers are compared by it.
    """

    version: int
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 1:
            raise BadWeights(f"version {self.version!r} of the heads' weights: count whole numbers from 1 on")
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise BadWeights("there are no weights of heads: give each head's name a number")
        for name, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise BadWeights(f"the weight of head {name!r} is {weight!r}: it is to be a number from 0 on")
        if not sum(self.weights.values()) > 0:
            raise BadWeights("all weights of heads are 0, so that every score would be: give one that is above")

    def of(self, heads: Iterable[str]) -> list[float]:
        """Share of each head's weight in the sum, in the order of `heads`.

        Raises: BadWeights: a head has no weight, or there is one of no head.

        >>> HeadWeights(1, {"click": 3, "like": 1}).of(("like", "click"))
        [0.25, 0.75]
        """
        names = list(heads)
        if unknown := sorted(set(self.weights) - set(names)):
            raise BadWeights(f"weights of {', '.join(unknown)}, which are no heads: there are {', '.join(names)}")
        if lacking := [name for name in names if name not in self.weights]:
            raise BadWeights(f"no weight of {', '.join(lacking)}: give 0 to leave a head out of the score")
        total = sum(self.weights.values())
        return [self.weights[name] / total for name in names]

    def write(self, folder: Path) -> Path:
        """Write the file into a model's `folder`, in the place of another; returns its path."""
        path = folder / WEIGHTS_FILE
        content = {"version": self.version, "weights": dict(self.weights)}
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path


def read_weights(path: Path) -> HeadWeights:
    """The weights in the file at `path`.

    Raises: BadWeights: it is not there, no YAML, or holds something else than a version and weights.
    """
    found = read_yaml(path, BadWeights)
    if not isinstance(found, dict) or set(found) != {"version", "weights"}:
        raise BadWeights(f"{path} is to hold `version` and `weights`, and nothing else")
    try:
        return HeadWeights(found["version"], found["weights"])
    except BadWeights as error:
        raise BadWeights(f"{path}: {error}") from None
