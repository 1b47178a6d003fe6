from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lamina.errors import ModelUnavailable, UnknownModel
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, ModelVersion, RegistryError
from serving.stages.model import ServedModel
from serving.stages.model_repository import ModelRepository
from tests.unit.serving.recognisable import add_version, load


class Registry(MemoryRegistry):
    """Can go away, and counts how often it was asked for names."""

    away = False
    listed = 0

    def names(self) -> list[str]:
        self.listed += 1
        if self.away:
            raise RegistryError("away")
        return super().names()

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        if self.away:
            raise RegistryError("away")
        return super().alias(name, alias)


class Repositories:
    """A registry with the model `a`, and repositories over it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_s = folder, 100.0
        self.registry = Registry(folder / "registry")
        add_version(self.registry, 0.25, folder, CHAMPION, name="a")

    def repository(self) -> ModelRepository:
        def source(name: str) -> ServedModel:
            return ServedModel(name, self.registry, load, self.folder / "models" / name)

        return ModelRepository(self.registry, source, {}, every_s=1, monotonic=lambda: self.now_s)


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path)


def test_a_model_is_taken_when_it_is_asked_for_and_only_once(repositories: Repositories) -> None:
    async def run() -> None:
        repository = repositories.repository()
        assert repository.models == []
        first, second = await asyncio.gather(repository.model("a"), repository.model("a"))
        assert first is second and first.scorer.predict({}) == 0.25
        assert [m.name for m in repository.models] == ["a"] and repositories.registry.listed == 1

    asyncio.run(run())


def test_an_unknown_name_says_which_there_are_and_is_not_looked_up_each_time(repositories: Repositories) -> None:
    async def run() -> None:
        repository = repositories.repository()
        for _ in range(3):
            with pytest.raises(UnknownModel, match="no model 'b'; there are a"):
                await repository.model("b")
        assert repositories.registry.listed == 1
        add_version(repositories.registry, 0.5, repositories.folder, CHAMPION, name="b")
        repositories.now_s += 2
        assert (await repository.model("b")).scorer.predict({}) == 0.5

    asyncio.run(run())


def test_a_model_without_a_champion_is_unavailable_until_it_has_one(repositories: Repositories) -> None:
    async def run() -> None:
        version = add_version(repositories.registry, 0.5, repositories.folder, name="b")
        repository = repositories.repository()
        with pytest.raises(ModelUnavailable, match=r"alias champion.*lamina models promote b VERSION"):
            await repository.model("b")
        repositories.registry.set_alias("b", CHAMPION, version)
        for served in repository.models:
            await served.refresh()
        assert (await repository.model("b")).version == version

    asyncio.run(run())


def test_without_a_registry_the_last_version_serves(repositories: Repositories) -> None:
    async def run() -> None:
        await repositories.repository().model("a")
        repositories.registry.away = True
        repository = repositories.repository()
        assert (await repository.model("a")).scorer.predict({}) == 0.25
        with pytest.raises(ModelUnavailable, match="registry does not answer"):
            await repository.model("b")
        assert [m.name for m in repository.models] == ["a"]

    asyncio.run(run())


def test_who_gives_up_leaves_the_model_to_others(repositories: Repositories) -> None:
    """A call that waits no longer ends no download, and the next one does not begin a second in the same folder."""

    async def run() -> None:
        repository, going, held = repositories.repository(), asyncio.Event(), asyncio.Event()
        loads = 0
        source = repository._source

        def slow(name: str) -> ServedModel:
            served = source(name)
            refresh = served.refresh

            async def waits() -> None:
                nonlocal loads
                loads += 1
                going.set()
                await held.wait()
                await refresh()

            served.refresh = waits  # type: ignore[method-assign]
            return served

        repository._source = slow
        first = asyncio.create_task(repository.model("a"))
        await going.wait()
        first.cancel()
        await asyncio.sleep(0)
        second = asyncio.create_task(repository.model("a"))
        await asyncio.sleep(0)
        held.set()
        assert (await second).name == "a" and first.cancelled() and loads == 1

    asyncio.run(run())


def test_a_slow_model_keeps_no_other_waiting(repositories: Repositories) -> None:
    add_version(repositories.registry, 0.5, repositories.folder, CHAMPION, name="b")

    async def run() -> None:
        repository, held = repositories.repository(), asyncio.Event()
        source = repository._source

        def slow(name: str) -> ServedModel:
            served = source(name)
            if name == "a":
                served.refresh = held.wait  # type: ignore[assignment,method-assign]
            return served

        repository._source = slow
        waiting = asyncio.create_task(repository.model("a"))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert (await repository.model("b")).scorer.predict({}) == 0.5
        held.set()
        with pytest.raises(ModelUnavailable):
            await waiting

    asyncio.run(run())
