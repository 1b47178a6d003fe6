"""What every way to make a retriever must do, and what each does by hand on a few items."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from lamina.errors import ModelUnavailable
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.interactions import Interactions, InteractionsError
from lamina.scoring.retrievers.factors import LeastSquares
from lamina.scoring.retrievers.files import open_retriever, save
from lamina.scoring.retrievers.protocol import Retriever, RetrieverSpec, VectorRetriever
from lamina.training.retrieval import ease
from lamina.training.retrieval.ease import Ease
from lamina.training.retrieval.ials import Ials
from lamina.training.retrieval.neighbours import ItemKnn, Sar
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import BadSetting, Method, TooMuch
from lamina.training.retrieval.towers import method
from lamina.training.retrieval.towers.method import TrainTowers, run_training
from lamina.training.retrieval.towers.settings import TowerSettings
from lamina.training.torch_process import here

DAY_S = 86_400.0
NO_TORCH = pytest.mark.skipif(not here(), reason="there is no environment with torch: make networks")
TOWERS = TrainTowers(TowerSettings(dimensions=4, batch=16, epochs=60, rate=0.02, decay=0.01, buckets=4, longest=6))
METHODS: list[Method] = [Popularity(), ItemKnn(neighbours=3), Sar(), Ease(2.0), Ials(factors=4, epochs=4), TOWERS]


def two_tastes() -> Interactions:
    """Users 0..9 met most of a, b, c; 10..19 most of x, y, z. One item each is left out, in turns."""
    rows = [
        (user, item)
        for user in range(20)
        for place, item in enumerate("abc" if user < 10 else "xyz")
        if place != user % 3
    ]
    return Interactions.of([u for u, _ in rows], [i for _, i in rows], time_s=[DAY_S] * len(rows))


SEEN = two_tastes()


def spec(retriever: Retriever) -> RetrieverSpec:
    return RetrieverSpec(
        form=retriever.form,
        system="any",
        logical_date=date(2026, 1, 2),
        items=len(retriever.items),
        rows=len(SEEN),
        arguments=dict(retriever.arguments),
    )


def new_user(*items: str) -> Interactions:
    return Interactions.of(["new"] * len(items), list(items), time_s=[0.0] * len(items))


@pytest.fixture(scope="module")
def learnt() -> dict[str, Path]:
    """Towers of this module, by the digest of what they were trained on."""
    return {}


@pytest.fixture(autouse=True)
def once(learnt: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told the same, to the byte, is trained once. That training twice gives the same, `towers` tests."""

    def run(folder: Path, out: Path, processes: int = 1) -> None:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        if digest not in learnt:
            kept = tmp_path_factory.mktemp("towers") / "out"
            run_training(folder, kept, processes)
            learnt[digest] = kept
        shutil.copytree(learnt[digest], out)

    monkeypatch.setattr(method, "run_training", run)


@pytest.mark.parametrize(
    "method", [pytest.param(each, marks=NO_TORCH if each is TOWERS else (), id=each.name) for each in METHODS]
)
class TestEvery:
    def test_the_same_interactions_in_another_order_give_the_same(self, method: Method) -> None:
        order = np.random.default_rng(0).permutation(len(SEEN))
        found, again = (method.fit(seen).scores(SEEN) for seen in (SEEN, SEEN.take(order)))
        assert found.dtype == np.float32 and found.shape == (20, 6)
        assert np.allclose(found, again, rtol=1e-5, atol=1e-6)

    def test_saved_and_opened_it_scores_the_same(self, method: Method, tmp_path: Path) -> None:
        made = method.fit(SEEN)
        opened = open_retriever(save(made, spec(made), tmp_path / "model"))
        assert np.array_equal(opened.retriever.scores(SEEN), made.scores(SEEN))
        assert opened.retriever.items.tolist() == list("abcxyz")
        assert opened.spec == spec(made)
        assert not list((tmp_path / "model").glob("*.pkl"))

    def test_a_user_who_came_later_is_answered(self, method: Method) -> None:
        """What he met that the retriever does not know is passed over."""
        retriever = method.fit(SEEN)
        [scores] = retriever.scores(new_user("a", "b", "unknown"))
        by_item = dict(zip(retriever.items, scores.tolist(), strict=True))
        if method.name != "popularity":
            assert by_item["c"] > max(by_item[other] for other in "xyz")
        nothing = retriever.scores(new_user("unknown"))
        assert nothing.shape == (1, 6) and np.isfinite(nothing).all()

    def test_one_user_who_does_everything_a_hundred_times_counts_once(self, method: Method) -> None:
        if method.name == "sar":
            pytest.skip("its histories count by weight")
        rows = np.concatenate([np.arange(len(SEEN)), np.zeros(100, np.int64)])
        assert np.allclose(method.fit(SEEN.take(rows)).scores(SEEN), method.fit(SEEN).scores(SEEN), atol=1e-6)

    def test_where_it_has_vectors_an_index_answers_as_the_scores_do(self, method: Method) -> None:
        retriever = method.fit(SEEN)
        if not isinstance(retriever, VectorRetriever):
            return
        index = ExactIndex(retriever.items.tolist(), retriever.item_vectors(), model_version="1")
        found = index.search(retriever.user_vectors(SEEN), 6, model_version="1")
        assert np.allclose(found.scores, -np.sort(-retriever.scores(SEEN), axis=1), atol=1e-6)


