"""An index is built, swapped and rolled back while it is searched: 50 users a second, each asking for 500 items.

Two versions of iALS with 64 factors are learnt from users with continuous tastes; those who ask were held out of both,
and their vectors are solved for at each request from what they met. A process of its own builds an index of one version
and of the other in turn, 100,000 items a shard, and lets it serve; every third time it is rolled back instead. The
process that serves looks twice a second. Meanwhile items go, and items come that no build has.

`failed` counts requests without an answer; `mixed_versions` those with an item whose score is not the product of the
user's and the item's vectors of the version that the answer names; `gone_shown` those with an item that had gone before
the changes were last followed. `recall_500` is the smallest, over all builds that served, of the mean share of the
exact 500 best that users find who were neither trained on nor in the gate. `swap_ms` is the longest that a request
took, from when it was due, of those begun while the next build was taken over. `search_cpu_us` is the processor time of
a search by itself, and `bytes_an_item` what its vectors, lists and ids take in memory, both of the last build.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated

import faiss
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.report import emit
from benchmarks.tastes import met
from lamina.indexes.build import Gate, share_found
from lamina.indexes.builds import Builds
from lamina.indexes.changes import Change
from lamina.indexes.holder import Held, IndexHolder
from lamina.indexes.sharded import ShardedIndex
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.factors import Factors
from lamina.scoring.retrievers.files import open_retriever, save
from lamina.scoring.retrievers.protocol import RetrieverSpec
from lamina.training.retrieval.ials import Ials

BARS = {"failed": "== 0", "recall_500": ">= 0.95", "mixed_versions": "== 0", "gone_shown": "== 0", "swaps": ">= 3"}
K, RATE, WORKERS, LOOK_S = 500, 50, 2, 0.5
SHARD_ITEMS = 100_000
FACTORS = 64
GATE_USERS, ASKING, LATER = 400, 200, 100
"""Users held out to judge and to ask, and items that come only while the index is searched."""
FINISH_S = 60.0


@dataclass
class Seen:
    """What the requests found."""

    asked: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    builds: set[int] = field(default_factory=set)
    waited_ms: list[float] = field(default_factory=list)
    begun_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class World:
    """Versions in `folder`; what the held-out users met, one by one, and their gates by version."""

    folder: Path
    asking: list[Interactions]
    gates: dict[str, NDArray[np.float32]]


def prepare(folder: Path, users: int, items: int, each: int, epochs: int) -> World:
    """Train both versions, the second for an epoch more, and hold out users."""
    seen = met(users + GATE_USERS + ASKING, items, each, seed=5)
    learnt = seen.take(seen.user < users)
    held = seen.take(seen.user >= users + GATE_USERS)
    gate = seen.take((seen.user >= users) & (seen.user < users + GATE_USERS))
    gates = {}
    for version, more in (("1", 0), ("2", 1)):
        retriever = Ials(FACTORS, 0.003, 0.1, epochs=epochs + more).fit(learnt)
        spec = RetrieverSpec(
            form=retriever.form,
            system="benchmark",
            logical_date=date(2026, 1, 1),
            items=len(retriever.items),
            rows=len(learnt),
            arguments=dict(retriever.arguments),
        )
        save(retriever, spec, folder / version)
        gates[version] = retriever.user_vectors(gate)[users : users + GATE_USERS]
    own = [seen.items[held.item[held.user == user]] for user in range(users + GATE_USERS, len(seen.users))]
    return World(folder, [Interactions.of(["asks"] * len(known), known) for known in own], gates)


def opened(folder: Path, version: str) -> Factors:
    """The retriever of a version."""
    found = open_retriever(folder / version).retriever
    assert isinstance(found, Factors)
    return found


def publish(
    folder: Path, version: str, users: NDArray[np.float32], catalogue: list[str], through: int
) -> tuple[float, float]:
    """Build an index of `catalogue`, which holds changes up to `through`, in a process of its own.

    Returns: its recall at the gate, and the seconds it took.
    """
    began = time.monotonic()
    builds, model = Builds(folder / "index"), opened(folder, version)
    faiss.omp_set_num_threads(1)
    made = builds.publish(
        catalogue,
        model.item_vectors()[np.searchsorted(model.items, catalogue)],
        model_version=version,
        gate=Gate(users, k=K),
        through=through,
        shards=math.ceil(len(model.items) / SHARD_ITEMS),
    )
    recall = made.manifest.recall.share if made.manifest.recall else 0.0
    return recall, time.monotonic() - began


class Load:
    """Asks at a fixed rate, whatever the answers take."""

    def __init__(self, holder: IndexHolder[Factors], world: World, gone: set[str]) -> None:
        self._holder, self._world, self._gone = holder, world, gone
        self.seen, self._over, self._lock = Seen(), threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(FINISH_S)

    def _run(self) -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            due = time.monotonic()
            while not self._over.is_set():
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self._ask, due, self.seen.asked % len(self._world.asking))
                self.seen.asked += 1
                due += 1 / RATE

    def _ask(self, due: float, user: int) -> None:
        # What has gone by now must not be shown: it was followed before this set grew.
        gone = set(self._gone)
        try:
            held = self._holder.current
            vector = held.model.user_vectors(self._world.asking[user])
            found = held.search(vector, K, model_version=held.model_version)
        except Exception as error:
            print(f"request failed: {error!r}", file=sys.stderr)
            self._note(due, "failed", 0)
            return
        self._note(due, None, found.build)
        model, ids = held.model, found.nearest.ids[0]
        places = np.searchsorted(model.items, ids)
        products = model.item_vectors()[places] @ vector[0]
        if len(ids) < K or not np.allclose(products, found.nearest.scores[0], rtol=1e-3, atol=1e-5):
            self._note(None, "mixed_versions", found.build)
        if gone.intersection(ids):
            self._note(None, "gone_shown", found.build)

    def _note(self, due: float | None, problem: str | None, build: int) -> None:
        with self._lock:
            if problem:
                self.seen.problems[problem] += 1
            if due is not None:
                self.seen.builds.add(build)
                self.seen.begun_s.append(due)
                self.seen.waited_ms.append(1e3 * (time.monotonic() - due))


def recall_of(held: Held[Factors], asking: list[Interactions]) -> float:
    """The mean share of the exact best that the held-out users find in the main index, of what it holds."""
    vectors = np.concatenate([held.model.user_vectors(user) for user in asking])
    main = held.index.main
    inside = np.flatnonzero([item in main for item in held.model.items])
    _, best = faiss.knn(vectors, held.model.item_vectors()[inside], K, metric=faiss.METRIC_INNER_PRODUCT)
    exact = held.model.items[inside[best]]
    found = [main.search(vector[None], K, model_version=held.model_version).ids[0] for vector in vectors]
    return share_found(found, exact)


def bytes_of(folder: Path, items: Iterable[str]) -> int:
    """Bytes that the index in `folder` takes in memory: its lists, which are read whole, and the texts of its ids.

    What a process grows by says less: pages that nobody asks for a while are taken from it.
    """
    return sum(file.stat().st_size for file in folder.glob("*.faiss")) + sum(sys.getsizeof(item) + 8 for item in items)


def search_cpu_us(held: Held[Factors], asking: list[Interactions]) -> float:
    """Microseconds of processor time of one search, the user's vector not counted."""
    vectors = [held.model.user_vectors(user) for user in asking]
    began = time.process_time()
    for vector in vectors:
        held.search(vector, K, model_version=held.model_version)
    return 1e6 * (time.process_time() - began) / len(vectors)


