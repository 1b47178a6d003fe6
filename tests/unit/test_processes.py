"""How tests are dealt out to processes, and what each of them has for itself."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from lamina.local import ports
from lamina.settings import ROOT
from tests.processes import ONE_SESSION, scope, settle_in


def test_what_shares_servers_stays_together() -> None:
    assert scope("tests/contract/test_redis_store.py::TestIt::test_a[x::y]") == "servers"
    assert scope("tests/integration/test_stack.py::test_b") == "servers"
    assert scope("tests/parity/test_flink.py::test_c[fraud]") == "parity"


def test_files_of_unit_tests_go_anywhere() -> None:
    assert scope("tests/unit/lake/test_write.py::test_a[x::y]") == "tests/unit/lake/test_write.py"
    assert scope("tests/unit/test_sizes.py::test_b") == "tests/unit/test_sizes.py"


def test_every_folder_of_tests_has_its_place() -> None:
    assert {file.relative_to(ROOT / "tests").parts[0] for file in (ROOT / "tests").rglob("test_*.py")} == {
        *ONE_SESSION,
        "unit",
    }


def test_processes_look_for_ports_in_places_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for worker in ("gw0", "gw1", "gw7"):
        with monkeypatch.context() as process:
            process.setitem(sys.modules, "__main__", ModuleType("__main__"))
            process.setattr(ports, "LOWEST", 20_000)
            process.setattr(ports, "HIGHEST", 32_000)
            settle_in(worker)
            found.append((ports.LOWEST, ports.HIGHEST))
    assert found == [(20_000, 21_499), (21_500, 22_999), (30_500, 31_999)]


def test_a_process_has_a_main_module_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one pyspark ends the process: it believes that it runs its own doctests."""
    monkeypatch.setattr(ports, "LOWEST", ports.LOWEST)
    monkeypatch.setattr(ports, "HIGHEST", ports.HIGHEST)
    nameless = ModuleType("__main__")
    monkeypatch.setattr(nameless, "__spec__", None)
    monkeypatch.setitem(sys.modules, "__main__", nameless)
    settle_in("gw0")
    spec = nameless.__spec__
    assert spec is not None and spec.name == "pytest.__main__"