def test_popularity_counts_users() -> None:
    seen = Interactions.of(["u", "u", "v", "v"], ["a", "a", "a", "b"])
    assert Popularity().fit(seen).scores(new_user("b")).tolist() == [[2.0, 1.0]]


def test_item_knn_sums_the_cosines_of_the_nearest() -> None:
    """a is met by u, v; b by u, v, w; c by w. cos(a, b) = 2 / sqrt(6), cos(b, c) = 1 / sqrt(3)."""
    seen = Interactions.of(["u", "u", "v", "v", "w", "w"], ["a", "b", "a", "b", "b", "c"])
    scores = ItemKnn(neighbours=2).fit(seen).scores(new_user("a", "c"))
    assert scores[0] == pytest.approx([0.0, 2 / np.sqrt(6) + 1 / np.sqrt(3), 0.0])
    # Of one neighbour alone: b's is a; c's and a's are b.
    one = ItemKnn(neighbours=1).fit(seen).scores(new_user("a", "b", "c"))
    assert one[0] == pytest.approx([2 / np.sqrt(6), 2 / np.sqrt(6), 1 / np.sqrt(3)])
    shrunk = ItemKnn(neighbours=2, shrink=1.0).fit(seen).scores(new_user("c"))
    assert shrunk[0] == pytest.approx([0.0, 1 / (np.sqrt(3) + 1), 0.0])


def test_sar_weighs_by_jaccard_and_by_age() -> None:
    """jaccard(a, b) = 2/3, jaccard(b, c) = 1/3. What was met thirty days before counts half."""
    seen = Interactions.of(["u", "u", "v", "v", "w", "w"], ["a", "b", "a", "b", "b", "c"], time_s=[0.0] * 6)
    asked = Interactions.of(["n", "n"], ["a", "c"], [4.0, 3.0], [0.0, 30 * DAY_S])
    scores = Sar(half_life_days=30).fit(seen).scores(asked)
    assert scores[0] == pytest.approx([2.0, 2 * 2 / 3 + 3 / 3, 3.0])
    still = Sar(half_life_days=0).fit(replace(seen, time_s=None)).scores(replace(asked, time_s=None))
    assert still[0] == pytest.approx([4.0, 4 * 2 / 3 + 3 / 3, 3.0])


def test_sar_with_a_half_life_needs_times() -> None:
    with pytest.raises(InteractionsError, match="no times are known"):
        Sar().fit(replace(SEEN, time_s=None))


def test_ease_minimises_what_it_says() -> None:
    """Its weights solve ridge regression of each item on the others."""
    x = SEEN.seen().toarray()
    weights = np.asarray(Ease(2.0).fit(SEEN).arrays()["weights"])
    others = [0, 1, 3, 4, 5]
    gram = x[:, others].T @ x[:, others] + 2.0 * np.eye(5)
    assert weights[others, 2] == pytest.approx(np.linalg.solve(gram, x[:, others].T @ x[:, 2]), abs=1e-5)
    assert np.diag(weights).tolist() == [0.0] * 6


