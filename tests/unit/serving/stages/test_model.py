"""A model in service: what a swap leaves behind, what is refused, what a rollback needs."""

from __future__ import annotations

import asyncio
import os
import weakref
from pathlib import Path
from typing import Any, NoReturn

import pytest

from benchmarks.small_model import promote, train_small_model
from lamina.errors import ModelUnavailable
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER
from models.fraud import score
from serving.stages.model import USED_FILE, ServedModel
from tests.unit.serving.recognisable import Constant, add_version, load


class CountingRegistry(MemoryRegistry):
    """Counts downloads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.downloads: list[str] = []

    def download(self, name: str, version: str, folder: Path) -> Path:
        self.downloads.append(version)
        return super().download(name, version, folder)


@pytest.fixture
def registry(tmp_path: Path) -> CountingRegistry:
    made = CountingRegistry(tmp_path / "registry")
    for constant in (0.1, 0.2):
        add_version(made, constant, tmp_path)
    return made


def serve(registry: MemoryRegistry, folder: Path, wanted: str = "champion") -> ServedModel:
    return ServedModel("fraud", registry, load, folder / "models", wanted)


def move(model: ServedModel, registry: MemoryRegistry, version: str) -> None:
    registry.set_alias("fraud", "champion", version)
    asyncio.run(model.refresh())
    assert model.current is not None and model.current.version == version


def test_a_rollback_needs_no_download(registry: CountingRegistry, tmp_path: Path) -> None:
    model = serve(registry, tmp_path)
    for version in ("1", "2", "1", "2"):
        move(model, registry, version)
    assert registry.downloads == ["1", "2"]


def test_one_that_is_withdrawn_is_loaded_anew_if_it_can_be_used_still(
    registry: CountingRegistry, tmp_path: Path
) -> None:
    fits = [True]

    def load_if_it_fits(folder: Path) -> Constant:
        if not fits[0]:
            raise ModelUnavailable("its features mean something else")
        return load(folder)

    model = ServedModel("fraud", registry, load_if_it_fits, tmp_path / "models")
    move(model, registry, "1")
    fits[0] = False
    model.withdraw()
    asyncio.run(model.refresh())
    assert (model.current, model.problem) == (
        None,
        "version 1 cannot be used: ModelUnavailable: its features mean something else",
    )
    fits[0] = True
    model.withdraw()
    move(model, registry, "1")


def test_the_last_two_versions_stay_on_the_disk(registry: CountingRegistry, tmp_path: Path) -> None:
    model = serve(registry, tmp_path)
    third = add_version(registry, 0.75, tmp_path)
    for at, version in enumerate(("1", "2", third), 1):
        move(model, registry, version)
        os.utime(tmp_path / "models" / version / USED_FILE, (at, at))
    assert {file.name for file in (tmp_path / "models").iterdir()} == {"2", third}
    for version in ("2", "1"):
        move(model, registry, version)
    assert registry.downloads == ["1", "2", third, "1"]


def test_a_version_has_been_asked_before_it_serves(
    registry: CountingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every way that requests will ask it: the first of them waits no longer than the next."""
    asked: list[str] = []
    for name in ("predict", "predict_batch", "explain"):
        way = getattr(Constant, name)

        def noted(self: Constant, rows: Any, way: Any = way, name: str = name) -> Any:
            asked.append(name)
            return way(self, rows)

        monkeypatch.setattr(Constant, name, noted)
    move(serve(registry, tmp_path), registry, "1")
    assert asked.count("predict") >= 20 and {"predict_batch", "explain"} <= set(asked)


def test_a_number_of_another_registry_is_another_model(registry: CountingRegistry, tmp_path: Path) -> None:
    move(serve(registry, tmp_path), registry, "1")
    other = CountingRegistry(tmp_path / "other")
    add_version(other, 0.9, tmp_path)
    model = serve(other, tmp_path)
    move(model, other, "1")
    assert model.current is not None and model.current.scorer.predict({}) == 0.9


