"""Which model decides on whom: the champion, or the arm of the running experiment. `Lineup.lane` and on: hot path."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lamina.contracts.base import Event
from lamina.contracts.served import FeatureValue
from lamina.experiments.experiment import Experiment, ExperimentBook
from lamina.experiments.file import ExperimentError, load_experiments
from lamina.experiments.guardrails import Guardrails
from lamina.monitoring import metrics
from lamina.scoring.checked import outputs_of
from serving.stages.model import Model, ServedModel
from serving.stages.stopwatch import NS_PER_MS
from serving.stages.targets import Targets
from serving.stages.watched import WatchedFiles

log = logging.getLogger(__name__)


@dataclass
class RunningExperiment:
    """An experiment in force: the models of its arms, its guardrails, and the arms that these turned off."""

    experiment: Experiment
    label: str
    sources: Mapping[str, ServedModel]
    guardrails: Guardrails
    off: dict[str, str] = field(default_factory=dict)

    def judge(self) -> None:
        """Turn off the arms that break a limit; they stay off until the file changes."""
        for arm, breach in self.guardrails.breaches().items():
            if arm in self.off:
                continue
            self.off[arm] = breach.detail
            metrics.ARMS_OFF.labels(self.label, arm, breach.kind).inc()
            log.error("experiment %s: arm %s is off: %s", self.label, arm, breach.detail)

    def observe(self, arm: str, model_ms: float, score: float | None) -> None:
        """Count one score of `arm`; None is a failure."""
        self.guardrails.observe(arm, model_ms=model_ms, score=score)
        if score is None:
            metrics.ARM_FAILURES.labels(self.label, arm).inc()

    @property
    def problems(self) -> list[str]:
        """What keeps arms from working."""
        found = [f"arm {arm} is off: {why}" for arm, why in self.off.items()]
        return found + [f"arm {arm}: {each.problem}" for arm, each in self.sources.items() if each.problem]


class Lane(NamedTuple):
    """The model of one request. `running`, `arm` and `bucket` are given where its unit takes part in an experiment.

    control: scores where the model fails. shadow: scores as well, off the response path, and is an experiment's.
    """

    model: Model | None
    running: RunningExperiment | None = None
    arm: str | None = None
    bucket: int | None = None
    control: Model | None = None
    shadow: Lane | None = None

    def score(self, values: Mapping[str, FeatureValue]) -> tuple[Lane, dict[str, float]]:
        """The outputs, and the lane that gave them: the control's where the model of another arm fails.

        Raises: whatever the last model asked raises; BadScore: as `outputs_of`.
        """
        assert self.model is not None
        running, arm = self.running, self.arm
        if running is None or arm is None:
            return self, outputs_of(self.model.scorer, values)
        began = time.perf_counter_ns()
        try:
            outputs = outputs_of(self.model.scorer, values)
        except Exception as error:
            running.observe(arm, 0.0, None)
            if self.control is None or self.control is self.model:
                raise
            log.debug("version %s failed, the control scores: %s", self.model.version, error)
            other = self._replace(model=self.control, arm=running.experiment.control, control=None)
            return other.score(values)
        self.note((time.perf_counter_ns() - began) / NS_PER_MS, outputs)
        return self, outputs

    def note(self, model_ms: float, outputs: Mapping[str, float]) -> None:
        """Count outputs of this lane's model, which took so long; the first is the score."""
        if self.running is not None and self.arm is not None:
            self.running.observe(self.arm, model_ms, next(iter(outputs.values())))
            metrics.EXPOSURES.labels(self.running.label, self.arm).inc()


