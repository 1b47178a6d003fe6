"""The index that a process serves, and the model that makes users' vectors for it: taken over as one, under load.

The next build is opened, followed up to the last change, and asked once, all beside the one in service; then one
reference changes. A request that has the old one goes on with it. If the next cannot be used, the old one serves on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError
from lamina.indexes.builds import Builds
from lamina.indexes.live import LiveIndex
from lamina.indexes.sharded import ShardedIndex
from lamina.monitoring import metrics
from lamina.scoring.retrieval import Nearest, RetrievalError

log = logging.getLogger(__name__)

M = TypeVar("M")


class Found(NamedTuple):
    """What was found, and by which build of which model's version: to be logged with what is shown."""

    nearest: Nearest
    build: int
    model_version: str


@dataclass(frozen=True)
class Held(Generic[M]):
    """A build in service, and the model whose version made its vectors."""

    name: str
    build: int
    model: M
    index: LiveIndex

    @property
    def model_version(self) -> str:
        """Version of the model."""
        return self.index.model_version

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Found:
        """See `Index.search`; each search is counted by how it ended."""
        outcome = "failed"
        try:
            if model_version != self.model_version:
                outcome = "refused"
            nearest = self.index.search(vectors, k, model_version=model_version)
            outcome = "partial" if nearest.missing else "whole"
            return Found(nearest, self.build, self.model_version)
        finally:
            metrics.INDEX_SEARCHES.labels(self.name, outcome).inc()


class IndexHolder(Generic[M]):
    """Follows the builds of an index, and their changes.

    Args: name: of the index, for its metrics; model_of: opens the model of a version, or raises a LaminaError;
    deadline_s: what a shard may take; threads: that search.
    """

    def __init__(
        self,
        name: str,
        builds: Builds,
        model_of: Callable[[str], M],
        *,
        deadline_s: float | None = None,
        threads: int = 1,
    ) -> None:
        self.name, self.problem = name, "no build was published"
        self._builds, self._model_of, self._deadline_s, self._threads = builds, model_of, deadline_s, threads
        self._held: Held[M] | None = None
        self._through = 0
        self._refreshing = threading.Lock()

    @property
    def current(self) -> Held[M]:
        """What is in service. Hold on to it for a whole request: its model and its index belong together.

        Raises: RetrievalError: nothing is; says why.
        """
        held = self._held
        if held is None:
            raise RetrievalError(f"index {self.name!r} has no build in service: {self.problem}")
        return held

    def refresh(self) -> bool:
        """Take over the build that serves, where it is another, and changes since; whether it was another.

        What cannot be taken over is told in `problem`, logged and counted, and what was in service stays there.
        """
        with self._refreshing:
            try:
                number = self._builds.serving()
                if number is None:
                    return False
                swapped = self._held is None or self._held.build != number
                if swapped:
                    self._take(number)
                elif self._held is not None:
                    self._through = self._follow(self._held.index, self._through)
                self.problem = ""
            except LaminaError as error:
                if str(error) != self.problem:
                    log.error("index %s: %s", self.name, error)
                self.problem = str(error)
                metrics.INDEX_BUILDS.labels(self.name, "refused").inc()
                return False
            return swapped

    def _take(self, number: int) -> None:
        opened = ShardedIndex.open(
            self._builds.path(number), name=self.name, deadline_s=self._deadline_s, threads=self._threads
        )
        index = LiveIndex(opened)
        through = self._follow(index, opened.manifest.through)
        held = Held(self.name, number, self._model_of(index.model_version), index)
        # Its pages are read and its threads begun before a user waits for it.
        opened.warm_up()
        self._held, self._through = held, through
        metrics.INDEX_BUILDS.labels(self.name, "served").inc()

    def _follow(self, index: LiveIndex, through: int) -> int:
        """Lay changes after `through` over `index`; the number of the last."""
        later = list(self._builds.changes.after(through))
        if later:
            index.apply(*(change for _, change in later))
        return later[-1][0] if later else through
