"""Scores of all candidates of a request in one pass, by the model of its lane. Hot path."""

from __future__ import annotations

import logging
import time

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ModelUnavailable
from lamina.scoring.checked import all_finite
from lamina.scoring.protocol import Outputs
from lamina.store.among import CandidateFeatures
from serving.stages.routing import Lane
from serving.stages.stopwatch import NS_PER_MS

log = logging.getLogger(__name__)

Float64s = NDArray[np.float64]


def score_candidates(lane: Lane, features: CandidateFeatures) -> tuple[Lane, Outputs]:
    """Every output of each candidate, and the lane that gave them: the control's where the model of another arm fails.

    An exposure to an arm is a list, whose best score stands for it.

    Raises: ModelUnavailable: the lane has no model; whatever the last model asked raises; BadScore: when not every
    output of each candidate is a finite number.
    """
    model = lane.model
    if model is None:
        raise ModelUnavailable("no model ranks: train and promote one")
    began = time.perf_counter_ns()
    try:
        scorer, n = model.scorer, len(features)
        outputs = scorer.predict_columns(features.columns(scorer.names), n)
        outputs = {name: all_finite(outputs[name], n) for name in scorer.outputs}
    except Exception as error:
        if lane.running is None or lane.arm is None:
            raise
        lane.running.observe(lane.arm, 0.0, None)
        if lane.control is None or lane.control is model:
            raise
        log.debug("version %s failed, the control ranks: %s", model.version, error)
        return score_candidates(
            lane._replace(model=lane.control, arm=lane.running.experiment.control, control=None), features
        )
    if len(features):
        best = int(np.argmax(outputs[scorer.outputs[0]]))
        lane.note((time.perf_counter_ns() - began) / NS_PER_MS, {name: float(outputs[name][best]) for name in outputs})
    return lane, outputs
