from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from lamina.errors import ModelUnavailable
from lamina.registry.deploy import promote
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE, NotInRegistry
from lamina.scoring.interactions import Interactions
from lamina.scoring.load import load
from lamina.training.retrieval.ease import Ease
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import Method
from lamina.training.retrieval.publish import open_version, publish

DAY = date(2026, 1, 2)
SEEN = Interactions.of(["u", "u", "v", "v", "w"], ["a", "b", "b", "c", "c"])


def published(registry: MemoryRegistry, method: Method, day: date = DAY) -> str:
    return publish(registry, "shop", day, method, method.fit(SEEN), SEEN, {"valid_ndcg": 0.5}).version


def test_the_registry_says_which_retriever_serves(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    with pytest.raises(NotInRegistry, match="no version of 'shop-retrieval' serves"):
        open_version(registry, "shop", tmp_path / "none")
    first, second = published(registry, Popularity()), published(registry, Ease(2.0))
    promote(registry, "shop-retrieval", first)
    assert open_version(registry, "shop", tmp_path / "a").spec.settings == {"method": "popularity"}
    promote(registry, "shop-retrieval", second)
    opened = open_version(registry, "shop", tmp_path / "b")
    assert opened.spec.settings == {"method": "ease", "regularisation": 2.0}
    assert opened.spec.metrics == {"valid_ndcg": 0.5} and opened.spec.rows == 5
    assert np.array_equal(opened.retriever.scores(SEEN), Ease(2.0).fit(SEEN).scores(SEEN))
    assert open_version(registry, "shop", tmp_path / "c", first).spec.form == "popular"


def test_again_for_the_day_takes_the_place_of_the_same_method_alone(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    made = [published(registry, method) for method in (Popularity(), Ease(2.0), Ease(3.0))]
    published(registry, Ease(2.0), date(2026, 1, 3))
    superseded = {v.version for v in registry.versions("shop-retrieval") if "superseded_by" in v.tags}
    assert superseded == {made[1]}


def test_its_card_says_what_it_is(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    card = registry.read("shop-retrieval", published(registry, Ease(2.0)), CARD_FILE)
    assert "scores of all items: form `item_item`, 3 items, learnt from 5 interactions" in card
    assert "| regularisation | 2.0 |" in card and "| valid_ndcg | 0.5000 |" in card


def test_nobody_takes_it_for_a_model_of_rows(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    folder = registry.download("shop-retrieval", published(registry, Popularity()), tmp_path / "model")
    with pytest.raises(ModelUnavailable, match="is a retriever's"):
        load(folder)
