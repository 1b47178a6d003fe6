"""Ways of dealing with a drift: which version serves on which day, chosen by the product's own gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.loop_days import Days
from lamina.clock import DAY_MS, midnight_ms, next_day
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.metrics import Floats
from lamina.evaluation.table import Table, TrainingSetError
from lamina.monitoring.cbpe import Estimator
from lamina.monitoring.fallen import alerts_of
from lamina.monitoring.figures import Weighed, measure
from lamina.monitoring.reports import Alert, Report, Window, write_report
from lamina.orchestration.retrain import choose_retraining
from lamina.registry.deploy import deploy, promote
from lamina.registry.gate import Parity
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER, TrainingRun
from lamina.scoring.trained import TrainedScorer
from lamina.training.blend import BlendPlan, publish_blend
from lamina.training.learn import Kept, learn_days, publish_online
from lamina.training.publish import publish
from lamina.training.train import TrainingPlan
from models.fraud.recipe import RECIPE
from models.fraud.score import load

PROBLEM = RECIPE.problem
WATCHING = PROBLEM.record.watching
DELAY_DAYS = TrainingPlan.delay_days


@dataclass(frozen=True)
class Pace:
    """How often a retraining may be asked for, and the resamples for the intervals of a day's report."""

    cooldown: timedelta = timedelta(days=1)
    resamples: int = 100


