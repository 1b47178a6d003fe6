"""Decisions that arrive together: each as if it had come alone."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from lamina.contracts.decisions import Decision
from lamina.contracts.topics import TRANSACTIONS
from lamina.contracts.transactions import Transaction
from serving.stages.decide import TOGETHER
from tests.unit.serving.recognisable import Bench, add_version
from tests.unit.serving.stages.test_routing import BROKEN

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