class Lineup(NamedTuple):
    """The models in service at one moment. A request takes it once, and so uses one version of each throughout."""

    champion: Model | None
    running: RunningExperiment | None = None
    models: Mapping[str, Model | None] = {}

    def lane(self, unit: str, row: Mapping[str, object]) -> Lane:
        """The model for a request of `unit`, such as a user's id; its fields are `row`."""
        running = self.running
        if running is None:
            return Lane(self.champion)
        found = running.experiment.assign(unit, row)
        control = self.models[running.experiment.control]
        if found is None or control is None:
            return Lane(self.champion)
        arm, bucket = found.arm.name, found.bucket
        model = None if arm in running.off else self.models[arm]
        if arm == running.experiment.control or model is None:
            return Lane(control, running, running.experiment.control, bucket)
        if running.experiment.mode == "shadow":
            shadow = Lane(model, running, arm, bucket)
            return Lane(control, running, running.experiment.control, bucket, shadow=shadow)
        return Lane(model, running, arm, bucket, control)


class Routing:
    """The champion, and the experiment of `file` when one runs there. The file is read again by `reload`.

    Args: source: makes the keeper of another model, by alias or number of a version; contract: of the requests, whose
    fields an experiment's targeting may speak of.
    Raises: ExperimentError: from the constructor, when the file cannot be right.
    """

    def __init__(
        self,
        champion: ServedModel,
        source: Callable[[str], ServedModel],
        file: Path,
        contract: type[Event],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.champion, self._source, self._file, self._now = champion, source, file, monotonic
        self._targets = Targets(contract)
        self.problem: str | None = None
        self._watched = WatchedFiles(lambda: [file])
        self.book = self._load()
        self._running: RunningExperiment | None = None
        self._running = self._begin(self.book)

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.champion.name

    def lineup(self) -> Lineup:
        """The models in service now."""
        running = self._running
        if running is None:
            return Lineup(self.champion.current)
        return Lineup(self.champion.current, running, {arm: each.current for arm, each in running.sources.items()})

    @property
    def running(self) -> RunningExperiment | None:
        """The experiment in force."""
        return self._running

    @property
    def challengers(self) -> list[ServedModel]:
        """Every model beside the champion that has to be kept current."""
        if self._running is None:
            return []
        beside = (served for served in self._running.sources.values() if served is not self.champion)
        return list({id(served): served for served in beside}.values())

    @property
    def problems(self) -> str | None:
        """What is wrong with the file or with an arm, or None."""
        found = [self.problem] if self.problem else []
        return "; ".join(found + (self._running.problems if self._running else [])) or None

    def judge(self) -> None:
        """Let the guardrails look at what happened."""
        if self._running is not None:
            self._running.judge()

    def reload(self) -> bool:
        """Whether a changed file was taken over. A refused one is counted, logged once, and kept in `problem`."""
        return self._watched.reload(self._take_over)

    def _take_over(self) -> bool:
        try:
            book = self._load()
            if book != self.book and book.version == self.book.version:
                raise ExperimentError(
                    f"{self._file}: changed, but still of version {book.version}: raise `version`, "
                    "or decisions could not tell the two apart"
                )
        except ExperimentError as error:
            self.problem = str(error)
            metrics.EXPERIMENT_RELOADS.labels("refused").inc()
            log.error("the experiment file of version %s stays in force: %s", self.book.version, error)
            return False
        self.problem = None
        if book == self.book:
            return False
        self._running, self.book = self._begin(book), book
        metrics.EXPERIMENT_RELOADS.labels("taken").inc()
        log.info("the experiment file of version %s is in force", book.version)
        return True

    def _load(self) -> ExperimentBook:
        return load_experiments(self._file, self._targets.fields, self._targets.never_holds)

    def _begin(self, book: ExperimentBook) -> RunningExperiment | None:
        """What runs by `book`; models that already serve an arm are kept, not loaded again."""
        experiment = book.experiment
        if experiment is None:
            return None
        held = {self.champion.wanted: self.champion} | {each.wanted: each for each in self.challengers}
        for arm in experiment.arms:
            if arm.model not in held:
                held[arm.model] = self._source(arm.model)
        rails = Guardrails(
            experiment.guardrails,
            [arm.name for arm in experiment.arms],
            experiment.control,
            monotonic=self._now,
        )
        sources = {arm.name: held[arm.model] for arm in experiment.arms}
        return RunningExperiment(experiment, f"{experiment.name}@{book.version}", sources, rails)
