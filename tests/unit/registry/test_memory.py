"""What the registry in memory leaves on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, RegistryError
from tests.contract.model_registry import DAY, recorded


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return MemoryRegistry(tmp_path / "registry", clock=lambda: 1_700_000_000_000)


def test_files_of_a_run_go_with_it_unless_it_serves(registry: MemoryRegistry, tmp_path: Path) -> None:
    serving, old, new = (recorded(registry, "fraud", tmp_path) for _ in range(3))
    for run_id in (serving, old):
        registry.register("fraud", run_id, {})
    registry.set_alias("fraud", CHAMPION, "1")
    registry.supersede("fraud", DAY, by=new)
    assert {folder.name for folder in (tmp_path / "registry").iterdir()} == {serving, new}


def test_a_version_is_dated_by_the_clock(registry: MemoryRegistry, tmp_path: Path) -> None:
    made = registry.register("fraud", recorded(registry, "fraud", tmp_path), {})
    assert made.created_ms == 1_700_000_000_000


def test_a_version_may_be_downloaded_again(registry: MemoryRegistry, tmp_path: Path) -> None:
    registry.register("fraud", recorded(registry, "fraud", tmp_path), {})
    first, again = (registry.download("fraud", "1", tmp_path / "served") for _ in range(2))
    assert first == again == tmp_path / "served" / "model"


def test_a_run_that_nobody_recorded_cannot_be_registered(registry: MemoryRegistry, tmp_path: Path) -> None:
    (tmp_path / "registry" / "x" / "model").mkdir(parents=True)
    with pytest.raises(RegistryError, match="run x has no folder 'model'"):
        registry.register("fraud", "x", {})
