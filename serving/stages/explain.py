"""What weighed most in a score, as reasons. Costs more than the score; hot path all the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lamina.contracts.reasons import Reason
from lamina.contracts.served import FeatureValue
from lamina.monitoring import metrics
from serving.masking import REQUEST_ID
from serving.stages.model import Model

log = logging.getLogger(__name__)

TOP_FEATURES = 3


def explained(model: Model, values: Mapping[str, FeatureValue], request_id: str) -> list[Reason]:
    """The features that weighed most; nothing where the model cannot say, which changes no decision."""
    try:
        return _weights(model, values)
    except Exception as error:
        metrics.EXPLANATIONS_FAILED.labels(model.name).inc()
        before = REQUEST_ID.set(request_id)
        log.error("version %s of %s cannot explain its score", model.version, model.name, exc_info=error)
        REQUEST_ID.reset(before)
        return []


def _weights(model: Model, values: Mapping[str, FeatureValue]) -> list[Reason]:
    found = []
    for name, weight in model.scorer.explain(values)[:TOP_FEATURES]:
        value = values.get(name)
        text = "unknown" if value is None else f"{value:,.6g}" if isinstance(value, int | float) else str(value)
        found.append(Reason(kind="feature", code=name, detail=f"{name} = {text}", weight=weight))
    return found
