"""The risk stage: which models the policy of the rules file can be used with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.errors import BadScore, ModelUnavailable
from lamina.rules.book import EXPECTED_COST, RuleBook
from lamina.scoring.checked import probability
from lamina.scoring.trained import TrainedScorer
from serving.stages.model import ServedModel

Load = Callable[[Path, FeatureSet], TrainedScorer]


def loading_for(book: Callable[[], RuleBook], load: Load) -> Load:
    """`load`, which refuses a model that gives no probability, or that the policy in force cannot use."""

    def loaded(folder: Path, features: FeatureSet) -> TrainedScorer:
        scorer = load(folder, features)
        try:
            probability(scorer.predict({}))
        except BadScore as error:
            raise ModelUnavailable(f"of a row without features: {error}; train it again") from None
        if book().policy == EXPECTED_COST and not scorer.calibrated:
            raise ModelUnavailable(
                "it carries no calibration, and the policy expected_cost weighs its scores as probabilities: train it "
                "without --no-calibrate on more frauds, or set `policy: fixed_table` in the rules file"
            )
        return scorer

    return loaded


def misfit(book: RuleBook, models: Iterable[ServedModel]) -> str | None:
    """What keeps `book` from coming into force beside the `models` in service, or None."""
    if book.policy != EXPECTED_COST:
        return None
    for each in models:
        if each.current is not None and not each.current.calibrated:
            return (
                f"policy: expected_cost needs a calibrated model, and version {each.current.version} of {each.name} in "
                "service carries no calibration: promote one that does, or keep `policy: fixed_table`"
            )
    return None
