"""Outputs of models for several requests at once: a model costs about as much for ten rows as for two. Hot path."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from lamina.contracts.served import FeatureValue
from lamina.errors import BadScore
from lamina.scoring.checked import each_of, probability, scores_of
from lamina.scoring.protocol import Scorer
from serving.stages.routing import Lane
from serving.stages.stopwatch import NS_PER_MS

log = logging.getLogger(__name__)

Scored = tuple[Lane, dict[str, float]]
"""The lane whose model gave the outputs, and these by name, the score first."""


def score_all(lanes: Sequence[Lane], rows: Sequence[Mapping[str, FeatureValue]]) -> list[Scored | Exception]:
    """The outputs of each row by its lane, or what kept every model of the lane from giving them.

    Rows of one model go to it together. Where that fails each goes alone, so that none costs another its score; so does
    one whose score is no probability, which is then the control's to score.
    """
    found: dict[int, Scored | Exception] = {}
    of_model: dict[int, list[int]] = {}
    for place, lane in enumerate(lanes):
        of_model.setdefault(id(lane.model), []).append(place)
    for places in of_model.values():
        found |= _together(places, lanes, rows)
    return [found[place] for place in range(len(lanes))]


def _together(
    places: Sequence[int], lanes: Sequence[Lane], rows: Sequence[Mapping[str, FeatureValue]]
) -> dict[int, Scored | Exception]:
    model = lanes[places[0]].model
    if model is not None and len(places) > 1:
        began = time.perf_counter_ns()
        try:
            found = _given(model.scorer, [rows[place] for place in places])
        except Exception as error:
            log.debug("version %s failed on %d rows, each goes alone: %s", model.version, len(places), error)
        else:
            each_ms = (time.perf_counter_ns() - began) / NS_PER_MS / len(places)
            return {
                place: _noted(lanes[place], rows[place], outputs, each_ms)
                for place, outputs in zip(places, found, strict=True)
            }
    return {place: _alone(lanes[place], rows[place]) for place in places}


def _given(scorer: Scorer, rows: Sequence[Mapping[str, FeatureValue]]) -> list[dict[str, float]]:
    """What a model gives of each row; a score alone is looked at row by row, later."""
    if len(scorer.outputs) > 1:
        return each_of(scorer, rows)
    (name,) = scorer.outputs
    return [{name: score} for score in scores_of(scorer, rows)]


def _noted(
    lane: Lane, row: Mapping[str, FeatureValue], outputs: dict[str, float], each_ms: float
) -> Scored | Exception:
    if len(outputs) == 1:
        ((name, score),) = outputs.items()
        try:
            outputs[name] = probability(score)
        except (BadScore, TypeError):
            return _alone(lane, row)
    lane.note(each_ms, outputs)
    return lane, outputs


def _alone(lane: Lane, row: Mapping[str, FeatureValue]) -> Scored | Exception:
    try:
        return lane.score(row)
    except Exception as error:
        return error
