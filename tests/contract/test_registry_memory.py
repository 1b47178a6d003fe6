from __future__ import annotations

from pathlib import Path

import pytest

from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import ModelRegistry
from tests.contract.model_registry import RegistryContract, name

__all__ = ["name"]


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> ModelRegistry:
        return MemoryRegistry(tmp_path / "registry")

    def delete(self, registry: ModelRegistry, name: str, version: str) -> None:
        assert isinstance(registry, MemoryRegistry)
        registry._versions[name] = [each for each in registry._versions[name] if each.version != version]
