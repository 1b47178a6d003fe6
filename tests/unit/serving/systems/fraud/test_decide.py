"""Decisions that arrive together: each as if it had come alone."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tiles import speed_writes
from lamina.contracts.fraud_decisions import Decision
from lamina.contracts.transactions import TRANSACTIONS, Transaction
from lamina.definitions.fraud import FEATURES
from lamina.monitoring import metrics
from lamina.scoring.protocol import SCORE
from lamina.semantics.plan import make_plan
from serving.stages.pipeline import TOGETHER
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, Bench, Constant, add_version
from tests.unit.serving.stages.test_routing import BROKEN
from tests.unit.serving.transactions import transaction

SECRET = "card-of-one-who-fails"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    add_version(made.registry, 0.25, tmp_path, "champion")
    return made


async def together(bench: Bench, users: list[str], **changes: Any) -> list[Decision]:
    bench.start()
    await bench.refresh()
    return list(await asyncio.gather(*(bench.decide(user, **changes) for user in users)))


def test_each_has_its_own_answer_and_its_own_events(bench: Bench) -> None:
    users = [f"user-{i}" for i in range(2 * TOGETHER + 1)]
    found = asyncio.run(together(bench, users))
    assert [(d.user_id, d.request_id, d.score, d.fallback) for d in found] == [
        (user, f"r-{user}", 0.25, "none") for user in users
    ]
    assert bench.events.decisions == found
    sent = [Transaction.from_json(value) for topic, value in bench.events.kept if topic == TRANSACTIONS]
    assert [each.user_id for each in sent] == users


def test_sixteen_are_written_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that came in one call: for no longer do other requests wait."""

    async def run() -> None:
        bench.start()
        await bench.refresh()
        sizes: list[int] = []
        monkeypatch.setattr(bench.events, "publish_all", lambda outgoing: sizes.append(len(outgoing)))
        await bench.decided_all([bench.case(f"user-{i}") for i in range(33)], explain=False)
        assert sizes == [32, 32, 2], "a transaction and a decision each"

    asyncio.run(run())


def test_the_features_age_is_that_of_the_newest_event(bench: Bench) -> None:
    earlier = transaction(transaction_id="t0", user_id="user-1", timestamp=AT_MS - 600_000).model_dump(mode="json")

    async def run() -> list[Decision]:
        bench.start()
        await bench.refresh()
        store = bench.maker._features._store
        assert isinstance(store, AsyncMemoryStore)
        store.store.write_tiles(speed_writes(make_plan(FEATURES).speed, {"transactions": [earlier]}, 0))
        return [
            await bench.decide(user, timestamp=AT_MS, merchant_id=f"of-{user}", transaction_id=f"t-{user}")
            for user in ("user-1", "user-2")
        ]

    known, unknown = asyncio.run(run())
    assert known.feature_age_ms is not None and 600_000 <= known.feature_age_ms < 660_000
    assert not known.unknown_user
    assert unknown.feature_age_ms is None and unknown.unknown_user


def test_a_model_that_fails_costs_no_payment_and_no_card(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from serving.masking import MaskingJsonFormatter

    add_version(bench.registry, BROKEN, tmp_path, "champion")
    caplog.handler.setFormatter(MaskingJsonFormatter())
    with caplog.at_level(logging.ERROR):
        found = asyncio.run(together(bench, ["user-1", "user-2"], card_token=SECRET))
    assert {(d.score, d.fallback, d.model_version) for d in found} == {(None, "rules_only_no_model", None)}
    assert '"request_id":"r-user-2"' in caplog.text and SECRET not in caplog.text


def test_a_rule_that_fails_is_one_requests_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.rules.book import RuleBook

    judge = RuleBook.judge

    def fails(self: RuleBook, transaction: Transaction, features: Any) -> Any:
        if transaction.user_id == "user-1":
            raise ZeroDivisionError
        return judge(self, transaction, features)

    monkeypatch.setattr(RuleBook, "judge", fails)

    async def run() -> list[Decision | BaseException]:
        bench.start()
        await bench.refresh()
        users = ("user-0", "user-1", "user-2")
        return list(await asyncio.gather(*(bench.decide(user) for user in users), return_exceptions=True))

    first, second, third = asyncio.run(run())
    assert isinstance(second, ZeroDivisionError)
    assert isinstance(first, Decision) and isinstance(third, Decision)
    assert bench.events.decisions == [first, third]


def counted(metric: Any) -> float:
    return float(metric._value.get())


@pytest.mark.parametrize("together_with", [0, 2])
def test_an_explanation_may_fail_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together_with: int
) -> None:
    """A score of 0.99 stays a rejection: only the reasons that weigh features are missing, and that is counted."""
    add_version(bench.registry, 0.99, tmp_path, "champion")

    def raises(self: Constant, features: Any) -> list[tuple[str, float]]:
        if features:
            raise ValueError("no explanation")
        return []

    monkeypatch.setattr(Constant, "explain", raises)
    before = counted(metrics.EXPLANATIONS_FAILED.labels("fraud"))
    users = [f"user-{i}" for i in range(1 + together_with)]
    for found in asyncio.run(together(bench, users)):
        assert (found.score, found.fallback, found.action) == (0.99, "none", "reject")
        assert [reason.kind for reason in found.reasons] == ["risk"]
    assert counted(metrics.EXPLANATIONS_FAILED.labels("fraud")) == before + len(users)
    assert [d.action for d in bench.events.decisions] == ["reject"] * len(users)


