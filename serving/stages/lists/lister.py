"""Requests for a list answered stage by stage, for any system. Hot path.

    features     who asks, from the store              late or away: anybody's candidates, unranked
    candidates   found for them, on a thread           late or failed: anybody's candidates
    model        all ranked in one pass, on a thread   late or failed: in the order in which they were found
    choice       what is shown, by the system's rules
    log          an event and an envelope of each item that is shown

Nothing of a request is waited for longer than its stage may take, so a request is answered within the sum of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple

import numpy as np

from lamina.contracts.served import NO_FALLBACK, Served
from lamina.contracts.systems import System
from lamina.errors import CodecError, ModelUnavailable, StoreUnavailable
from lamina.scoring.protocol import Outputs
from lamina.store.among import Asker, CandidateFeatures
from lamina.store.table import Items
from serving.masking import REQUEST_ID
from serving.stages.budget import READ, SCORE, fell_back
from serving.stages.features import FeatureStage
from serving.stages.lists.case import Finding, ListCase, Q, Ranking, Recommender
from serving.stages.lists.logged import ListLog, Made
from serving.stages.lists.once import Once
from serving.stages.lists.scored import score_candidates
from serving.stages.record import record_list
from serving.stages.routing import Lane, Routing
from serving.stages.shadow import ShadowScorer
from serving.stages.stopwatch import NS_PER_MS, Stopwatch
from serving.stages.timed import StageLate, TimedStage

log = logging.getLogger(__name__)

FIND, CHOOSE = "candidates", "choice"
NO_FEATURES, NO_CANDIDATES, NO_MODEL, LATE = "no_features", "no_candidates", "no_model", "deadline"
"""What an answer is called that was made without a stage; of several the first."""


@dataclass(frozen=True)
class Stages:
    """The stages that work on threads. The read of who asks has its time from the feature stage itself."""

    candidates: TimedStage
    ranking: TimedStage

    def close(self) -> None:
        """Begin nothing more."""
        self.candidates.close()
        self.ranking.close()


class _Scores(NamedTuple):
    """What ranks: the lane, and every output of the candidates; none where they stay in the order of the finding."""

    lane: Lane
    outputs: Outputs
    fallback: str


class Lister(Generic[Q]):
    """Answers the requests of one system for lists.

    Args: items: gives what is held of all candidates, None before it was first read; once: who asks again.
    """

    def __init__(
        self,
        record: System,
        recommender: Recommender[Q],
        features: FeatureStage,
        items: Callable[[], Items | None],
        routing: Routing,
        shadows: ShadowScorer,
        stages: Stages,
        written: ListLog[Q],
        once: Once[list[Served]],
    ) -> None:
        self._record, self._recommender, self._features, self._items = record, recommender, features, items
        self._routing, self._shadows, self._stages = routing, shadows, stages
        self._written, self._once = written, once
        self._unit = record.entities[0].key

    async def answer(self, case: ListCase[Q]) -> list[Served]:
        """What is shown, in order, an envelope an item.

        Raises: StoreUnavailable: nothing is known of any item yet.
        """
        return await self._once.of((str(case.row[self._unit]), case.request_id), lambda: self._answer(case))

    async def _answer(self, case: ListCase[Q]) -> list[Served]:
        items = self._items()
        if items is None:
            raise StoreUnavailable("no item was read from the store yet: ask again in a few seconds")
        watch = Stopwatch()
        asker = await self._asker(case, items)
        watch.lap(READ)
        finding, without = await self._find(case, asker, items)
        watch.lap(FIND)
        lane = self._routing.lineup().lane(str(case.row[self._unit]), case.row)
        features = None if asker is None else _features(asker, items, finding)
        scores = await self._rank(case, lane, features)
        watch.lap(SCORE)
        ranking = self._ranking(finding, scores.outputs)
        shown = list(islice(self._recommender.choose(case, asker, ranking), case.k))
        watch.lap(CHOOSE)
        vectors = [] if features is None else features.vectors([each.ranked.place for each in shown])
        fallback = without if without != NO_FALLBACK else scores.fallback
        made = Made(shown, vectors, scores.lane, finding.models, fallback, watch.ms)
        began = time.perf_counter_ns()
        served = self._written.publish(case, made)
        log_ms = (time.perf_counter_ns() - began) / NS_PER_MS
        record_list(self._record.name, served, fallback, log_ms)
        if case.trace is not None and served:
            case.trace.answered(served[0], self._record.features.request.name, log_ms, time.time_ns())
        if scores.lane.shadow is not None and scores.outputs:
            for each in served:
                self._shadows.offer(scores.lane.shadow, each)
        return served

    async def _asker(self, case: ListCase[Q], items: Items) -> Asker | None:
        """Who asks; None where the store does not say, or not in a form that goes with the items."""
        try:
            snapshot = await self._features.read_keys(items.reader.keys(case.row, case.at_ms))
            return items.reader.asker(snapshot, case.row, case.at_ms)
        except StoreUnavailable as error:
            log.debug("no features: %s", error)
        except CodecError as error:
            log.error("features cannot be used: %s", error)
        fell_back(self._record.name, READ)
        return None

    async def _find(self, case: ListCase[Q], asker: Asker | None, items: Items) -> tuple[Finding, str]:
        """Candidates, and what they were found without."""
        if asker is None:
            return self._recommender.instead(case, items), NO_FEATURES
        try:
            found = await self._stages.candidates.run(lambda: self._recommender.find(case, asker, items))
        except StageLate as error:
            log.debug("%s", error)
        except Exception as error:
            self._tell(case, FIND, error)
        else:
            return found, NO_FALLBACK
        fell_back(self._record.name, FIND)
        return self._recommender.instead(case, items), NO_CANDIDATES

    async def _rank(self, case: ListCase[Q], lane: Lane, features: CandidateFeatures | None) -> _Scores:
        if features is None:
            return _Scores(lane, {}, NO_FEATURES)
        fallback = NO_MODEL
        try:
            return _Scores(*await self._stages.ranking.run(lambda: score_candidates(lane, features)), NO_FALLBACK)
        except StageLate as error:
            log.debug("%s", error)
            fallback = LATE
        except ModelUnavailable as error:
            log.debug("%s", error)
        except Exception as error:
            self._tell(case, SCORE, error)
        fell_back(self._record.name, SCORE)
        return _Scores(lane, {}, fallback)

    def _ranking(self, finding: Finding, outputs: Outputs) -> Ranking:
        """The candidates, best first; of equal ones the one that was found first."""
        if not outputs:
            return Ranking(finding.found, range(len(finding.found)), {})
        order = np.argsort(-self._recommender.value(outputs), kind="stable").tolist()
        return Ranking(finding.found, order, outputs)

    def _tell(self, case: ListCase[Q], stage: str, error: Exception) -> None:
        """A part that fails on a request must not fail its answer."""
        before = REQUEST_ID.set(case.request_id)
        log.error("%s of %s failed on a request", stage, self._record.name, exc_info=error)
        REQUEST_ID.reset(before)


def _features(asker: Asker, items: Items, finding: Finding) -> CandidateFeatures:
    return items.reader.candidates(asker, items.held, [found.fields for found in finding.found])
