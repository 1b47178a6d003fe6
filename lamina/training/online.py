"""A logistic regression that learns row by row as labels arrive, faster for a while after its own errors have risen.

river's: each row is scored, then learnt from; the log loss of the score goes to a Page-Hinkley test. When the test
finds that the losses have risen, the learning rate is `boost` times the usual one, and falls back to it by half every
`half_life_rows` rows. An example with a rate of 0.01, a boost of 10 and a half-life of 2,000 rows:

    rows since the drift was found     0      2,000   6,000   20,000
    learning rate                      0.100  0.055   0.021   0.010

What it has learnt is kept as JSON, numbers to the last bit: read back, it goes on as if it had never stopped. ADWIN
would find drifts as well, and keeps its buckets where only a pickle reaches them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import drift, linear_model, optim, preprocessing, utils

from lamina.errors import LaminaError
from lamina.evaluation.metrics import Floats, Ints
from lamina.evaluation.table import Table
from lamina.scoring.inputs import Input
from lamina.scoring.linear import WIDEST, Weight, squashed

DRAWS = 10_000
FORMAT = 1
SMALLEST = 1e-12


class BrokenState(LaminaError):
    """Something that was kept of a learner and cannot be read."""


@dataclass(frozen=True)
class OnlinePlan:
    """How it learns. `negatives_kept`: of the negative rows, drawn by their ids; scores are corrected for it. `rate`,
    `boost`, `half_life_rows`: see above. The rest is of the Page-Hinkley test: `allowance` and `threshold` of losses,
    and after how many rows it may first speak.
    """

    negatives_kept: float = 0.1
    rate: float = 0.01
    boost: float = 10.0
    half_life_rows: int = 2_000
    allowance: float = 0.01
    threshold: float = 25.0
    fewest_rows: int = 500


class RisingRate(optim.base.Scheduler):  # type: ignore[misc]
    """The learning rate by step: `raised_at` is the step at which a drift was found last, -1 before the first."""

    def __init__(self, plan: OnlinePlan, raised_at: int = -1) -> None:
        self.plan, self.raised_at = plan, raised_at

    def get(self, t: int) -> float:
        """The rate at step `t`."""
        plan = self.plan
        if self.raised_at < 0:
            return plan.rate
        raised: float = (plan.boost - 1.0) * 0.5 ** ((t - self.raised_at) / plan.half_life_rows)
        return plan.rate * (1.0 + raised)


class OnlineLearner:
    """Learns from rows in the order in which their labels became known. `drifts` counts those that it has found.

    Args: inputs: what it reads, of a system's definitions; texts are told apart by value.
    """

    def __init__(self, inputs: tuple[Input, ...], plan: OnlinePlan = OnlinePlan()) -> None:
        self.inputs, self.plan, self.drifts, self.rows = inputs, plan, 0, 0
        self._rate = RisingRate(plan)
        self._model = linear_model.LogisticRegression(optimizer=optim.SGD(self._rate), intercept_lr=self._rate)
        self._scaler = preprocessing.StandardScaler()
        self._test = drift.PageHinkley(
            min_instances=plan.fewest_rows, delta=plan.allowance, threshold=plan.threshold, mode="up"
        )
        self._numbers = tuple(each.name for each in inputs if each.categories is None)
        self._texts = tuple(each.name for each in inputs if each.categories is not None)

    def learn(self, rows: Table, order: Ints) -> Floats:
        """Learn from the rows at the places `order`, of which negative ones only a share; returns float64[k] of the
        scores that those had right before they were learnt from.
        """
        numbers = [squashed(np.asarray(rows.inputs[name], np.float64)) for name in self._numbers]
        texts = [rows.inputs[name] for name in self._texts]
        found = []
        for i in order.tolist():
            positive = bool(rows.positive[i])
            if not positive and not self._drawn(rows.id[i]):
                continue
            found.append(self._learn_one(self._row(numbers, texts, i), positive))
        return np.array(found)

    def _drawn(self, identity: object) -> bool:
        return zlib.crc32(str(identity).encode()) % DRAWS < self.plan.negatives_kept * DRAWS

    def _row(self, numbers: list[Floats], texts: list[NDArray[Any]], i: int) -> dict[str, float]:
        given = {name: float(values[i]) for name, values in zip(self._numbers, numbers, strict=True)}
        given = {name: value for name, value in given.items() if value == value}
        self._scaler.learn_one(given)
        scaled = self._scaler.transform_one(given)
        row = {name: min(max(value, -WIDEST), WIDEST) for name, value in scaled.items()}
        named = zip(self._texts, texts, strict=True)
        return row | {f"{name}={values[i]}": 1.0 for name, values in named if values[i] is not None}

    def _learn_one(self, row: dict[str, float], positive: bool) -> float:
        score = float(self._model.predict_proba_one(row)[True])
        likely = score if positive else 1.0 - score
        self._test.update(-float(np.log(max(likely, SMALLEST))))
        if self._test.drift_detected:
            self.drifts += 1
            self._rate.raised_at = self._model.optimizer.n_iterations
        self._model.learn_one(row, positive)
        self.rows += 1
        return score

    @property
    def rate(self) -> float:
        """The learning rate of the next row."""
        return float(self._rate.get(self._model.optimizer.n_iterations))

    @property
    def intercept(self) -> float:
        """In log-odds, corrected for the negative rows that were left out."""
        return float(self._model.intercept) + float(np.log(self.plan.negatives_kept))

    @property
    def numbers(self) -> dict[str, Weight]:
        """Of each number that was ever seen: how it is scaled, and its weight."""
        weights = self._model.weights
        return {
            name: Weight(
                mean=self._scaler.means[name],
                deviation=self._scaler.vars[name] ** 0.5,
                weight=float(weights.get(name, 0.0)),
            )
            for name in self._numbers
            if self._scaler.vars.get(name)
        }

    @property
    def texts(self) -> dict[str, dict[str, float]]:
        """Of each text the weight of each value that was ever seen."""
        found: dict[str, dict[str, float]] = {name: {} for name in self._texts}
        for key, weight in self._model.weights.items():
            name, separator, value = key.partition("=")
            if separator:
                found[name][value] = float(weight)
        return found

    def to_json(self) -> str:
        """Everything that it goes on from."""
        scaler, test = self._scaler, self._test
        return json.dumps(
            {
                "format": FORMAT,
                "plan": asdict(self.plan),
                "inputs": [each.model_dump(mode="json") for each in self.inputs],
                "rows": self.rows,
                "drifts": self.drifts,
                "raised_at": self._rate.raised_at,
                "steps": self._model.optimizer.n_iterations,
                "intercept": self._model.intercept,
                "weights": self._model.weights,
                "counts": dict(scaler.counts),
                "means": dict(scaler.means),
                "vars": dict(scaler.vars),
                "test": {
                    "n": test._x_mean.n,
                    "mean": test._x_mean.get(),
                    "increase": test._sum_increase,
                    "decrease": test._sum_decrease,
                    "least": None if test._min_increase == float("inf") else test._min_increase,
                    "most": test._max_decrease,
                    "found": test.drift_detected,
                },
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The learner that `to_json` wrote.

        Raises: BrokenState: when it is none, or of another version.
        """
        try:
            kept = json.loads(text)
            if kept["format"] != FORMAT:
                raise BrokenState(f"a learner of format {kept['format']}, and {FORMAT} is read: let it learn anew")
            found = cls(tuple(Input.model_validate(each) for each in kept["inputs"]), OnlinePlan(**kept["plan"]))
            found.rows, found.drifts, found._rate.raised_at = kept["rows"], kept["drifts"], kept["raised_at"]
            model = found._model
            model.optimizer.n_iterations, model.intercept = kept["steps"], kept["intercept"]
            model._weights = utils.VectorDict(kept["weights"])
            found._scaler = preprocessing.StandardScaler._from_state(kept["counts"], kept["means"], kept["vars"])
            test, state = found._test, kept["test"]
            test._x_mean.n, test._x_mean._mean = state["n"], state["mean"]
            test._sum_increase, test._sum_decrease = state["increase"], state["decrease"]
            test._min_increase = float("inf") if state["least"] is None else state["least"]
            test._max_decrease, test._drift_detected = state["most"], state["found"]
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenState(f"what was kept of a learner cannot be read ({error}): let it learn anew") from None
        return found


def in_order_of_labels(rows: Table, delay_days: int) -> Ints:
    """Places of the rows whose truth is known, in the order in which it became so, to the day: a positive one when it
    was reported, another once nothing was for `delay_days`.
    """
    waited = np.where(rows.positive, rows.waited, delay_days)
    known = rows.day + np.where(np.isnan(waited), delay_days, waited)
    usable = np.flatnonzero(rows.weight > 0)
    return usable[np.argsort(known[usable], kind="stable")]
