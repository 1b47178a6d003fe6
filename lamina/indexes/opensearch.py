"""An index in OpenSearch, for who outgrows one machine: the same question, answered by a cluster.

A build is an index of its own name and is never changed; an alias says which serves. Vectors lie in Lucene's graph
(HNSW). OpenSearch has no score below zero and gives 1 + p for a product p that is none, else 1 / (1 - p), of which the
product is made again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.retrieval import Nearest, RetrievalError, by_id, question

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

VECTOR, ID = "vector", "id"
MOST = 10_000
"""Items that OpenSearch gives at once."""
TIED = 8
"""Of equals at the end of an answer the smaller ids are given, if they are among this many times what was asked for."""
BULK_ITEMS = 500
GRAPH = {"m": 16, "ef_construction": 128}


class OpenSearchIndex:
    """Implements `Index` over one build in a cluster.

    Args: index: the build's own name, not the alias: an alias may be moved to vectors of another model meanwhile.
    deadline_ms: what is not found then is left out of an answer, and said so.
    """

    def __init__(
        self, client: OpenSearch, index: str, meta: Mapping[str, Any], *, deadline_ms: int | None = None
    ) -> None:
        self.name, self._client, self._deadline_ms = index, client, deadline_ms
        self._model_version = str(meta["model_version"])
        self._dimensions, self._items = int(meta["dimensions"]), int(meta["items"])

    @classmethod
    def build(
        cls,
        client: OpenSearch,
        name: str,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        model_version: str,
        shards: int = 1,
        replicas: int = 0,
    ) -> Self:
        """A new build of the index `name`, beside that in service; `promote` puts it there.

        Args: ids, vectors: of the items, float32[items, dimensions], made by `model_version`.
        Raises: RetrievalError: as `by_id` says, or the cluster does not take it. Nothing of it is left then.
        """
        from opensearchpy.exceptions import OpenSearchException
        from opensearchpy.helpers import bulk

        names, found = by_id(ids, vectors)
        meta = {"model_version": model_version, "dimensions": found.shape[1], "items": len(names)}
        index = f"{name}-{uuid.uuid4().hex[:12]}"
        settings = {"knn": True, "number_of_shards": shards, "number_of_replicas": replicas, "refresh_interval": "-1"}
        method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct", "parameters": GRAPH}
        fields = {
            VECTOR: {"type": "knn_vector", "dimension": found.shape[1], "method": method},
            ID: {"type": "keyword"},
        }
        body = {"settings": {"index": settings}, "mappings": {"_meta": meta, "dynamic": "strict", "properties": fields}}
        try:
            client.indices.create(index=index, body=body)
            try:
                bulk(client, _documents(names, found), index=index, chunk_size=BULK_ITEMS)
                client.indices.refresh(index=index)
                if (held := client.count(index=index)["count"]) != len(names):
                    raise RetrievalError(f"{index} holds {held} of {len(names)} items: look into the cluster's log")
            except BaseException:
                client.indices.delete(index=index)
                raise
        except OpenSearchException as error:
            raise RetrievalError(
                f"OpenSearch does not take the index {index} ({error}): is the cluster well?"
            ) from error
        return cls(client, index, meta)

    @classmethod
    def open(cls, client: OpenSearch, name: str, *, deadline_ms: int | None = None) -> Self:
        """The build that the alias `name` names, or that is called so.

        Raises: RetrievalError: there is none, or the cluster does not answer.
        """
        from opensearchpy.exceptions import OpenSearchException

        try:
            found = client.indices.get_mapping(index=name)
            if len(found) != 1:
                raise RetrievalError(f"{name} names {len(found)} indexes, {', '.join(sorted(found))}: promote one")
            ((index, kept),) = found.items()
            return cls(client, index, kept["mappings"]["_meta"], deadline_ms=deadline_ms)
        except (OpenSearchException, KeyError) as error:
            raise RetrievalError(f"OpenSearch has no index {name} that can be read ({error}): build it") from error

    def promote(self, alias: str) -> None:
        """Let `alias` name this build and no other: in one step, whoever asks meanwhile."""
        actions = [
            {"remove": {"index": "*", "alias": alias, "must_exist": False}},
            {"add": {"index": self.name, "alias": alias}},
        ]
        self._client.indices.update_aliases(body={"actions": actions})

    @property
    def model_version(self) -> str:
        """See `Index.model_version`."""
        return self._model_version

    @property
    def dimensions(self) -> int:
        """See `Index.dimensions`."""
        return self._dimensions

    def __len__(self) -> int:
        """See `Index.__len__`."""
        return self._items

    def __contains__(self, item: object) -> bool:
        """See `Index.__contains__`."""
        return isinstance(item, str) and bool(self._client.exists(index=self.name, id=_key(item)))

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Nearest:
        """See `Index.search`."""
        asked, k = question(self, vectors, k, model_version=model_version), min(k, len(self))
        if k >= MOST:
            raise RetrievalError(f"{k} items are asked for: OpenSearch gives fewer than {MOST} at once")
        if not k or not len(asked):
            return Nearest(np.empty((len(asked), k), object), np.empty((len(asked), k), np.float32))
        # One more than is asked for: whether it equals the last shows.
        rows, missing = self._asked([_by_graph(vector, k + 1) for vector in asked], k + 1)
        if missing:
            return self._nearest(rows, k, missing)
        tied = [place for place, row in enumerate(rows) if len(row) > k and _score(row[k - 1]) == _score(row[k])]
        # A graph may not lead everywhere: who gets too little that way has every item compared.
        short = [place for place, row in enumerate(rows) if len(row) < k]
        for places, query, wanted in ((tied, _by_graph, min(TIED * (k + 1), MOST)), (short, _by_all, k)):
            if places:
                again, late = self._asked([query(asked[place], wanted) for place in places], wanted)
                missing = tuple(sorted({*missing, *late}))
                for place, row in zip(places, again, strict=True):
                    rows[place] = row
        return self._nearest(rows, k, missing)

    @staticmethod
    def _nearest(rows: list[list[Any]], k: int, missing: tuple[int, ...]) -> Nearest:
        """What was found, as far as all of `rows` have it."""
        found = min(k, *(len(row) for row in rows))
        ids = np.array([[hit["sort"][1] for hit in row[:found]] for row in rows], object).reshape(len(rows), found)
        scores = np.array([[hit["sort"][0] for hit in row[:found]] for row in rows]).reshape(ids.shape)
        with np.errstate(divide="ignore"):
            products = np.where(scores >= 1, scores - 1, 1 - 1 / scores)
        return Nearest(ids, products.astype(np.float32), missing)

    def _asked(self, queries: list[dict[str, Any]], k: int) -> tuple[list[list[Any]], tuple[int, ...]]:
        """What each of `queries` finds, best first, and the shards that did not answer all of them in full."""
        from opensearchpy.exceptions import OpenSearchException

        common: dict[str, Any] = {"size": k, "_source": False, "sort": [{"_score": "desc"}, {ID: "asc"}]}
        if self._deadline_ms is not None:
            common["timeout"] = f"{self._deadline_ms}ms"
        lines: list[dict[str, Any]] = []
        for query in queries:
            lines += [{"index": self.name}, {**common, "query": query}]
        try:
            answers = self._client.msearch(body=lines)["responses"]
        except OpenSearchException as error:
            raise RetrievalError(
                f"OpenSearch does not answer for {self.name} ({error}): is the cluster well?"
            ) from error
        missing: set[int] = set()
        for answer in answers:
            if "error" in answer:
                raise RetrievalError(
                    f"OpenSearch cannot search {self.name} ({answer['error'].get('reason')}): build it"
                )
            missing.update(failure["shard"] for failure in answer["_shards"].get("failures", ()))
            if answer["timed_out"]:
                missing.update(range(answer["_shards"]["total"]))
        return [answer["hits"]["hits"] for answer in answers], tuple(sorted(missing))


def _documents(names: NDArray[np.object_], vectors: NDArray[np.float32]) -> Iterator[dict[str, Any]]:
    for name, vector in zip(names, vectors, strict=True):
        yield {"_id": _key(name), "_source": {ID: name, VECTOR: vector.tolist()}}


def _key(item: str) -> str:
    """The key of an item in the cluster, which takes no empty one."""
    return f"={item}"


def _score(hit: Mapping[str, Any]) -> float:
    return float(hit["sort"][0])


def _by_graph(vector: NDArray[np.float32], k: int) -> dict[str, Any]:
    return {"knn": {VECTOR: {"vector": vector.tolist(), "k": k}}}


def _by_all(vector: NDArray[np.float32], k: int) -> dict[str, Any]:
    asked = {"field": VECTOR, "query_value": vector.tolist(), "space_type": "innerproduct"}
    # How many, `k`, is said by the size of the answer.
    script = {"lang": "knn", "source": "knn_score", "params": asked}
    return {"script_score": {"query": {"match_all": {}}, "script": script}}
