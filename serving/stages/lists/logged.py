"""What is logged of a list: of each item that is shown an event, and an envelope of its own. Hot path.

So whatever reads answers one by one reads these as well: labels are joined to an item that was shown, parity recomputes
its features, drift and performance look at its score. An item's `request_id` is its own, `r-1-0` of request `r-1`; the
list's is in the payload.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple

from lamina.clock import Clock
from lamina.contracts.served import Candidate, ModelUsed, Served
from lamina.contracts.systems import System
from lamina.contracts.topics import predictions_of
from lamina.store.reader import FeatureVector
from serving.stages.envelope import lane_and_features, models_used
from serving.stages.lists.case import ListCase, Q, Recommender, Shown
from serving.stages.log import EventLog, Outgoing
from serving.stages.making import NO_FEATURES
from serving.stages.routing import Lane
from serving.stages.stopwatch import NS_PER_MS

LIST = "list"
"""The field of the payload that holds the id of the request."""


class Made(NamedTuple):
    """A list before it is logged: what is shown, each with its features where there are any, and how it was made."""

    shown: Sequence[Shown]
    vectors: Sequence[FeatureVector]
    lane: Lane
    models: Mapping[str, ModelUsed]
    fallback: str
    stage_ms: Mapping[str, float]


@dataclass(frozen=True)
class ListLog(Generic[Q]):
    """Logs the lists of the system of `record`."""

    record: System
    recommender: Recommender[Q]
    events: EventLog
    clock: Clock

    def publish(self, case: ListCase[Q], made: Made) -> list[Served]:
        """Write down that each item was shown, and from what; returns the envelopes, in the order of the list."""
        request, unit = self.record.features.request, self.record.entities[0].key
        answers, key = predictions_of(self.record.name), str(case.row[unit])
        trace = b"" if case.trace is None else case.trace.header
        outgoing: list[Outgoing] = []
        found: list[Served] = []
        vectors = made.vectors or [NO_FEATURES] * len(made.shown)
        for position, (shown, vector) in enumerate(zip(made.shown, vectors, strict=True)):
            event = self.recommender.event(case, shown, position, f"{case.request_id}-{position}")
            served = self._served(case, made, shown, position, vector)
            outgoing.append(Outgoing(request.topic, key, event.to_json(), trace))
            outgoing.append(Outgoing(answers, key, served.to_json(), trace))
            found.append(served)
        if outgoing:
            self.events.publish_all(outgoing)
        return found

    def _served(self, case: ListCase[Q], made: Made, shown: Shown, position: int, vector: FeatureVector) -> Served:
        (_, item, outputs), lane, id_ = shown.ranked, made.lane, f"{case.request_id}-{position}"
        row = {**case.row, **item.fields}
        candidate = Candidate.trusted(
            id=item.id, source=item.source, position=position, propensity=shown.propensity, outputs=dict(outputs)
        )
        return Served.trusted(
            system=self.record.name,
            request_id=id_,
            event_id=id_,
            subjects={entity.name: row[entity.key] for entity in self.record.entities},
            candidates=[candidate],
            outputs=dict(outputs),
            action=None,
            intended=None,
            propensity=shown.propensity,
            models=models_used(lane, outputs, made.models),
            fallback=made.fallback,
            **lane_and_features(lane, outputs, vector, case.at_ms),
            timestamp=case.at_ms,
            served_at=self.clock(),
            latency_ms=(time.perf_counter_ns() - case.started_ns) / NS_PER_MS,
            stage_ms=dict(made.stage_ms),
            payload={LIST: case.request_id, **shown.said},
        )
