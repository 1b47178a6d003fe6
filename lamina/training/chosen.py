"""The parameters that a search chose, kept in the lake beside the training set it looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.write import open_lake

SEARCH = "search.json"

Values = dict[str, float | int | str]


class BrokenSearch(LaminaError):
    """A file of chosen parameters that is none."""


class Chosen(BaseModel):
    """What a search found, on which days, and how much better than the recorded defaults it was there.

    Fitted on `fit_first` to `fit_last`, chosen by `figure` on `valid_first` to `valid_last`, all before the test days.
    trials: those that count, `pruned` of them given up early. run_id: of the search in MLflow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    system: str
    logical_date: date
    study: str
    run_id: str
    seed: int
    trials: int = Field(ge=1)
    pruned: int = Field(ge=0)
    figure: str
    value: float
    value_of_defaults: float
    fit_first: date
    fit_last: date
    valid_first: date
    valid_last: date
    features: str
    parameters: dict[Literal["xgboost", "lightgbm"], Values]

    @property
    def source(self) -> str:
        """Where the parameters come from, in words for a spec and a card."""
        return (
            f"search {self.study} ({self.trials} trials; {self.figure} {self.value:.4f} on {self.valid_first} to "
            f"{self.valid_last}, defaults {self.value_of_defaults:.4f})"
        )

    @property
    def by_member(self) -> Mapping[str, Values]:
        """Parameters of each member of the ensemble."""
        return {str(name): dict(values) for name, values in self.parameters.items()}


def write_chosen(lake: str, chosen: Chosen) -> str:
    """Write it beside the training set of its day, in the place of an earlier one; returns where."""
    url = f"{layout.training(lake, chosen.system, chosen.logical_date)}/{SEARCH}"
    fs, path = open_lake(url)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with fs.open(path, "w", encoding="utf-8") as file:
        file.write(chosen.model_dump_json(indent=2) + "\n")
    return url


def last_chosen(lake: str, system: str, day: date) -> Chosen | None:
    """What the last search for `day` or an earlier one chose; None when there was none.

    Later searches do not count: they looked at days that a model of `day` may be tested on.

    Raises: BrokenSearch: when the file cannot be read.
    """
    fs, folder = open_lake(layout.training(lake, system, day).rsplit("/", 1)[0])
    found = {name_of(made): path for made in children(fs, folder) if fs.exists(path := f"{made}/{SEARCH}")}
    earlier = sorted(name for name in found if name <= day.isoformat())
    if not earlier:
        return None
    path = found[earlier[-1]]
    try:
        return Chosen.model_validate_json(fs.cat_file(path))
    except ValidationError as error:
        raise BrokenSearch(
            f"{path} cannot be read ({error.errors()[0]['msg']}): search again (--search N), delete it, or train with "
            "--parameters defaults"
        ) from None
