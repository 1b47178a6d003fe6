from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.capacity.plan import figure, plan
from lamina.capacity.sheet import CapacityError, Prices, Sheet, read_prices, read_sheet
from lamina.cli import app
from lamina.settings import ROOT

PRICES = Prices.model_validate(
    {
        "source": "a test",
        "memory_used": 0.5,
        "cores_used": 0.25,
        "machines": {"big": {"cores": 8, "memory_gib": 64, "usd_a_month": 100}},
    }
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    measured = {"machine": "a laptop", "commit": "abc", "figures": {"bytes": 2**30, "us": 500, "text": "x"}}
    (tmp_path / "store.json").write_text(json.dumps(measured))
    return tmp_path


def sheet(**part: object) -> Sheet:
    return Sheet.model_validate(
        {
            "inputs": {"users": 100, "qps": 3000},
            "figures": {"bytes_a_user": "store.bytes", "cpu_us": "store.us"},
            "assumptions": {"shard_users": {"value": 30, "because": "a test"}},
            "derived": {"shards": {"of": ["users"], "over": ["shard_users"], "up": True}},
            "parts": [{"name": "store", "machine": "big", **part}],
        }
    )


MEMORY = [{"of": ["users", "bytes_a_user"]}]
CPU = [{"of": ["qps", "cpu_us"]}, {"of": ["qps", "shards", "cpu_us"]}]


def test_memory_decides(results: Path) -> None:
    found = plan(sheet(memory_bytes=MEMORY, copies=2), PRICES, results, {})
    (need,) = found.needs
    # 100 GiB a copy, by 32 GiB of a machine: 4 each.
    assert (need.memory_gib, need.machines, need.decides, need.usd_a_month) == (200, 8, "memory", 800)
    assert found.usd_a_month == 800 and found.numbers["shards"] == 4
    assert found.measured["bytes_a_user"][1:] == ("store", "a laptop", "abc")


def test_processors_decide(results: Path) -> None:
    (need,) = plan(sheet(memory_bytes=MEMORY, cpu_us=CPU), PRICES, results, {"qps": 4000}).needs
    # 4000 * 500 us * (1 + 4 shards) = 10 cores, by 2 of a machine.
    assert (need.cores, need.machines, need.decides) == (10, 5, "processors")


def test_the_least_decides(results: Path) -> None:
    (need,) = plan(sheet(cpu_us=CPU, at_least=3), PRICES, results, {"qps": 0}).needs
    assert (need.cores, need.machines, need.decides) == (0, 3, "the least")


def test_a_power_and_a_quotient(results: Path) -> None:
    product = {"of": ["users"], "over": ["shard_users"], "power": 0.5}
    found = plan(sheet(cpu_us=[product]), PRICES, results, {"users": 270})
    assert found.needs[0].cores == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"viewers": 3.0}, "'viewers' is no input of the sheet; there are users, qps"),
        ({"qps": -1.0}, "qps is -1.0"),
        ({"users": float("nan")}, "users is nan"),
    ],
)
def test_inputs_that_cannot_be(results: Path, inputs: dict[str, float], what: str) -> None:
    with pytest.raises(CapacityError, match=what):
        plan(sheet(cpu_us=CPU), PRICES, results, inputs)


def test_what_cannot_be_worked_out_is_named(results: Path) -> None:
    with pytest.raises(CapacityError, match=r"divided by qps, which is 0"):
        plan(sheet(cpu_us=[{"of": ["users"], "over": ["qps"]}]), PRICES, results, {"qps": 0})
    with pytest.raises(CapacityError, match="wants a machine 'small'; priced are big"):
        plan(sheet(machine="small"), PRICES, results, {})
    for name in ("store.none", "store.text", "none.bytes"):
        with pytest.raises(CapacityError, match=f"{name} was not measured: `python -m benchmarks --only"):
            figure(results, name)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("inputs: {a: 1}\nparts: [{name: x, machine: m, cpu_us: [{of: [b]}]}]", "'b' is the name of no input"),
        ("inputs: {a: 1}\nfigures: {a: x.y}\nparts: [{name: x, machine: m}]", "'a' is given twice"),
        ("inputs: {a: 1}\nparts: []", "parts"),
        ("inputs: {a: 1}\nparts: [{name: x, machine: m, copies: 0}]", r"parts\.0\.copies"),
        ("inputs: {a: 1, a: 2}\nparts: []", "'a' is given twice"),
    ],
)
def test_a_sheet_that_cannot_be_names_the_place(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "sheet.yaml").write_text(text)
    with pytest.raises(CapacityError, match=what):
        read_sheet(tmp_path / "sheet.yaml")


def test_what_is_derived_later_cannot_be_used_before(results: Path) -> None:
    found = sheet().model_dump() | {"derived": {"a": {"of": ["b"]}, "b": {"of": ["users"]}}}
    with pytest.raises(CapacityError, match="a follows from b, which is derived after it"):
        plan(Sheet.model_validate(found), PRICES, results, {})


def test_every_sheet_of_ours_can_be_read_and_its_machines_are_priced() -> None:
    folder = ROOT / "deploy" / "capacity"
    priced = read_prices(folder / "prices.yaml")
    sheets = [read_sheet(file) for file in folder.glob("*.yaml") if file.stem != "prices"]
    assert sheets and all(part.machine in priced.machines for each in sheets for part in each.parts)


def written(folder: Path, results: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(
        "inputs: {users: 10}\n"
        f"figures: {{bytes_a_user: {results}}}\n"
        "assumptions: {spare: {value: 1.5, because: it may grow}}\n"
        "parts: [{name: store, machine: memory, memory_bytes: [{of: [users, bytes_a_user, spare]}]}]\n"
    )
    return file


def test_the_command_shows_what_each_part_needs_and_on_what_it_rests(tmp_path: Path) -> None:
    file = written(tmp_path, "store_memory.world_bytes")
    done = CliRunner().invoke(app, ["capacity", str(file), "--users", "5e8"])
    assert done.exit_code == 0, done.output
    measured = figure(ROOT / "benchmarks" / "results", "store_memory.world_bytes")
    assert f"{5e8 * measured.value * 1.5 / 2**30:,.0f}" in done.output
    for text in ("5e+08", "asked about", f"measured by store_memory at {measured.commit}", "assumed: it may grow"):
        assert text in done.output


@pytest.mark.parametrize("arguments", [["--users"], ["--users", "many"], ["users", "3"], ["--users=1", "--users=2"]])
def test_inputs_that_are_none_are_told(tmp_path: Path, arguments: list[str]) -> None:
    file = written(tmp_path, "store_memory.world_bytes")
    done = CliRunner().invoke(app, ["capacity", str(file), *arguments])
    assert isinstance(done.exception, CapacityError) and "--name number" in str(done.exception)