@dataclass
class Way:
    """One way: its registry, and by day what served on it. `trained` counts trainings, `alerts` days with an alert."""

    days: Days
    folder: Path
    pace: Pace = Pace()
    serves: dict[date, str] = field(default_factory=dict)
    trained: int = 0
    alerts: list[date] = field(default_factory=list)
    kept: Kept | None = None

    def __post_init__(self) -> None:
        self.registry = MemoryRegistry(self.folder / "registry")
        self._scorers: dict[str, TrainedScorer] = {}

    @classmethod
    def after(cls, first: Way, folder: Path) -> Way:
        """A way that begins with the version that serves by `first`."""
        found = cls(first.days, folder, first.pace)
        day = first.scorer(first.champion).spec.logical_date
        run = found.registry.record(TrainingRun(PROBLEM.system, day, first.artefacts(first.champion)))
        version = found.registry.register(PROBLEM.system, run, {"logical_date": day.isoformat()})
        promote(found.registry, PROBLEM.system, version.version)
        return found

    @property
    def champion(self) -> str:
        """The version that serves."""
        found = self.registry.alias(PROBLEM.system, CHAMPION)
        assert found is not None, "the first version is promoted before the shift"
        return found.version

    def artefacts(self, version: str) -> Path:
        """A folder with the version's files in its folder `model`."""
        self.registry.download(PROBLEM.system, version, self.folder / version)
        return self.folder / version

    def scorer(self, version: str) -> TrainedScorer:
        """The version, loaded once."""
        if version not in self._scorers:
            self._scorers[version] = load(self.artefacts(version) / MODEL_FOLDER)
        return self._scorers[version]

    def train(self, day: date, conf: Mapping[str, int] | None = None) -> None:
        """What the training DAG does for `day`: train, register, evaluate, deploy what beats the champion."""
        plan = replace(TrainingPlan(day), **dict[str, Any](conf or {}))
        table = self.days.known_on(day)
        try:
            publish(RECIPE, self.registry, table, plan, PROBLEM.record.min_auc)
        except TrainingSetError:
            return
        self.trained += 1
        self._deploy(table, day)

    def _deploy(self, table: Table, day: date) -> None:
        evaluation = evaluate(PROBLEM, self.registry, table, day, PROBLEM.record.min_auc)
        # Features are served as they are computed here: one table is both.
        deploy(self.registry, evaluation, Parity(day, compared=len(table), mismatches=0))

    def blend(self, day: date) -> None:
        """Blend past versions for `day`, and deploy the blend when it beats the champion."""
        table = self.days.known_on(day)
        try:
            said = publish_blend(PROBLEM, self.registry, table, BlendPlan(day), PROBLEM.record.min_auc)
        except TrainingSetError:
            return
        if said["version"] is not None:
            self._deploy(table, day)

    def learn(self, day: date) -> None:
        """Let the online regression go on to `day`, and deploy it when it beats the champion."""
        table = self.days.known_on(day)
        self.kept = learn_days(PROBLEM, table, day, self.kept, delay_days=DELAY_DAYS)
        said = publish_online(
            PROBLEM, self.registry, table, day, self.kept, PROBLEM.record.min_auc, delay_days=DELAY_DAYS
        )
        if said["version"] is not None:
            self._deploy(table, day)

    def scores(self, rows: Table) -> Floats:
        """float64[n]: what the versions that served gave on their days."""
        found = np.full(len(rows), np.nan)
        for version in sorted(set(self.serves.values())):
            served = [midnight_ms(day) // DAY_MS for day, by in self.serves.items() if by == version]
            own = np.isin(rows.day, served)
            if own.any():
                scorer, part = self.scorer(version), rows.take(own)
                found[own] = _given(scorer, part)
        return found

    def auc(self, first: date, last: date) -> float:
        """AUC of what was served on these days, both included, by the whole truth."""
        rows = self.days.between(first, last)
        return float(roc_auc_score(rows.positive, self.scores(rows)))

    def estimated_error(self, version: str, first: date, last: date) -> float:
        """Mean difference, over the days from `first` to `last`, between the AUC of `version` and what CBPE takes it to
        be from the scores alone. What scores mean is learnt from the fortnight whose labels are complete by `first`.
        """
        scorer = self.scorer(version)
        known = first - timedelta(days=DELAY_DAYS + 1)
        reference = self.days.between(known - timedelta(days=13), known)
        estimator = Estimator.of(reference.positive, _given(scorer, reference), _nobody(reference))
        errors = []
        for day in days_between(first, last):
            rows = self.days.between(day, day)
            if not rows.positive.any():
                # In a small world a day may have no fraud, and so no AUC.
                continue
            score = _given(scorer, rows)
            estimate = estimator.estimate(score, _nobody(rows))["auc"].value
            errors.append(abs(estimate - float(roc_auc_score(rows.positive, score))))
        return float(np.mean(errors))

    def watch(self, day: date) -> None:
        """The performance of the version that serves on the last days whose labels are complete, as a report of the
        last hour of `day`, with the product's own alerts.
        """
        last = day - timedelta(days=DELAY_DAYS)
        first = last - timedelta(days=WATCHING.days - 1)
        version = self.champion
        own = [each for each in days_between(first, last) if self.serves.get(each) == version]
        alerts: tuple[Alert, ...] = ()
        if own:
            rows = self.days.between(own[0], own[-1])
            if min(rows.positive.sum(), (~rows.positive).sum()) >= WATCHING.min_rows:
                weighed = Weighed.of(rows.positive, self.scores(rows), _nobody(rows), np.ones(len(rows)))
                figures = measure(weighed, rows.unit, resamples=self.pace.resamples)
                alerts = tuple(alerts_of(WATCHING, version, figures, self.scorer(version).spec.metrics))
        if alerts:
            self.alerts.append(day)
        report = Report(
            kind="performance",
            system=PROBLEM.system,
            known_before_ms=midnight_ms(next_day(day)),
            window=Window(start_ms=midnight_ms(first), end_ms=midnight_ms(next_day(last))),
            alerts=alerts,
        )
        write_report(str(self.folder / "lake"), hour_of_day(day), report)

    def asked(self, day: date) -> Mapping[str, int] | None:
        """The parameters of the training that the report of `day` asks for, or None."""
        found = choose_retraining(str(self.folder / "lake"), PROBLEM.system, hour_of_day(day), self.pace.cooldown)
        return None if found is None else found.conf


def _given(scorer: TrainedScorer, rows: Table) -> Floats:
    return scorer.predict_columns(rows.inputs, len(rows))[scorer.outputs[0]]


def _nobody(rows: Table) -> Floats:
    """Nothing is done by the scores here, so that nothing is flagged."""
    return np.full(len(rows), np.nan)


def hour_of_day(day: date) -> datetime:
    """The last hour of a day."""
    return datetime(day.year, day.month, day.day, 23, tzinfo=UTC)


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from the first to the last."""
    while first <= last:
        yield first
        first = next_day(first)
