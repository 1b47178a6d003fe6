"""A capacity sheet: what a system is made of, and which numbers each part's need follows from. Read from YAML.

inputs       what is asked about, such as `users`; the command line sets them
figures      what a benchmark measured, by `benchmark.figure`
assumptions  numbers that nobody measured, each with a reason
parts        each with its memory and processor time as sums of products of those names

A product of `of: [users, bytes_a_user]`, `over: [shards]` is users * bytes_a_user / shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lamina.errors import LaminaError
from lamina.yaml_files import YamlNumber, YamlWhole, read_yaml


class CapacityError(LaminaError):
    """A sheet, a list of prices or a figure that cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assumption(_Part):
    """A number that was not measured, and why it is taken."""

    value: YamlNumber
    because: str = Field(min_length=1)


class Product(_Part):
    """Names whose numbers are multiplied, and divided by. `up`: rounded up to a whole number, as machines are.

    `power`: the product is raised to it.
    """

    of: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    power: YamlNumber = 1.0
    up: bool = False


class Part(_Part):
    """One part of a system. Either need may be empty.

    `memory_bytes`: of one copy; `cpu_us`: microseconds of processor time a second, of all copies together; `copies`:
    each holds all of the memory, and all share the work; `at_least`: machines, whatever the need.
    """

    name: str
    machine: str
    memory_bytes: tuple[Product, ...] = ()
    cpu_us: tuple[Product, ...] = ()
    copies: YamlWhole = Field(default=1, ge=1)
    at_least: YamlWhole = Field(default=1, ge=1)


class Sheet(_Part):
    """What a file holds."""

    inputs: dict[str, YamlNumber]
    figures: dict[str, str] = Field(default_factory=dict)
    assumptions: dict[str, Assumption] = Field(default_factory=dict)
    derived: dict[str, Product] = Field(default_factory=dict)
    parts: tuple[Part, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        given = [*self.inputs, *self.figures, *self.assumptions, *self.derived]
        if twice := sorted({name for name in given if given.count(name) > 1}):
            raise ValueError(f"{twice[0]!r} is given twice: as an input, a figure, an assumption, or derived")
        if unknown := sorted(
            {name for product in self._products() for name in (*product.of, *product.over)} - {*given}
        ):
            raise ValueError(f"{unknown[0]!r} is the name of no input, figure or assumption")
        return self

    def _products(self) -> Iterator[Product]:
        yield from self.derived.values()
        for part in self.parts:
            yield from (*part.memory_bytes, *part.cpu_us)


class Machine(_Part):
    """What can be rented. `usd_a_month` is yours to set."""

    cores: YamlNumber = Field(gt=0)
    memory_gib: YamlNumber = Field(gt=0)
    usd_a_month: YamlNumber = Field(ge=0)


class Prices(_Part):
    """`memory_used`, `cores_used`: the share of a machine that is planned for; the rest is for peaks and failures."""

    source: str
    memory_used: YamlNumber = Field(gt=0, le=1)
    cores_used: YamlNumber = Field(gt=0, le=1)
    machines: dict[str, Machine] = Field(min_length=1)


T = TypeVar("T", Sheet, Prices)


def read_sheet(file: Path) -> Sheet:
    """The sheet in `file`.

    Raises: CapacityError: it cannot be read, or says what cannot be.
    """
    return _read(file, Sheet)


def read_prices(file: Path) -> Prices:
    """The prices in `file`.

    Raises: CapacityError: they cannot be read, or say what cannot be.
    """
    return _read(file, Prices)


def _read(file: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate(read_yaml(file, CapacityError))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CapacityError(f"{file}: {where + ': ' if where else ''}{first['msg']}") from None
