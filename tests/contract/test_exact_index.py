from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lamina.scoring import exact_index
from lamina.scoring.exact_index import ITEMS_FILE, VECTORS_FILE, ExactIndex
from lamina.scoring.retrieval import Index, RetrievalError
from tests.contract.retrieval_index import IDS, VECTORS, VERSION, IndexContract


class TestExactIndex(IndexContract):
    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        return ExactIndex(ids, vectors, model_version=VERSION)


def test_many_are_searched_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    index = ExactIndex(IDS, VECTORS, model_version=VERSION)
    whole = index.search(VECTORS, 2, model_version=VERSION)
    monkeypatch.setattr(exact_index, "TOGETHER", 3)
    parts = index.search(VECTORS, 2, model_version=VERSION)
    assert parts.ids.tolist() == whole.ids.tolist() and parts.scores.tolist() == whole.scores.tolist()


def test_what_was_saved_answers_as_before(tmp_path: Path) -> None:
    index = ExactIndex(IDS, VECTORS, model_version=VERSION)
    index.save(tmp_path / "index")
    again = ExactIndex.open(tmp_path / "index")
    assert again.model_version == VERSION
    for found in (index, again):
        assert found.search(VECTORS, 4, model_version=VERSION).ids[0].tolist() == ["a", "d", "c", "b"]
    ExactIndex(["x"], VECTORS[:1], model_version="8").save(tmp_path / "index")
    assert (len(ExactIndex.open(tmp_path / "index")), ExactIndex.open(tmp_path / "index").model_version) == (1, "8")


@pytest.mark.parametrize("file", [ITEMS_FILE, VECTORS_FILE])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    folder = tmp_path / "index"
    ExactIndex(IDS, VECTORS, model_version=VERSION).save(folder)
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    with pytest.raises(RetrievalError, match=r"holds no index that can be read .* build it again"):
        ExactIndex.open(folder)
