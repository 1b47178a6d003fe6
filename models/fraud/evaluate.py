"""`python -m models.fraud.evaluate --date D`: the model of a day against the champion, on the same rows."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import date as Day
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lamina import entry
from lamina.clock import DAY_MS, midnight_ms, require_over
from lamina.definitions.fraud import FEATURES
from lamina.errors import BadScore, ModelUnavailable
from lamina.evaluation.card import CARD_FILE, model_card
from lamina.evaluation.metrics import Floats, measure
from lamina.evaluation.resample import differences
from lamina.evaluation.table import Table, read_table, rows_to_test
from lamina.registry.evaluation import Contender, Evaluation, Interval, write_evaluation
from lamina.registry.protocol import CHAMPION, ModelRegistry, ModelVersion, trained_for
from lamina.scoring.checked import all_finite
from lamina.scoring.encode import Encoder
from lamina.scoring.trees import TreesScorer
from lamina.scoring.trees_spec import ModelSpec
from lamina.settings import load_settings
from models.fraud.score import load
from models.fraud.slices import measure_slices
from models.fraud.train import SYSTEM

DECIDING = "average_precision"
"""The figure by which one model is better: where frauds are rare it says most about the alarms that are raised."""

AUC_TOLERANCE = 0.01
"""A gain in the deciding figure may not cost more AUC than this."""


class Rule(StrEnum):
    """When one model counts as better: by the difference that was measured, or only when chance cannot explain it."""

    POINT = "point"
    INTERVAL = "interval"


@dataclass(frozen=True)
class Loaded:
    """A version that can score."""

    version: ModelVersion
    scorer: TreesScorer

    def on(self, rows: Table) -> Floats:
        """Its scores of `rows`, float64[n].

        Raises: BadScore: when one of them is no finite number.
        """
        scores = self.scorer.score(Encoder(self.scorer.spec.inputs).matrix(rows.inputs, len(rows)))
        return all_finite(scores, len(rows))

    def figures(self, rows: Table, scores: Floats) -> Contender:
        """What its scores of `rows` are worth."""
        return Contender(
            version=self.version.version,
            logical_date=self.scorer.spec.logical_date,
            metrics=measure(rows.outcomes(scores)),
        )


def evaluate(registry: ModelRegistry, table: Table, day: Day, min_auc: float, rule: Rule = Rule.POINT) -> Evaluation:
    """Whether the version trained for `day` should become the champion; writes that version's model card anew.

    Both are measured on the test rows of that version, as far as they are later than what the champion learnt from. A
    champion trained for a later day is never replaced, since a backfill of an old day is no reason to go back.
    """
    version, current = trained_for(registry, SYSTEM, day), registry.alias(SYSTEM, CHAMPION)
    nothing = Evaluation(
        system=SYSTEM,
        logical_date=day,
        rows=0,
        frauds=0,
        candidate=None,
        champion=None,
        against=None if current is None else current.version,
        promote=False,
        reasons=(),
    )
    if version is None:
        why = f"no version is registered for {day}: its AUC was below the minimum, or it was not trained"
        return nothing.model_copy(update={"reasons": (why,)})
    with tempfile.TemporaryDirectory(prefix="lamina-evaluate-") as folder:
        candidate = _load(registry, version, Path(folder))
        spec = candidate.scorer.spec
        rows = table.take(rows_to_test(table, spec.split, spec.seed))
        champion, remarks = _champion(registry, current, Path(folder))
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
        card.write_text(model_card(spec, found.slices, found), encoding="utf-8")
        registry.attach(SYSTEM, version.version, card)
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
        system=SYSTEM,
        logical_date=candidate.scorer.spec.logical_date,
        rows=len(rows),
        frauds=int(rows.fraud.sum()),
        candidate=measured,
        champion=against,
        differences=dict(found),
        slices=measure_slices(rows, scores, beside),
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


def _unseen(rows: Table, champion: ModelSpec) -> tuple[Table, tuple[str, ...]]:
    """The rows after the champion's training days, or all of them with a remark when none with both kinds are left."""
    later = rows.take(rows.day > midnight_ms(champion.split.train_last) // DAY_MS)
    if len(later) == len(rows):
        return rows, ()
    if later.fraud.any() and not later.fraud.all():
        return later, (f"{len(rows) - len(later)} rows were left out: the champion may have learnt from their days",)
    return rows, (f"the champion may have learnt from these rows (its training days end {champion.split.train_last})",)


def _load(registry: ModelRegistry, version: ModelVersion, folder: Path) -> Loaded:
    return Loaded(version, load(registry.download(version.name, version.version, folder / version.version)))


def _champion(
    registry: ModelRegistry, current: ModelVersion | None, folder: Path
) -> tuple[Loaded | None, tuple[str, ...]]:
    """The champion, or why it cannot be compared with: one that cannot be loaded cannot serve either."""
    if current is None:
        return None, ()
    try:
        return _load(registry, current, folder), ()
    except ModelUnavailable as error:
        return None, (f"champion {current.version} cannot be used any more: {error}",)


def verdict(
    candidate: Contender,
    champion: Contender | None,
    min_auc: float,
    difference: Interval | None = None,
    rule: Rule = Rule.POINT,
) -> tuple[bool, tuple[str, ...]]:
    """Whether to promote, and why.

    Args: difference: of the deciding figure; by `Rule.INTERVAL` all of its interval must be a gain.
    """
    auc = candidate.metrics["auc"]
    if auc < min_auc:
        return False, (f"auc {auc:.4f} is below the minimum {min_auc:g}",)
    if champion is None:
        return True, (f"there is no champion to beat, and auc {auc:.4f} meets the minimum {min_auc:g}",)
    if champion.version == candidate.version:
        return False, (f"version {candidate.version} is the champion already",)
    if champion.logical_date > candidate.logical_date:
        return False, (f"the champion was trained for a later day, {champion.logical_date}",)
    lost = champion.metrics["auc"] - auc
    gained = candidate.metrics[DECIDING] - champion.metrics[DECIDING]
    comparison = f"{DECIDING} {candidate.metrics[DECIDING]:.4f} against the champion's {champion.metrics[DECIDING]:.4f}"
    if difference is not None:
        comparison += f" ({difference.confidence:.0%} interval {difference.low:+.4f} to {difference.high:+.4f})"
    if gained <= 0:
        return False, (f"not better: {comparison}",)
    if rule is Rule.INTERVAL and (difference is None or difference.low <= 0):
        return False, (f"not surely better: {comparison}",)
    if lost > AUC_TOLERANCE:
        return False, (f"{comparison}, but auc {auc:.4f} is {lost:.4f} below the champion's",)
    return True, (f"better: {comparison}",)


def challenges(
    candidate: Contender, champion: Contender | None, min_auc: float, difference: Interval | None
) -> str | None:
    """Why a version that is not promoted may still be tried beside the champion, or None where it may not.

    It may as long as it is not surely worse: the interval of the deciding figure reaches above zero.
    """
    if champion is None or difference is None or champion.version == candidate.version:
        return None
    if champion.logical_date > candidate.logical_date or candidate.metrics["auc"] < min_auc:
        return None
    if champion.metrics["auc"] - candidate.metrics["auc"] > AUC_TOLERANCE or difference.high <= 0:
        return None
    return f"not surely worse either, so it may be tried: the difference may be as large as {difference.high:+.4f}"


def main(
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date the model was trained for.")],
    lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
    min_auc: Annotated[float, typer.Option(help="Never promote a model whose AUC is below this.")] = 0.8,
    better: Annotated[
        Rule, typer.Option(help="By the measured difference, or only when all of its interval is a gain.")
    ] = Rule.POINT,
) -> None:
    """Compare the day's model with the champion; writes evaluation.json into the lake and prints it."""
    from lamina.registry.mlflow import MlflowRegistry

    settings = load_settings()
    lake = lake_url or settings.lake_url
    day = require_over(date.date(), settings.clock)
    table = read_table(lake, SYSTEM, day, FEATURES.names)
    found = evaluate(MlflowRegistry(settings.mlflow_uri), table, day, min_auc, better)
    write_evaluation(lake, found)
    sys.stdout.write(found.model_dump_json() + "\n")


if __name__ == "__main__":
    entry.run(lambda: typer.run(main))
