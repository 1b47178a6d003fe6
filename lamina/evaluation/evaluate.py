"""The model of a day against the champion, on the same rows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date as Day
from pathlib import Path

from lamina.clock import DAY_MS, midnight_ms
from lamina.errors import BadScore, ModelUnavailable
from lamina.evaluation.card import model_card
from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.resample import differences
from lamina.evaluation.scores import scores_of
from lamina.evaluation.slices import measure_slices
from lamina.evaluation.table import Table, rows_to_test
from lamina.evaluation.verdict import DECIDING, Rule, challenges, verdict
from lamina.registry.evaluation import Contender, Evaluation
from lamina.registry.protocol import CARD_FILE, CHAMPION, Kind, ModelRegistry, ModelVersion, trained_for
from lamina.scoring import trained
from lamina.scoring.trained import TrainedScorer
from lamina.scoring.trained_spec import TrainedSpec


@dataclass(frozen=True)
class Loaded:
    """A version that can score."""

    problem: Problem
    version: ModelVersion
    scorer: TrainedScorer

    def on(self, rows: Table) -> Floats:
        """Its scores of `rows`, float64[n].

        Raises: BadScore: when one of them is no finite number.
        """
        return scores_of(self.scorer, rows)

    def figures(self, rows: Table, scores: Floats) -> Contender:
        """What its scores of `rows` are worth."""
        return Contender(
            version=self.version.version,
            logical_date=self.scorer.spec.logical_date,
            metrics=self.problem.figures(rows, scores),
        )


def evaluate(
    problem: Problem,
    registry: ModelRegistry,
    table: Table,
    day: Day,
    min_auc: float,
    rule: Rule = Rule.POINT,
    kind: Kind | None = None,
) -> Evaluation:
    """Whether the version for `day` should become the champion; writes that version's model card anew. It is the newest
    of the day, of one `kind` where that is given.

    Both are measured on the test rows of that version, as far as they are later than what the champion learnt from. A
    champion trained for a later day is never replaced, since a backfill of an old day is no reason to go back.
    """
    system = problem.system
    version, current = trained_for(registry, system, day, kind), registry.alias(system, CHAMPION)
    nothing = Evaluation(
        system=system,
        logical_date=day,
        rows=0,
        positives=0,
        candidate=None,
        champion=None,
        against=None if current is None else current.version,
        promote=False,
        reasons=(),
    )
    if version is None:
        made = "it was not trained" if kind in (None, Kind.TRAINING) else f"no {kind} was made"
        why = f"no version is registered for {day}: its AUC was below the minimum, or {made}"
        return nothing.model_copy(update={"reasons": (why,)})
    with tempfile.TemporaryDirectory(prefix="lamina-evaluate-") as folder:
        candidate = _load(problem, registry, version, Path(folder))
        spec = candidate.scorer.spec
        rows = table.take(rows_to_test(table, spec.split, spec.seed, known_leave=problem.known_leave))
        champion, remarks = _champion(problem, registry, current, Path(folder))
        if champion is not None and champion.version.version != version.version:
            rows, known = _unseen(rows, champion.scorer.spec)
            remarks += known
        try:
            scores = candidate.on(rows)
        except BadScore as error:
            why = f"version {version.version} cannot serve: {error}"
            return nothing.model_copy(update={"reasons": (*remarks, why)})
        found = _compared(rows, candidate, scores, champion, min_auc, rule).model_copy(
            update={"logical_date": day, "against": nothing.against}
        )
        found = found.model_copy(update={"reasons": (*remarks, *found.reasons)})
        card = Path(folder) / CARD_FILE
        card.write_text(model_card(problem, spec, found.slices, found), encoding="utf-8")
        registry.attach(system, version.version, card)
    return found


def _compared(
    rows: Table, candidate: Loaded, scores: Floats, champion: Loaded | None, min_auc: float, rule: Rule
) -> Evaluation:
    measured = candidate.figures(rows, scores)
    beside, failed = _beside(rows, champion)
    against = champion.figures(rows, beside) if champion and beside is not None else None
    found = differences(rows.outcomes(scores), beside, seed=candidate.scorer.spec.seed) if beside is not None else {}
    promote, reasons = verdict(measured, against, min_auc, found.get(DECIDING), rule)
    trial = None if promote else challenges(measured, against, min_auc, found.get(DECIDING))
    return Evaluation(
        system=candidate.problem.system,
        logical_date=candidate.scorer.spec.logical_date,
        rows=len(rows),
        positives=int(rows.positive.sum()),
        candidate=measured,
        champion=against,
        differences=dict(found),
        slices=measure_slices(candidate.problem, rows, scores, beside),
        promote=promote,
        challenge=trial is not None,
        reasons=(*failed, *reasons) if trial is None else (*failed, *reasons, trial),
    )


def _beside(rows: Table, champion: Loaded | None) -> tuple[Floats | None, tuple[str, ...]]:
    """The champion's scores of `rows`; none of one that fails on some, which is no measure for another."""
    if champion is None:
        return None, ()
    try:
        return champion.on(rows), ()
    except BadScore as error:
        return None, (f"champion {champion.version.version} cannot be compared with: {error}",)


def _unseen(rows: Table, champion: TrainedSpec) -> tuple[Table, tuple[str, ...]]:
    """The rows after the champion's training days, or all of them with a remark when none with both kinds are left."""
    later = rows.take(rows.day > midnight_ms(champion.split.train_last) // DAY_MS)
    if len(later) == len(rows):
        return rows, ()
    if later.positive.any() and not later.positive.all():
        return later, (f"{len(rows) - len(later)} rows were left out: the champion may have learnt from their days",)
    return rows, (f"the champion may have learnt from these rows (its training days end {champion.split.train_last})",)


def _load(problem: Problem, registry: ModelRegistry, version: ModelVersion, folder: Path) -> Loaded:
    files = registry.download(version.name, version.version, folder / version.version)
    return Loaded(problem, version, trained.load(files, problem.features))


def _champion(
    problem: Problem, registry: ModelRegistry, current: ModelVersion | None, folder: Path
) -> tuple[Loaded | None, tuple[str, ...]]:
    """The champion, or why it cannot be compared with: one that cannot be loaded cannot serve either."""
    if current is None:
        return None, ()
    try:
        return _load(problem, registry, current, folder), ()
    except ModelUnavailable as error:
        return None, (f"champion {current.version} cannot be used any more: {error}",)
