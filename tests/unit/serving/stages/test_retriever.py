"""A retriever in service changes with the registry, as a model does."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.item_item import ItemItem
from lamina.training.retrieval.neighbours import ItemKnn
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import Method
from lamina.training.retrieval.publish import publish, retrieval_name
from serving.stages.retriever import ServedRetriever

SEEN = Interactions.of(["u", "u", "v"], ["a", "b", "b"])


@pytest.mark.parametrize("method", [Popularity(), ItemKnn()])
def test_the_version_that_has_the_alias_serves(tmp_path: Path, method: Method) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    served = ServedRetriever(retrieval_name("shop"), registry, tmp_path / "models")
    made = publish(registry, "shop", date(2026, 1, 5), method, method.fit(SEEN), SEEN, {})
    registry.set_alias(made.name, CHAMPION, made.version)
    asyncio.run(served.refresh())
    assert served.problem is None and served.current is not None
    assert (served.current.name, served.current.version) == ("shop-retrieval", made.version)
    assert served.current.scorer.items.tolist() == ["a", "b"]


def test_one_that_cannot_answer_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    served = ServedRetriever(retrieval_name("shop"), registry, tmp_path / "models")
    good = publish(registry, "shop", date(2026, 1, 5), Popularity(), Popularity().fit(SEEN), SEEN, {})
    registry.set_alias(good.name, CHAMPION, good.version)
    asyncio.run(served.refresh())
    bad = publish(registry, "shop", date(2026, 1, 6), ItemKnn(), ItemKnn().fit(SEEN), SEEN, {})
    monkeypatch.setattr(ItemItem, "scores", lambda self, asked: 1 / 0)
    registry.set_alias(bad.name, CHAMPION, bad.version)
    asyncio.run(served.refresh())
    assert served.current is not None and served.current.version == good.version
    assert f"version {bad.version} cannot be used" in str(served.problem)
