from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from opensearchpy import OpenSearch

from lamina.indexes.opensearch import OpenSearchIndex
from lamina.scoring.retrieval import Index, RetrievalError
from tests.contract.retrieval_index import IDS, VECTORS, VERSION, IndexContract

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    client = OpenSearch(opensearch_url, timeout=60)
    yield client
    client.indices.delete(index="tests-*")
    client.close()


class TestOpenSearchIndex(IndexContract):
    SCORES_OFF = 1e-6

    @pytest.fixture(autouse=True)
    def _client(self, client: OpenSearch) -> None:
        type(self).client = client

    client: OpenSearch

    def build(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> Index:
        return OpenSearchIndex.build(self.client, "tests", ids, vectors, model_version=VERSION)

    # Every example makes an index on a real server.
    @settings(
        deadline=None,
        max_examples=15,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
    )
    @given(st.data())
    def test_it_answers_as_a_sort_of_everything_does(self, data: st.DataObject) -> None:
        self.answers_as_a_sort_does(data)


def test_an_alias_moves_in_one_step_and_an_open_index_stays_what_it_was(client: OpenSearch) -> None:
    first = OpenSearchIndex.build(client, "tests", IDS, VECTORS, model_version="7")
    second = OpenSearchIndex.build(client, "tests", ["x"], VECTORS[:1], model_version="8", shards=2)
    with pytest.raises(RetrievalError, match="no index tests-alias"):
        OpenSearchIndex.open(client, "tests-alias")
    first.promote("tests-alias")
    opened = OpenSearchIndex.open(client, "tests-alias")
    second.promote("tests-alias")
    # Moved meanwhile: vectors of version 7 still meet those of version 7.
    assert opened.search(VECTORS[:1], 1, model_version="7").ids.tolist() == [["a"]]
    assert (opened.model_version, OpenSearchIndex.open(client, "tests-alias").model_version) == ("7", "8")
    first.promote("tests-alias")
    assert OpenSearchIndex.open(client, "tests-alias").name == first.name


def test_many_items_in_shards_are_found_as_by_an_exact_search(client: OpenSearch) -> None:
    rng = np.random.default_rng(5)
    vectors, asked = (rng.normal(size=(n, 24)).astype(np.float32) for n in (2000, 20))
    index = OpenSearchIndex.build(
        client, "tests", [f"{n:04d}" for n in range(2000)], vectors, model_version="7", shards=3
    )
    found = index.search(asked, 50, model_version="7")
    exact = np.argsort(-(asked @ vectors.T), axis=1)[:, :50]
    share = np.mean([len({int(i) for i in a} & set(b.tolist())) / 50 for a, b in zip(found.ids, exact, strict=True)])
    assert share > 0.95 and found.missing == ()
    assert np.allclose(found.scores[:, 0], (asked @ vectors.T).max(axis=1), atol=1e-4)


def test_what_a_cluster_does_not_take_leaves_nothing(client: OpenSearch) -> None:
    before = set(client.indices.get_alias(index="tests-*"))
    with pytest.raises(RetrievalError, match="does not take the index"):
        OpenSearchIndex.build(client, "tests", ["a", "x" * 600], VECTORS[:2], model_version="7")
    with pytest.raises(RetrievalError, match="does not take the index"):
        OpenSearchIndex.build(client, "Tests", IDS, VECTORS, model_version="7")
    assert set(client.indices.get_alias(index="tests-*")) == before


def test_an_index_that_is_gone_is_named(client: OpenSearch) -> None:
    index = OpenSearchIndex.build(client, "tests", IDS, VECTORS, model_version="7")
    client.indices.delete(index=index.name)
    with pytest.raises(RetrievalError, match="cannot search tests-"):
        index.search(VECTORS, 2, model_version="7")
    with pytest.raises(RetrievalError, match=r"20000 items are asked for: OpenSearch gives fewer than 10000"):
        OpenSearchIndex(client, "x", {"model_version": "7", "dimensions": 3, "items": 30_000}).search(
            VECTORS, 20_000, model_version="7"
        )


def test_a_server_that_is_away_is_named() -> None:
    index = OpenSearchIndex(
        OpenSearch("http://127.0.0.1:9", max_retries=0), "x", {"model_version": "7", "dimensions": 3, "items": 4}
    )
    with pytest.raises(RetrievalError, match="does not answer for x"):
        index.search(VECTORS, 2, model_version="7")