def test_log_lines_name_the_request_where_there_is_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And repeat no card of those that are decided together."""
    from lamina.rules.book import RuleBook
    from serving.masking import REQUEST_ID, TOKENS

    judge, said = RuleBook.judge, list[tuple[str | None, tuple[str, ...]]]()

    def noted(self: RuleBook, transaction: Transaction, features: Any) -> Any:
        said.append((REQUEST_ID.get(), TOKENS.get()))
        return judge(self, transaction, features)

    monkeypatch.setattr(RuleBook, "judge", noted)
    asyncio.run(together(bench, ["user-1"], card_token=SECRET))
    asyncio.run(together(bench, ["user-1", "user-2"], card_token=SECRET))
    assert said == [("r-user-1", (SECRET,)), *[(None, (SECRET, SECRET))] * 2]


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_an_explanation_of_no_finite_weight_is_none(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: float
) -> None:
    add_version(bench.registry, 0.99, tmp_path, "champion")
    monkeypatch.setattr(Constant, "explain", lambda self, features: [("amount", weight)])
    (found,) = asyncio.run(together(bench, ["user-1"]))
    assert (found.score, found.action, [r.kind for r in found.reasons]) == (0.99, "reject", ["risk"])


@pytest.mark.parametrize("users", [["user-1"], ["user-1", "user-2", "user-3"]])
@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), 1.5, -0.5])
def test_what_is_no_probability_is_a_failed_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, score: float, users: list[str]
) -> None:
    monkeypatch.setattr(Constant, "predict", lambda self, features: score if features else 0.5)
    before = {k: counted(metrics.FALLBACKS.labels("fraud", k)) for k in ("rules_only_no_model",)}
    for found in asyncio.run(together(bench, users)):
        assert (found.score, found.fallback, found.model_version) == (None, "rules_only_no_model", None)
    assert counted(metrics.FALLBACKS.labels("fraud", "rules_only_no_model")) == before["rules_only_no_model"] + len(
        users
    )
    assert all(Decision.from_json(d.to_json()) == d for d in bench.events.decisions)


def test_a_row_without_a_score_costs_its_neighbours_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Constant, "predict", lambda self, features: float("nan") if features.get("amount") == 13.0 else 0.25
    )

    async def run() -> list[Decision]:
        bench.start()
        await bench.refresh()
        asked = [bench.decide("user-1", amount=12.0), bench.decide("user-2", amount=13.0), bench.decide("user-3")]
        return list(await asyncio.gather(*asked))

    found = asyncio.run(run())
    assert [(d.score, d.fallback) for d in found] == [(0.25, "none"), (None, "rules_only_no_model"), (0.25, "none")]


@pytest.mark.parametrize("given", [1, 4])
def test_too_few_or_too_many_scores_are_nobodys(bench: Bench, monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    """Each is asked for alone then, rather than given a neighbour's."""
    monkeypatch.setattr(
        Constant,
        "predict_batch",
        lambda self, rows: {SCORE: np.full(given if rows and rows[0] else len(rows), 0.75)},
    )
    found = asyncio.run(together(bench, ["user-1", "user-2", "user-3"]))
    assert [d.score for d in found] == [0.25] * 3


def test_a_row_that_a_model_leaves_out_costs_its_neighbours_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Constant,
        "predict_batch",
        lambda self, rows: {SCORE: np.array([None, *[0.75] * (len(rows) - 1)] if rows[0] else [0.0, 0.0])},
    )
    found = asyncio.run(together(bench, ["user-1", "user-2", "user-3"]))
    assert [d.score for d in found] == [0.25, 0.75, 0.75]


def test_whoever_sends_many_waits_for_all_of_them(bench: Bench) -> None:
    """The time of a call grows with what it brings: none of it is decided without the model as one alone would be."""
    many = 40

    async def run() -> list[Decision]:
        bench.start()
        await bench.refresh()
        bench.maker._deadline_ns = 1_000_000_000
        started_ns = time.perf_counter_ns() - 2_000_000_000
        asked = [replace(bench.case(f"user-{i}"), started_ns=started_ns) for i in range(many)]
        late = await bench.decided(asked[0], explain=False)
        assert late.fallback == "rules_only_deadline"
        return await bench.decided_all(asked[1:], explain=False)

    assert [d.fallback for d in asyncio.run(run())] == ["none"] * (many - 1)