def test_broken_files_kept_from_before_are_fetched_again_by_the_next_process(
    registry: CountingRegistry, tmp_path: Path
) -> None:
    move(serve(registry, tmp_path), registry, "1")
    kept = next((tmp_path / "models").rglob("score.txt"))
    kept.write_text("not a number")
    refused = serve(registry, tmp_path)
    reloads = [metrics.MODEL_RELOADS.labels("fraud", outcome)._value for outcome in ("refused", "taken")]
    before = [each.get() for each in reloads]
    asyncio.run(refused.refresh())
    assert refused.current is None and "version 1 cannot be used" in str(refused.problem)
    move(serve(registry, tmp_path), registry, "1")
    assert [each.get() - old for each, old in zip(reloads, before, strict=True)] == [1, 1]


def test_by_number_of_version(registry: CountingRegistry, tmp_path: Path) -> None:
    model = serve(registry, tmp_path, "2")
    registry.set_alias("fraud", "champion", "1")
    asyncio.run(model.refresh())
    assert model.current is not None and model.current.version == "2"


def test_old_versions_are_freed(registry: CountingRegistry, tmp_path: Path) -> None:
    """Without a collection: what is loaded is frozen out of the collector's sight, so a cycle would stay for ever."""
    model = serve(registry, tmp_path)
    seen: list[weakref.ref[Constant]] = []
    for version in ("1", "2", "1"):
        move(model, registry, version)
        assert model.current is not None and isinstance(model.current.scorer, Constant)
        seen.append(weakref.ref(model.current.scorer))
    assert [one() is None for one in seen] == [True, True, False]


def test_the_real_scorer_is_freed_too(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    model = ServedModel("fraud", registry, score.load, tmp_path / "models")
    freed = []
    for seed in (7, 8):
        train_small_model(tmp_path / str(seed) / MODEL_FOLDER, seed=seed, trees=5)
        promote(registry, tmp_path / str(seed))
        asyncio.run(model.refresh())
        assert model.current is not None
        freed.append(weakref.ref(model.current.scorer))
    assert [one() is None for one in freed] == [True, False]


def test_a_full_disk_after_a_swap_is_seen_and_the_next_swap_still_comes(
    registry: CountingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of what is in service cannot be written: the version serves, readiness says so, polling goes on."""
    model = serve(registry, tmp_path)
    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", _no_space)
        move(model, registry, "1")
        assert "make room" in (model.problem or "") and "version 1" in (model.problem or "")
        asyncio.run(model.refresh())
        assert "make room" in (model.problem or ""), "as full as before"
        move(model, registry, "2")
        assert "version 2" in (model.problem or "")
    asyncio.run(model.refresh())
    assert model.problem is None
    # It was noted in the end: a start without the registry finds it.
    away = serve(registry, tmp_path)
    monkeypatch.setattr(registry, "alias", _no_space)
    asyncio.run(away.refresh())
    assert away.current is not None and away.current.version == "2"


def test_whatever_a_look_raises_is_a_problem_and_not_the_end(
    registry: CountingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = serve(registry, tmp_path)
    before = metrics.BACKGROUND_FAILURES.labels("models")._value.get()
    with monkeypatch.context() as broken:
        broken.setattr(model, "_find", _no_space)
        broken.setattr(model, "_versions", _no_space)
        asyncio.run(model.refresh())
    assert "No space left" in (model.problem or "") and model.checked
    assert metrics.BACKGROUND_FAILURES.labels("models")._value.get() == before + 1
    move(model, registry, "1")
    assert model.problem is None


def test_a_version_that_cannot_be_downloaded_is_tried_again(
    registry: CountingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = serve(registry, tmp_path)
    move(model, registry, "1")
    registry.set_alias("fraud", "champion", "2")
    with monkeypatch.context() as full:
        full.setattr(registry, "download", _no_space)
        asyncio.run(model.refresh())
        assert "version 2 cannot be downloaded: OSError" in (model.problem or "")
        assert model.current is not None and model.current.version == "1"
    move(model, registry, "2")
    assert model.problem is None


def _no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")