def test_ease_refuses_more_items_than_it_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    many = replace(SEEN, items=np.array([f"{i:05}" for i in range(ease.MOST_ITEMS + 1)], dtype=object))
    with pytest.raises(TooMuch, match=r"50,001 items squared.*50,000 items are the most"):
        Ease().fit(many)
    monkeypatch.setattr(ease, "MOST_ITEMS", 6)
    assert Ease().fit(SEEN).items.tolist() == list("abcxyz")


def loss(x: np.ndarray, users: np.ndarray, items: np.ndarray, method: Ials) -> float:
    """What is minimised, over all pairs, straight from its definition."""
    off = (1.0 + method.unobserved) * x * (users @ items.T - 1) ** 2
    off += method.unobserved * (1 - x) * (users @ items.T) ** 2
    by_user = x.sum(axis=1) + method.unobserved * x.shape[1]
    by_item = x.sum(axis=0) + method.unobserved * x.shape[0]
    own = by_user @ (users**2).sum(axis=1) + by_item @ (items**2).sum(axis=1)
    return float(off.sum() + method.regularisation * own)


def test_ials_users_are_where_its_loss_is_least() -> None:
    method = Ials(factors=3, regularisation=0.05, unobserved=0.3, epochs=3)
    retriever = method.fit(SEEN)
    x, users, items = SEEN.seen().toarray(), retriever.user_vectors(SEEN).astype(float), retriever.item_vectors()
    least = loss(x, users, items, method)
    rng = np.random.default_rng(0)
    for step in (1e-3, 1e-2, 1e-1):
        assert loss(x, users + rng.normal(scale=step, size=users.shape), items, method) > least


def test_ials_loss_falls_from_epoch_to_epoch_and_seeds_differ() -> None:
    x = SEEN.seen().toarray()
    found = []
    for epochs in (1, 2, 8):
        method = Ials(factors=3, epochs=epochs)
        made = method.fit(SEEN)
        found.append(loss(x, made.user_vectors(SEEN).astype(float), made.item_vectors().astype(float), method))
    assert found == sorted(found, reverse=True)
    vectors = [Ials(factors=3, epochs=2, seed=seed).fit(SEEN).item_vectors() for seed in (0, 0, 1)]
    assert np.array_equal(vectors[0], vectors[1]) and not np.allclose(vectors[0], vectors[2])


def test_rows_of_few_and_of_many_columns_are_solved_alike() -> None:
    """Three met, of factors of two and of eight: both ways of solving, against the plain equations."""
    rng = np.random.default_rng(0)
    for size in (2, 8):
        factors = rng.normal(size=(5, size))
        met = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
        weight = 0.3 + met
        system = (factors * weight[:, None]).T @ factors + 0.1 * (3 + 0.3 * 5) * np.eye(size)
        expected = np.linalg.solve(system, (factors * (weight * met)[:, None]).sum(axis=0))
        found = LeastSquares(factors, unobserved=0.3, regularisation=0.1).solve(csr_array(met[None]))
        assert found[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", [Ials(factors=0), Ials(epochs=0), Ials(regularisation=0.0), Ials(unobserved=-1.0)])
def test_settings_out_of_their_range_are_refused(method: Ials) -> None:
    with pytest.raises(BadSetting, match="above zero"):
        method.fit(SEEN)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    made = Ease(2.0).fit(SEEN)
    folder = save(made, spec(made), tmp_path / "model")
    with pytest.raises(ModelUnavailable, match="no retriever is made of 'other'"):
        open_retriever(save(made, spec(made).model_copy(update={"form": "other"}), tmp_path / "other"))
    with pytest.raises(ModelUnavailable, match="6 items and its spec says 7"):
        open_retriever(save(made, spec(made).model_copy(update={"items": 7}), tmp_path / "fewer"))
    np.save(folder / "weights.npy", np.zeros((2, 2), np.float32))
    with pytest.raises(ModelUnavailable, match=r"weights of shape \(2, 2\)"):
        open_retriever(folder)
    (folder / "weights.npy").unlink()
    with pytest.raises(ModelUnavailable, match="cannot be opened"):
        open_retriever(folder)
    with pytest.raises(ModelUnavailable, match=r"no spec\.json"):
        open_retriever(tmp_path / "nowhere")
