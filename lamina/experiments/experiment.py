"""An experiment as data: its arms with their shares, whom it is about, and the limits that turn an arm off."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from math import inf
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from lamina.experiments.buckets import BUCKETS, bucket_of
from lamina.yaml_files import YamlNumber, YamlWhole

NAME = r"^[a-z][a-z0-9_-]{0,63}$"
# It names a folder, too.
MODEL = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
# Control characters stay out of it: one of them separates salt and key.
SALT = r"^[^\x00-\x1f\x7f]{1,64}$"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Condition(_Data):
    """What a request must be to take part: `field` is one of the values `one_of`, or a number in [at_least, below)."""

    field: str
    one_of: tuple[str, ...] | None = Field(None, min_length=1)
    at_least: YamlNumber | None = None
    below: YamlNumber | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        numbers = self.at_least is not None or self.below is not None
        if (self.one_of is None) != numbers:
            raise ValueError("give either `one_of`, or `at_least`, `below` or both")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(
                f"no number is at least {self.at_least:g} and below {self.below:g}: nobody would take part"
            )
        return self

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether `row` is one of those meant; a row without the field is not.

        >>> Condition(field="amount", below=100).holds({"amount": 99.9})
        True
        """
        value = row.get(self.field)
        if self.one_of is not None:
            return value in self.one_of
        if not isinstance(value, int | float):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.below is None or value < self.below)


def contradiction(conditions: Iterable[Condition]) -> str | None:
    """Why no request can fulfil all of `conditions`, or None where one can.

    >>> contradiction([Condition(field="country", one_of=("PT",)), Condition(field="country", one_of=("ES",))])
    "no 'country' is what all its conditions ask for: nobody would take part"
    """
    values: dict[str, set[str]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for each in conditions:
        if each.one_of is not None:
            values[each.field] = values.get(each.field, set(each.one_of)) & set(each.one_of)
            continue
        low, high = ranges.get(each.field, (-inf, inf))
        low = low if each.at_least is None else max(low, each.at_least)
        high = high if each.below is None else min(high, each.below)
        ranges[each.field] = (low, high)
    never = [name for name, left in values.items() if not left or name in ranges]
    never += [name for name, (low, high) in ranges.items() if low >= high]
    return f"no {never[0]!r} is what all its conditions ask for: nobody would take part" if never else None


class Arm(_Data):
    """One of the models compared. `model` is an alias of the registry or the number of a version."""

    name: str = Field(pattern=NAME)
    model: str = Field(pattern=MODEL)
    weight: YamlNumber = Field(ge=0, description="Share of the buckets, relative to the other arms' weights.")


class Limits(_Data):
    """When an arm is turned off: by how much it may be worse than the control over a sliding window."""

    window_s: YamlNumber = Field(300, gt=0, description="Length of the window in seconds.")
    min_decisions: YamlWhole = Field(
        500, ge=1, description="Below this many of an arm in the window nothing is judged."
    )
    max_error_share: YamlNumber = Field(0.01, ge=0, lt=1, description="Share of failed scores above the control's.")
    slow_ms: YamlNumber = Field(5.0, gt=0, description="A score that took longer, in milliseconds, is a slow one.")
    max_slow_share: YamlNumber = Field(0.05, ge=0, lt=1, description="Share of slow scores above the control's.")
    max_score_gap: YamlNumber = Field(
        0.2, gt=0, le=1, description="Largest distance between the two cumulative distributions of scores."
    )


class Assignment(NamedTuple):
    """The arm that a key belongs to, and the bucket that says so."""

    arm: Arm
    bucket: int


class Experiment(_Data):
    """A comparison of models. `live`: an arm's model answers. `shadow`: the control answers, an arm's model scores too.

    A key keeps its bucket as long as the salt stays. Arms take buckets in their order, so that a shift of weights
    between two neighbours moves only the buckets between them.
    """

    name: str = Field(pattern=NAME)
    salt: str = Field(pattern=SALT)
    mode: Literal["live", "shadow"] = "live"
    control: str
    arms: tuple[Arm, ...] = Field(min_length=2)
    targeting: tuple[Condition, ...] = ()
    guardrails: Limits = Limits()
    _ends: tuple[int, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        names = [arm.name for arm in self.arms]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"arms named twice: {', '.join(twice)}")
        if self.control not in names:
            raise ValueError(f"control {self.control!r} is none of the arms: {', '.join(names)}")
        total = sum(arm.weight for arm in self.arms)
        if total <= 0:
            raise ValueError("no arm has a weight above 0")
        passed, ends = 0.0, []
        for arm in self.arms:
            passed += arm.weight
            ends.append(round(BUCKETS * passed / total))
            if arm.weight > 0 and ends[-1] == (ends[-2] if len(ends) > 1 else 0):
                raise ValueError(f"arm {arm.name!r} is too light: one bucket is {1 / BUCKETS:.2%} of all")
        self._ends = tuple(ends)
        if wrong := contradiction(self.targeting):
            raise ValueError(f"targeting: {wrong}")
        return self

    def assign(self, key: str, row: Mapping[str, object]) -> Assignment | None:
        """The arm of `key`; None when `row` is not one that the experiment is about.

        >>> arms = (Arm(name="old", model="champion", weight=90), Arm(name="new", model="challenger", weight=10))
        >>> found = Experiment(name="trees", salt="1", control="old", arms=arms).assign("user-17", {})
        >>> found.arm.name, found.bucket
        ('old', 8208)
        """
        for condition in self.targeting:
            if not condition.holds(row):
                return None
        bucket = bucket_of(self.salt, key)
        return Assignment(self.arms[bisect_right(self._ends, bucket)], bucket)


class ExperimentBook(_Data):
    """The content of an experiment file: its version and the experiment that runs, if one does."""

    version: str = Field(pattern=SALT)
    experiment: Experiment | None = None
