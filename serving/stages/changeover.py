"""Which definition of a system's features is read: the one that is live, whatever the code at hand defines.

A process reads what its code defines if that was ever live and is kept. Otherwise it reads what is live, by its
recorded definition, until its own features have caught up; then it changes over by itself. A champion goes on with the
features that it was trained on: where these mean something else by now, the process waits for a champion that was
trained on the new ones.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina.clock import Clock, system_clock
from lamina.contracts.features import FeatureSet
from lamina.contracts.meanings import meanings_of
from lamina.errors import LaminaError, ModelUnavailable
from lamina.features.entity import utc
from lamina.monitoring import metrics
from lamina.rollout.generation import Generation
from lamina.rollout.records import Record, ages, live_of, read_records
from lamina.scoring.protocol import Scorer
from lamina.store.reader import Reader
from serving.stages.features import AsyncStore, FeatureStage

log = logging.getLogger(__name__)

Load = Callable[[Path, FeatureSet], Scorer]
"""A model from its folder, for these features; raises ModelUnavailable where it was trained on others."""


@dataclass(frozen=True)
class _Read:
    """A generation that is read, and since when it was live, epoch ms; None where no rollout is recorded."""

    generation: Generation
    live_ms: int | None


class Changeover:
    """The generation that a process reads, for all stages that it made. `look` is to be called every few seconds.

    Args: own: what the code defines. lake: where rollouts are recorded. clock: says how old a rollout is.
    """

    def __init__(self, own: FeatureSet, lake: str, clock: Clock = system_clock) -> None:
        self._own, self._lake, self._clock = Generation(own), lake, clock
        self.inputs: Callable[[], Sequence[str]] = tuple
        """Names of the features that the champion reads; none without a champion."""
        self.retry: Callable[[], None] = lambda: None
        """Called when other features can be read: a model that was refused may fit these."""
        self.withdraw: Callable[[Collection[str]], None] = lambda names: None
        """Called with the features that are gone or mean something else from now on: models beside the champion go."""
        self._now = _Read(self._own, None)
        self._ready: list[_Read] = [self._now]
        self._stages: list[FeatureStage] = []
        self._reader = Reader(self._own.plan)
        self._lock = threading.Lock()
        self.problem: str | None = None

    @property
    def features(self) -> FeatureSet:
        """The features that are read."""
        return self._now.generation.features

    @property
    def version(self) -> str:
        """The generation that is read, and since when it is live."""
        since = "" if self._now.live_ms is None else f" since {utc(self._now.live_ms)}"
        return f"{self._now.generation.id}{since}"

    def stage(self, store: AsyncStore, *, timeout_ms: int) -> FeatureStage:
        """A stage that reads what is live."""
        made = FeatureStage(store, self._reader, timeout_ms=timeout_ms)
        self._stages.append(made)
        return made

    def look(self) -> None:
        """See what can be read, and change over to it. What is wrong, if anything, is in `problem` afterwards."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        try:
            records = read_records(self._lake, self._own.system)
        except (LaminaError, OSError, ValueError) as error:
            self.problem = f"the record of the rollout cannot be read: {error}"
            return
        for state, age_s in ages(records, self._clock()).items():
            metrics.ROLLOUT_AGE.labels(self._own.system, state).set(age_s)
        live = live_of(records)
        if live is None:
            self.problem = None
            return
        ready = [self._readable(record) for record in records if record.live_ms is not None]
        if ready != self._ready:
            self._ready = ready
            self.retry()
        own = next((each for each in self._ready if each.generation.id == self._own.id), None)
        wanted = own or self._readable(live)
        if changed := self._changed(wanted.generation.features):
            self.problem = (
                f"{wanted.generation.id} could be read, and {', '.join(changed)} of it mean something else than to the "
                "champion: train and promote one that knows them"
            )
            return
        self.problem = None
        if own is None:
            self.problem = f"{self._own.id}, which this code defines, is not live: lamina features rollout says more"
        self._use(wanted)

    def load(self, folder: Path, load: Load, *, champion: bool) -> Scorer:
        """The model in `folder`. A champion that was trained on other features that are ready is given these.

        Raises: ModelUnavailable: when it can be used with none of them.
        """
        try:
            return load(folder, self.features)
        except ModelUnavailable:
            for other in self._others() if champion else ():
                try:
                    found = load(folder, other.generation.features)
                except ModelUnavailable:
                    continue
                with self._lock:
                    self._use(other)
                return found
            raise

    def _readable(self, record: Record) -> _Read:
        # Of what is not kept, such as ratios, the code's own definition counts.
        return _Read(self._own if record.id == self._own.id else record.generation, record.live_ms)

    def _others(self) -> Iterable[_Read]:
        """What is ready beside what is read, the newest first."""
        others = [each for each in self._ready if each.generation.id != self._now.generation.id]
        return sorted(others, key=lambda each: -(each.live_ms or 0))

    def _changed(self, wanted: FeatureSet) -> list[str]:
        """Inputs of the champion that `wanted` does not have, or with another meaning than they are read with."""
        if wanted == self.features or not (inputs := self.inputs()):
            return []
        changed = _gone_or_changed(self.features, wanted)
        return [name for name in inputs if name in changed]

    def _use(self, wanted: _Read) -> None:
        before, self._now = self._now, wanted
        if wanted.generation.id == before.generation.id:
            return
        # Loaded by what was read before, they would take the new values for the old.
        self.withdraw(_gone_or_changed(before.generation.features, wanted.generation.features))
        self._reader = Reader(wanted.generation.plan)
        for stage in self._stages:
            stage.use(self._reader)
        log.info("features of %s: %s is read instead of %s", self._own.system, self.version, before.generation.id)


def _gone_or_changed(before: FeatureSet, after: FeatureSet) -> frozenset[str]:
    """The features of `before` that `after` has not, or with another meaning."""
    then = meanings_of(after)
    return frozenset(name for name, meaning in meanings_of(before).items() if then.get(name) != meaning)


class Changeovers:
    """Those of all systems that are served. Args: lake: where rollouts are recorded."""

    def __init__(self, lake: str) -> None:
        self._lake = lake
        self._found: dict[str, Changeover] = {}

    def of(self, own: FeatureSet) -> Changeover:
        """That of the system whose features the code defines as `own`."""
        if own.system not in self._found:
            self._found[own.system] = Changeover(own, self._lake)
        return self._found[own.system]

    def named(self, system: str) -> Changeover:
        """That of a system that is served."""
        return self._found[system]

    def look(self) -> None:
        """See what is live of every system."""
        for each in list(self._found.values()):
            each.look()
