"""What is shown of ranked videos: `policy.yaml`, a file with a version, which every answer names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lamina.errors import LaminaError
from lamina.yaml_files import YamlNumber, YamlWhole, read_yaml, sentence

POLICY_FILE = Path(__file__).with_name("policy.yaml")
Pool = Literal["fresh", "untried"]


class PolicyError(LaminaError):
    """A policy file that cannot be right; the message names the file and the place."""


class Exploring(BaseModel):
    """Of `of` positions `slots` are drawn by chance. pools: where from, by name, and how often from each."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slots: YamlWhole = Field(ge=0)
    of: YamlWhole = Field(ge=1)
    pools: dict[Pool, YamlNumber]

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.slots > self.of:
            raise ValueError(f"{self.slots} slots of {self.of} positions: there are not so many")
        if any(weight <= 0 for weight in self.pools.values()) or not math.isclose(sum(self.pools.values()), 1):
            raise ValueError("pools need weights above 0 that add up to 1")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """How often each pool is drawn from, by name."""
        return {str(name): weight for name, weight in self.pools.items()}


class Policy(BaseModel):
    """The rules of a list. per_channel: at most so many videos of a channel; relevance: as `diversified`'s trade."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: str = Field(min_length=1)
    per_channel: YamlWhole = Field(ge=1)
    relevance: YamlNumber = Field(ge=0, le=1)
    exploring: Exploring

    def slots(self, k: int) -> int:
        """Positions of a list of `k` that are drawn by chance."""
        return k * self.exploring.slots // self.exploring.of


def read_policy(file: Path = POLICY_FILE) -> Policy:
    """The policy in `file`.

    Raises: PolicyError: for anything that cannot be right.
    """
    try:
        return Policy.model_validate(read_yaml(file, PolicyError))
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = [f"{'.'.join(map(str, each['loc'])) or 'file'}: {sentence(each)}" for each in found]
        raise PolicyError(f"{file}: {'; '.join(told)}") from None
