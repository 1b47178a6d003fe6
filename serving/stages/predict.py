"""Predictions of any registered model, stage by stage: model, question, features, cache, micro-batch. Hot path."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lamina import definitions
from lamina.clock import Clock
from lamina.contracts.predictions import Prediction, Question
from lamina.errors import ContractError, PredictionFailed, PredictionTimeout, StoreUnavailable
from lamina.monitoring import metrics
from lamina.scoring.moving import moving
from lamina.scoring.protocol import Scorer, Value
from lamina.scoring.questions import QuestionForm
from lamina.store.reader import FeatureVector
from serving.stages.cache import Answer, PredictionCache, cache_key
from serving.stages.features import FeatureStage
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import Model
from serving.stages.model_repository import ModelRepository
from serving.stages.stopwatch import NS_PER_MS, Stopwatch

log = logging.getLogger(__name__)

READ_ROWS = 50
"""Rows whose features are read in one round trip; other requests go in between."""


@dataclass(frozen=True)
class Call:
    """What came in one request. `started_ns` is when it arrived, by `time.perf_counter_ns`; `model` None: the default.

    `explain` returns the features as used.
    """

    questions: Sequence[Question]
    model: str | None
    request_id: str
    started_ns: int
    explain: bool = False


class Predictor:
    """Answers calls. Everything of one call is of one version of the model.

    Args: stage: the feature stage of a system, by its name; default_model: what is asked where a call names none;
    deadline_ms: after this long a call is answered that there is no prediction.
    """

    def __init__(
        self,
        repository: ModelRepository,
        stage: Callable[[str], FeatureStage],
        cache: PredictionCache,
        batcher: MicroBatcher,
        *,
        default_model: str,
        deadline_ms: int,
        clock: Clock,
    ) -> None:
        self._deadline_s = deadline_ms / 1000
        self._repository, self._make_stage, self._cache, self._batcher = repository, stage, cache, batcher
        self._default, self._clock = default_model, clock
        self._stages: dict[str, FeatureStage] = {}
        self._forms: dict[tuple[str, tuple[str, ...]], QuestionForm] = {}
        self._moving: dict[str, Mapping[str, float]] = {}

    async def predict(self, call: Call) -> Prediction:
        """The answer to a call of one question.

        Raises: as `predict_all`; PredictionFailed: the model gave no score; StoreUnavailable: no features.
        """
        found = (await self.predict_all(call))[0]
        if found.error == "model_failed":
            raise PredictionFailed(f"version {found.version} of {found.model} gave no score")
        if found.error == "features_unreadable":
            raise StoreUnavailable("stored features cannot be read by this version")
        return found

    async def predict_all(self, call: Call) -> list[Prediction]:
        """An answer to each question, in order. A row that fails carries its `error` and leaves the others alone.

        Raises: UnknownModel, ModelUnavailable: of the model; ContractError: of a question; StoreUnavailable: no
        features can be read; Overloaded: too much waits already; PredictionTimeout: not within the deadline.
        """
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                return await self._predict_all(call)
        except TimeoutError:
            if not deadline.expired():
                raise
            metrics.PREDICT_TIMEOUTS.inc()
            raise PredictionTimeout(
                f"no prediction of {call.model or self._default} within {self._deadline_s:g} s: ask again, for fewer "
                "rows, or raise LAMINA_PREDICT_DEADLINE_MS"
            ) from None

    async def _predict_all(self, call: Call) -> list[Prediction]:
        watch = Stopwatch()
        model = await self._repository.model(call.model or self._default)
        rows, times = self._rows(model.scorer, call)
        watch.lap("question")
        vectors = await self._read(self._stage(model.scorer.system), rows, times)
        watch.lap("features")
        answers = await self._scores(model, vectors)
        watch.lap("model")
        made = [
            self._prediction(model, call, place, question, time_ms, vector, answer)
            for place, (question, time_ms, vector, answer) in enumerate(
                zip(call.questions, times, vectors, answers, strict=True)
            )
        ]
        _count(made, watch)
        return made

    def _rows(self, scorer: Scorer, call: Call) -> tuple[list[dict[str, object]], list[int]]:
        form = self._form(scorer)
        now = self._clock()
        rows, times = [], [now if q.timestamp is None else q.timestamp for q in call.questions]
        for place, (question, at_ms) in enumerate(zip(call.questions, times, strict=True)):
            try:
                rows.append(form.row(question, id=_id(call, place), at_ms=at_ms))
            except ContractError as error:
                if len(call.questions) == 1:
                    raise
                raise ContractError(error.contract, f"rows.{place}.{error.field}", error.reason) from None
        return rows, times

    def _form(self, scorer: Scorer) -> QuestionForm:
        key = (scorer.system, scorer.names)
        if key not in self._forms:
            self._forms[key] = QuestionForm(definitions.load(scorer.system), scorer.names)
        return self._forms[key]

    def _steps(self, system: str) -> Mapping[str, float]:
        if system not in self._moving:
            self._moving[system] = moving(definitions.load(system))
        return self._moving[system]

    def _stage(self, system: str) -> FeatureStage:
        if system not in self._stages:
            self._stages[system] = self._make_stage(system)
        return self._stages[system]

    async def _read(
        self, stage: FeatureStage, rows: Sequence[dict[str, object]], times: Sequence[int]
    ) -> list[FeatureVector | None]:
        """The features of each row; None where what is stored cannot be read."""
        found: list[FeatureVector | None] = []
        for begin in range(0, len(rows), READ_ROWS):
            part, at_ms = rows[begin : begin + READ_ROWS], times[begin : begin + READ_ROWS]
            for at, read in enumerate(await stage.read_each(part, at_ms)):
                if at:
                    await asyncio.sleep(0)  # lets other requests go in between
                found.append(stage.vector(read, part[at], at_ms[at]))
        return found

    async def _scores(self, model: Model, vectors: Sequence[FeatureVector | None]) -> list[Answer | None]:
        """The answer for each vector; None without one."""
        values: list[dict[str, Value]] = [vector.values for vector in vectors if vector is not None]
        steps = self._steps(model.scorer.system)
        keys = [cache_key(model, each, steps) for each in values]
        known = iter(
            await self._cache.scores(
                keys, lambda places: self._batcher.score(model, [values[place] for place in places])
            )
        )
        return [None if vector is None else next(known) for vector in vectors]

    def _prediction(
        self,
        model: Model,
        call: Call,
        place: int,
        question: Question,
        at_ms: int,
        vector: FeatureVector | None,
        answer: Answer | None,
    ) -> Prediction:
        # Built from validated parts, as a decision is.
        return Prediction.model_construct(
            request_id=_id(call, place),
            user_id=question.user_id,
            item_id=question.item_id,
            model=model.name,
            version=model.version,
            score=None if answer is None else answer.score,
            error="features_unreadable" if answer is None else "model_failed" if answer.score is None else None,
            answered_by=None if answer is None or answer.score is None else answer.tier,
            stale=vector is not None and bool(vector.stale),
            unknown=[] if vector is None else sorted(vector.unknown),
            timestamp=at_ms,
            latency_ms=(time.perf_counter_ns() - call.started_ns) / NS_PER_MS,
            features=vector.values if call.explain and vector is not None else None,
        )


def _id(call: Call, place: int) -> str:
    return call.request_id if len(call.questions) == 1 else f"{call.request_id}-{place}"


def _count(made: Sequence[Prediction], watch: Stopwatch) -> None:
    for prediction in made:
        metrics.PREDICT_ROWS.labels(prediction.model, prediction.version, prediction.error or "ok").inc()
    metrics.PREDICT_LATENCY.observe(made[-1].latency_ms / 1000)
    for stage, ms in watch.ms.items():
        metrics.PREDICT_STAGE_LATENCY.labels(stage).observe(ms / 1000)
