"""From what was read of requests to their answers: judge, score, settle, log; nothing here waits. Hot path."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic

from lamina.clock import Clock
from lamina.contracts.served import NO_FALLBACK, Served
from lamina.store.reader import FeatureVector
from serving.masking import REQUEST_ID
from serving.stages.budget import READ, SCORE, Budget, fell_back, over_budget
from serving.stages.case import Case, Decider, J, Verdict
from serving.stages.envelope import lane_and_features, models_used
from serving.stages.features import FeatureStage
from serving.stages.kind import E, RequestKind
from serving.stages.log import EventLog, Outgoing
from serving.stages.record import record, record_stale
from serving.stages.routing import Lineup, Routing
from serving.stages.score import score_all
from serving.stages.shadow import ShadowScorer
from serving.stages.stopwatch import NS_PER_MS, Stopwatch

log = logging.getLogger(__name__)

NO_FEATURES = FeatureVector({}, {}, {}, None, frozenset(), frozenset())
Make = Callable[[Sequence[Case[E, J]]], list[Served | Exception]]


class Maker(Generic[E, J]):
    """Makes answers from what was read, and logs them with their requests.

    Args: decider: gives what decides now; count: a system's own metrics of an answer.
    """

    def __init__(
        self,
        kind: RequestKind[E],
        decider: Callable[[], Decider[E, J]],
        features: FeatureStage,
        routing: Routing,
        shadows: ShadowScorer,
        events: EventLog,
        budget: Budget,
        clock: Clock,
        count: Callable[[Served], None] = lambda served: None,
    ) -> None:
        self._kind, self._decider, self._features, self._routing = kind, decider, features, routing
        self._shadows, self._events, self._clock, self._count = shadows, events, clock, count
        self._names, self._read_ns = budget.fallbacks, round(budget.read_ms * NS_PER_MS)

    def of_this_moment(self) -> Make[E, J]:
        """Makes answers by one version of each model, and of what decides. One that fails is an error in its place."""
        return partial(self._make, self._routing.lineup(), self._decider())

    def _make(self, lineup: Lineup, decider: Decider[E, J], cases: Sequence[Case[E, J]]) -> list[Served | Exception]:
        errors = [self._judge(lineup, decider, case) for case in cases]
        judged = [case for case, error in zip(cases, errors, strict=True) if error is None]
        self._score([case for case in judged if case.fallback == NO_FALLBACK])
        found = [error or self._settled(decider, case) for case, error in zip(cases, errors, strict=True)]
        self._log([(case, each) for case, each in zip(cases, found, strict=True) if isinstance(each, Served)])
        return found

    def _judge(self, lineup: Lineup, decider: Decider[E, J], case: Case[E, J]) -> Exception | None:
        """Fill in all that is known before the score; what keeps the request from an answer, if anything does."""
        row = case.row
        watch = case.watch = Stopwatch(case.read_ns)
        case.outputs = {}
        try:
            at_ms: int = row[self._kind.time]  # type: ignore[assignment]
            vector = None if case.snapshot is None else self._features.vector(case.snapshot, row, at_ms)
            watch.lap(READ)
            case.vector = vector or NO_FEATURES
            case.lane = lineup.lane(str(row[self._kind.unit]), row)
            record_stale(self._kind.system, case.vector.stale)
            case.judged = decider.judge(case)
        except Exception as error:
            # What is wrong with one request is not its neighbours' business.
            return error
        case.fallback = self._fallback(case, has_features=vector is not None)
        return None

    def _fallback(self, case: Case[E, J], *, has_features: bool) -> str:
        """What is answered by, as far as is known before the model was asked."""
        system, names = self._kind.system, self._names
        if case.read_ns > self._read_ns:
            over_budget(system, READ)
        if not has_features:
            fell_back(system, READ)
            return names.no_features
        if case.lane.model is None:
            fell_back(system, SCORE)
            return names.no_model
        if time.perf_counter_ns() > case.until_ns:
            over_budget(system, SCORE)
            fell_back(system, SCORE)
            return names.late
        return NO_FALLBACK

    def _score(self, cases: Sequence[Case[E, J]]) -> None:
        if not cases:
            return
        watch = Stopwatch()
        scored = score_all([case.lane for case in cases], [case.vector.values for case in cases])
        watch.lap(SCORE)
        each_ms, now = watch.ms[SCORE] / len(cases), time.perf_counter_ns()
        for case, found in zip(cases, scored, strict=True):
            if isinstance(found, Exception):
                self._give_up(case, found)
                continue
            case.lane, case.outputs = found
            case.watch.ms[SCORE] = each_ms
            if now > case.until_ns:
                over_budget(self._kind.system, SCORE)

    def _settled(self, decider: Decider[E, J], case: Case[E, J]) -> Served | Exception:
        try:
            try:
                verdict = decider.settle(case)
            except Exception as error:
                if not case.outputs:
                    raise
                self._give_up(case, error)
                verdict = decider.settle(case)
            served = self._served(decider, case, verdict)
            case.logged = served.to_json()
        except Exception as error:
            return error
        if case.lane.shadow is not None and case.outputs:
            self._shadows.offer(case.lane.shadow, served)
        return served

    def _give_up(self, case: Case[E, J], error: Exception) -> None:
        """A model that fails on a request must not fail its answer."""
        model = case.lane.model
        version, name = (model.version, model.name) if model is not None else (None, None)
        before = REQUEST_ID.set(case.request_id)
        log.error("version %s of %s failed on a request", version, name, exc_info=error)
        REQUEST_ID.reset(before)
        fell_back(self._kind.system, SCORE)
        case.outputs, case.fallback = {}, self._names.no_model

    def _served(self, decider: Decider[E, J], case: Case[E, J], verdict: Verdict) -> Served:
        kind, row, lane = self._kind, case.row, case.lane
        at_ms: int = row[kind.time]  # type: ignore[assignment]
        # Built from validated parts: validating some sixty features again would cost as much as reading them.
        return Served.trusted(
            system=kind.system,
            request_id=case.request_id,
            event_id=row[kind.id],
            subjects={entity: row[key] for entity, key in kind.subjects},
            candidates=[],
            outputs=case.outputs,
            action=verdict.action,
            intended=verdict.intended,
            propensity=verdict.propensity,
            models=models_used(lane, case.outputs, decider.models),
            fallback=case.fallback,
            **lane_and_features(lane, case.outputs, case.vector, at_ms),
            timestamp=at_ms,
            served_at=self._clock(),
            latency_ms=(time.perf_counter_ns() - case.started_ns) / NS_PER_MS,
            stage_ms=case.watch.ms,
            payload=verdict.payload,
        )

    def _log(self, made: Sequence[tuple[Case[E, J], Served]]) -> None:
        if not made:
            return
        began = time.perf_counter_ns()
        topic, answers, unit = self._kind.topic, self._kind.answers, self._kind.unit
        outgoing = []
        for case, _ in made:
            key = str(case.row[unit])
            trace = b"" if case.trace is None else case.trace.header
            outgoing.append(Outgoing(topic, key, case.raw, trace))
            outgoing.append(Outgoing(answers, key, case.logged, trace))
        self._events.publish_all(outgoing)
        log_ms = (time.perf_counter_ns() - began) / NS_PER_MS / len(made)
        for case, served in made:
            record(served, log_ms)
            if case.trace is not None:
                case.trace.answered(served, self._kind.record.features.request.name, log_ms, time.time_ns())
            try:
                self._count(served)
            except Exception:
                # It was logged: after an error the client would send the event again, and features count it twice.
                log.exception("an answer of %s is not in its own metrics", self._kind.system)
