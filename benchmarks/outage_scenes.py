"""A scene in which something goes wrong, and what its clients saw of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.report import Figure

DECIDED, REFUSED, FAILED = "decided", "refused_503", "failed"


def nothing() -> None:
    """What begins or ends a scene that is its load alone."""


@dataclass(frozen=True)
class Scene:
    """What happens a third into a load, what ends it after another third, and the load of that third."""

    name: str
    title: str
    begin: Callable[[], object] = nothing
    end: Callable[[], object] = nothing
    times: int = 1


@dataclass(frozen=True)
class Seen:
    """A scene as its clients saw it. answers: columns `at_s` (from the first), `waited_ms`, `outcome`.

    began_s, ended_s: the disturbance, on the same clock; dropped: requests that could not be sent.
    """

    scene: Scene
    answers: pd.DataFrame
    began_s: float
    ended_s: float
    dropped: int = 0

    def figures(self) -> dict[str, Figure]:
        """The scene's figures, by name."""
        kinds, at = self.answers["outcome"], self.answers["at_s"]
        during = self.answers["waited_ms"][(at >= self.began_s) & (at <= self.ended_s)]
        late = at[(kinds != DECIDED) & (at > self.ended_s)]
        failed, refused = kinds.str.startswith(FAILED), kinds == REFUSED
        found = {
            "requests": len(kinds),
            "failed": int(failed.sum()),
            "degraded": int((~failed & ~refused & (kinds != DECIDED)).sum()),
            "refused": int(refused.sum()),
            "dropped": self.dropped,
            "p99_ms": round(float(np.percentile(during, 99)), 1),
            "recovered_s": round(float(late.max() - self.ended_s), 1) if len(late) else 0.0,
        }
        return {f"{self.scene.name}_{key}": value for key, value in found.items()}
