"""From a sheet to machines: each part's memory and processor time, and what they come to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from lamina.capacity.sheet import CapacityError, Machine, Part, Prices, Product, Sheet

GIB = 2.0**30


class Measured(NamedTuple):
    """A figure of a benchmark, and where it was measured."""

    value: float
    benchmark: str
    machine: str
    commit: str


class Need(NamedTuple):
    """What a part comes to. `decides`: what the number of machines follows from."""

    part: str
    memory_gib: float
    cores: float
    machine: str
    machines: int
    decides: Literal["memory", "processors", "the least"]
    usd_a_month: float


class Plan(NamedTuple):
    """All parts, and the numbers that they follow from, by name."""

    needs: tuple[Need, ...]
    numbers: Mapping[str, float]
    measured: Mapping[str, Measured]

    @property
    def usd_a_month(self) -> float:
        """Of all parts."""
        return sum(need.usd_a_month for need in self.needs)


def figure(results: Path, name: str) -> Measured:
    """The figure `benchmark.figure`, from the files that benchmarks write to `results`.

    Raises: CapacityError: it was not measured; says how to.
    """
    benchmark, _, wanted = name.partition(".")
    try:
        found = json.loads((results / f"{benchmark}.json").read_bytes())
        return Measured(float(found["figures"][wanted]), benchmark, str(found["machine"]), str(found["commit"]))
    except (OSError, KeyError, ValueError, TypeError):
        raise CapacityError(
            f"{name} was not measured: `python -m benchmarks --only {benchmark}` writes {results / f'{benchmark}.json'}"
        ) from None


def plan(sheet: Sheet, prices: Prices, results: Path, inputs: Mapping[str, float]) -> Plan:
    """What the parts of `sheet` need for `inputs`, which stand in the place of the sheet's own.

    Raises: CapacityError: an input is not one of the sheet's or below zero, a figure was not measured, a machine has no
    price, or a number comes to nothing that can be.
    """
    if unknown := sorted(set(inputs) - set(sheet.inputs)):
        raise CapacityError(f"{unknown[0]!r} is no input of the sheet; there are {', '.join(sheet.inputs)}")
    numbers = {**sheet.inputs, **inputs}
    if wrong := sorted(name for name, value in numbers.items() if not (math.isfinite(value) and value >= 0)):
        raise CapacityError(f"{wrong[0]} is {numbers[wrong[0]]}: give a number of zero or more")
    measured = {name: figure(results, source) for name, source in sheet.figures.items()}
    numbers |= {name: found.value for name, found in measured.items()}
    numbers |= {name: assumed.value for name, assumed in sheet.assumptions.items()}
    for name, product in sheet.derived.items():
        numbers[name] = _value(name, product, numbers)
    return Plan(tuple(_need(part, prices, numbers) for part in sheet.parts), numbers, measured)


def _value(what: str, product: Product, numbers: Mapping[str, float]) -> float:
    if later := [name for name in (*product.of, *product.over) if name not in numbers]:
        raise CapacityError(f"{what} follows from {later[0]}, which is derived after it: change their order")
    over = math.prod(numbers[name] for name in product.over)
    if not over:
        raise CapacityError(f"{what} is divided by {' * '.join(product.over)}, which is 0")
    found = (math.prod(numbers[name] for name in product.of) / over) ** product.power
    return float(math.ceil(found)) if product.up else found


def _need(part: Part, prices: Prices, numbers: Mapping[str, float]) -> Need:
    machine = prices.machines.get(part.machine)
    if machine is None:
        raise CapacityError(f"{part.name} wants a machine {part.machine!r}; priced are {', '.join(prices.machines)}")
    memory = part.copies * sum(_value(part.name, product, numbers) for product in part.memory_bytes) / GIB
    cores = sum(_value(part.name, product, numbers) for product in part.cpu_us) / 1e6
    machines, decides = _machines(part, machine, prices, memory, cores)
    return Need(part.name, memory, cores, part.machine, machines, decides, machines * machine.usd_a_month)


def _machines(
    part: Part, machine: Machine, prices: Prices, memory: float, cores: float
) -> tuple[int, Literal["memory", "processors", "the least"]]:
    by_memory = part.copies * math.ceil(memory / part.copies / (machine.memory_gib * prices.memory_used))
    by_cores = math.ceil(cores / (machine.cores * prices.cores_used))
    least = max(part.at_least, part.copies)
    most = max(by_memory, by_cores, least)
    if most == least:
        return most, "the least"
    return (most, "memory") if most == by_memory else (most, "processors")