def measure(world: World, builds: Builds, seconds: int) -> dict[str, float | int | str]:
    """Swap for `seconds` under load."""
    holder = IndexHolder("benchmark", builds, lambda version: opened(world.folder, version), threads=2)
    models = {version: opened(world.folder, version) for version in world.gates}
    late, gone = models["1"].items[-LATER:].tolist(), set[str]()
    catalogue = set(models["1"].items[:-LATER])
    gates, built_s, back = list[float](), list[float](), 0
    served, taken_s = list[Held[Factors]](), list[tuple[float, float]]()
    rng = np.random.default_rng(9)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:

        def begin(version: str) -> Future[tuple[float, float]]:
            # First up to where changes were followed, then what there is: the other way round a change would be lost.
            through = builds.changes.last()
            return processes.submit(publish, world.folder, version, world.gates[version], sorted(catalogue), through)

        def finish(building: Future[tuple[float, float]]) -> None:
            gate, took = building.result()
            gates.append(gate)
            built_s.append(took)

        finish(begin("1"))
        holder.refresh()
        served.append(holder.current)
        with Load(holder, world, gone) as load:
            end, building = time.monotonic() + seconds, begin("2")
            while time.monotonic() < end or len(taken_s) < 3:
                if time.monotonic() > end + FINISH_S:
                    break
                time.sleep(LOOK_S)
                leaves = change(builds, holder.current, world, models, late, rng, catalogue)
                began = time.monotonic()
                if holder.refresh():
                    taken_s.append((began, time.monotonic()))
                    served.append(holder.current)
                    if len(taken_s) % 3 == 2:
                        builds.roll_back(holder.current.build)
                        back += 1
                gone.add(leaves)
                if building.done() and holder.current.build == builds.serving():
                    finish(building)
                    building = begin("1" if holder.current.model_version == "2" else "2")
        last = holder.current
        building.result()
    main_index = last.index.main
    assert isinstance(main_index, ShardedIndex)
    held_bytes = bytes_of(builds.path(last.build), filter(main_index.__contains__, last.model.items))
    seen = load.seen
    waited = np.array(seen.waited_ms)
    during = [
        ms for begun, ms in zip(seen.begun_s, seen.waited_ms, strict=True) if any(a <= begun <= b for a, b in taken_s)
    ]
    return {
        "requests": seen.asked,
        "failed": seen.problems["failed"] + seen.asked - len(waited),
        "mixed_versions": seen.problems["mixed_versions"],
        "gone_shown": seen.problems["gone_shown"],
        "recall_500": round(min(recall_of(held, world.asking) for held in served), 4),
        "recall_gate": round(min(gates), 4),
        "swaps": len(taken_s),
        "rolled_back": back,
        "builds_asked": len(seen.builds),
        "items": len(last.model.items),
        "dimensions": FACTORS,
        "shards": len(main_index.manifest.shards),
        "lists": main_index.manifest.lists,
        "probes": main_index.manifest.probes,
        "search_cpu_us": round(search_cpu_us(last, world.asking)),
        "bytes_an_item": round(held_bytes / len(main_index)),
        "gone": len(gone),
        "came": LATER - len(late),
        "built_s": round(max(built_s), 1),
        "taken_over_s": round(max((b - a for a, b in taken_s), default=0.0), 2),
        "p50_ms": round(float(np.median(waited)), 2),
        "p95_ms": round(float(np.percentile(waited, 95)), 2),
        "swap_ms": round(max(during, default=0.0), 1),
    }


def change(
    builds: Builds,
    held: Held[Factors],
    world: World,
    models: Mapping[str, Factors],
    late: list[str],
    rng: np.random.Generator,
    catalogue: set[str],
) -> str:
    """One item that a user would get goes, and is returned; one comes, with a vector of each version."""
    best = held.search(held.model.user_vectors(world.asking[0]), 50, model_version=held.model_version).nearest.ids[0]
    leaves = str(rng.choice(best))
    catalogue.discard(leaves)
    builds.changes.append(Change(removed=[leaves]))
    if late:
        came = late.pop()
        catalogue.add(came)
        for version, model in models.items():
            vector = model.item_vectors()[np.searchsorted(model.items, [came])]
            builds.changes.append(Change(version, [came], vector))
    return leaves


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer users and items, a short time.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure; exits with 1 when a bar is missed."""
    users, items, each, epochs, seconds = (5_000, 70_000, 60, 1, 10) if quick else (19_000, 200_000, 100, 3, 90)
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as temporary:
        world = prepare(Path(temporary), users, items, each, epochs)
        figures = measure(world, Builds(Path(temporary) / "index"), seconds)
    if not emit("index_swap", figures, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
