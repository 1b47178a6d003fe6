"""Which systems the API serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import SettingsError
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings, load_settings
from serving import systems
from serving.bootstrap import make_service

EVERY = {file.parent.name for file in Path(*systems.__path__).glob("*/build.py")}


def served(folder: Path, settings: Settings) -> set[str]:
    return set(make_service(settings, registry=MemoryRegistry(folder)).systems)


def test_all_of_them_unless_some_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(tmp_path, Settings(stack_dir=tmp_path)) == EVERY
    monkeypatch.setenv("LAMINA_SERVED_SYSTEMS", " fraud, ")
    assert served(tmp_path, load_settings(stack_dir=tmp_path)) == {"fraud"}


def test_one_that_there_is_not_ends_the_start(tmp_path: Path) -> None:
    settings = Settings(stack_dir=tmp_path, served_systems=frozenset({"fraud", "weather"}))
    with pytest.raises(SettingsError, match=r"LAMINA_SERVED_SYSTEMS names weather: there are .*fraud"):
        served(tmp_path, settings)
