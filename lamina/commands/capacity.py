"""`lamina capacity`: how many machines a system would need at a given size, and what they would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamina.commands.output import make_console, make_table

INPUTS = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(parent: typer.Typer) -> None:
    """Add `capacity` to `parent`."""
    parent.command("capacity", context_settings=INPUTS)(show)


def show(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="Whose sheet, of deploy/capacity, or a file of your own.")],
    prices: Annotated[Path | None, typer.Option(help="Machines and prices; deploy/capacity/prices.yaml.")] = None,
) -> None:
    """Show what each part needs at the size given by the sheet's own inputs, as --users 5e8, and on what it rests."""
    from lamina.capacity.plan import plan
    from lamina.capacity.sheet import CapacityError, read_prices, read_sheet
    from lamina.settings import ROOT

    folder = ROOT / "deploy" / "capacity"
    file = Path(system) if system.endswith((".yaml", ".yml")) else folder / f"{system}.yaml"
    if not file.exists():
        there = ", ".join(sorted(each.stem for each in folder.glob("*.yaml") if each.stem != "prices"))
        raise CapacityError(f"{file} is not there: give a file, or one of {there}")
    sheet, priced = read_sheet(file), read_prices(prices or folder / "prices.yaml")
    found = plan(sheet, priced, ROOT / "benchmarks" / "results", _inputs(context.args))
    console = make_console()
    right = ("memory GiB", "cores", "machines", "USD a month")
    table = make_table("part", *right[:2], "machine", right[2], "decided by", right[3], right=right)
    for need in found.needs:
        figures = (f"{need.memory_gib:,.0f}", f"{need.cores:,.1f}", need.machine, f"{need.machines:,}", need.decides)
        table.add_row(need.part, *figures, f"{need.usd_a_month:,.0f}")
    table.add_row("in all", *[""] * 5, f"{found.usd_a_month:,.0f}")
    console.print(table)
    bases = make_table("number", "value", "rests on", right=("value",))
    for name in sheet.inputs:
        bases.add_row(name, f"{found.numbers[name]:,.6g}", "asked about")
    for name, measured in found.measured.items():
        bases.add_row(name, f"{measured.value:,.6g}", f"measured by {measured.benchmark} at {measured.commit}")
    for name, assumed in sheet.assumptions.items():
        bases.add_row(name, f"{assumed.value:,.6g}", f"assumed: {assumed.because}")
    for name in sheet.derived:
        bases.add_row(name, f"{found.numbers[name]:,.6g}", "follows from the others")
    console.print(bases)
    machines = sorted({measured.machine for measured in found.measured.values()})
    used = f"{priced.memory_used:.0%} of memory and {priced.cores_used:.0%} of cores are planned for"
    console.print(f"measured on {'; '.join(machines) or 'nothing'}; {used}; prices: {priced.source}", markup=False)


def _inputs(arguments: list[str]) -> dict[str, float]:
    """`--users 5e8 --qps=100` as numbers by name."""
    from lamina.capacity.sheet import CapacityError

    found: dict[str, float] = {}
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for name, text in zip(words[::2], [*words[1::2], ""], strict=False):
        key = name.removeprefix("--").replace("-", "_")
        try:
            number = float(text)
        except ValueError:
            raise CapacityError(f"{name} {text}: give inputs as --name number") from None
        if not name.startswith("--") or key in found:
            raise CapacityError(f"{name} {text}: give each input once, as --name number")
        found[key] = number
    return found
