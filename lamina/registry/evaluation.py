"""What an evaluation says of a new version; it lies in the lake between measuring and deploying."""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.registry.protocol import Kind

EVALUATION = "evaluation.json"
POSITIVES = "frauds"
"""What the file calls rows with the label, whatever the label is: so it did when fraud was the only one."""


class NoEvaluation(LaminaError):
    """There is no evaluation for the day, or what is there is none."""


class Contender(BaseModel):
    """A version and its figures on the rows that were compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    logical_date: date
    metrics: dict[str, float]


class Interval(BaseModel):
    """By how much the candidate's figure exceeds the champion's, and where the true difference lies by the data.

    `low` and `high` bound it with the probability `confidence`, from resampling the rows for both models alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: float
    low: float
    high: float
    confidence: float


class Slice(BaseModel):
    """Some of the rows, by name, and figures on them; `champion` is empty without one. A slice of one kind has few."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    name: str
    rows: int
    positives: int = Field(alias=POSITIVES)
    candidate: dict[str, float]
    champion: dict[str, float] = {}


class Evaluation(BaseModel):
    """Whether the version trained for a day should become the champion, and why.

    `candidate` is absent when no version was registered for the day, or it cannot serve; `champion` when there was none
    that could be used. `against` is the version that was the champion then, whether it could be used or not.
    `challenge` says of one that should not that it may be tried beside the champion: it is not surely worse.
    `differences` holds, by figure, how sure it is that the candidate is better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    system: str
    logical_date: date
    rows: int
    positives: int = Field(alias=POSITIVES)
    candidate: Contender | None
    champion: Contender | None
    against: str | None = None
    differences: dict[str, Interval] = {}
    slices: tuple[Slice, ...] = ()
    promote: bool
    challenge: bool = False
    reasons: tuple[str, ...]

    @model_validator(mode="before")
    @classmethod
    def _names_its_champion(cls, found: Any) -> Any:
        # Written before `against` was: the champion that was measured is the one that served.
        if isinstance(found, dict) and "against" not in found and (champion := found.get("champion")) is not None:
            version = champion["version"] if isinstance(champion, dict) else champion.version
            return {**found, "against": version}
        return found

    @model_validator(mode="after")
    def _promotes_something(self) -> Self:
        if self.promote and self.candidate is None:
            raise ValueError("promotes a version that does not exist: candidate is missing")
        if self.challenge and (self.promote or self.candidate is None or self.champion is None):
            raise ValueError("challenges nobody: a challenger is not promoted, and there is a champion beside it")
        return self


def evaluation_url(lake: str, system: str, day: date, kind: Kind = Kind.TRAINING) -> str:
    """Where the evaluation of the version of `system` for `day` lies; one that was not trained has a folder by `kind`.

    >>> evaluation_url("lake", "fraud", date(2018, 8, 21))
    'lake/training/fraud/2018-08-21/evaluation.json'
    >>> evaluation_url("lake", "fraud", date(2018, 8, 21), "blend")
    'lake/training/fraud/2018-08-21/blend/evaluation.json'
    """
    folder = layout.training(lake, system, day)
    return f"{folder}/{EVALUATION}" if kind is Kind.TRAINING else f"{folder}/{kind}/{EVALUATION}"


def write_evaluation(lake: str, evaluation: Evaluation, kind: Kind = Kind.TRAINING) -> str:
    """Write the evaluation beside its training set, in the place of an earlier one; returns where."""
    url = evaluation_url(lake, evaluation.system, evaluation.logical_date, kind)
    fs, path = open_lake(url)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with fs.open(path, "w", encoding="utf-8") as file:
        file.write(evaluation.model_dump_json(indent=2) + "\n")
    return url


def read_evaluation(lake: str, system: str, day: date, kind: Kind = Kind.TRAINING) -> Evaluation:
    """The evaluation of the version of `system` for `day` that was made in one way.

    Raises: NoEvaluation: when there is none, or it is not one.
    """
    url = evaluation_url(lake, system, day, kind)
    asked = "" if kind is Kind.TRAINING else f" --kind {kind}"
    fs, path = open_lake(url)
    try:
        return Evaluation.model_validate_json(fs.cat_file(path))
    except FileNotFoundError:
        raise NoEvaluation(
            f"{url} is not there: run python -m models.{system}.evaluate --date {day}{asked} first"
        ) from None
    except ValidationError as error:
        raise NoEvaluation(f"{url} cannot be read ({error.errors()[0]['msg']}): evaluate the model again") from None
