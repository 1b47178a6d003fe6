"""Both inputs of the demo of fraud say the same things, and what was answered is told as it was."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from lamina.clock import day_of
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS
from lamina.demo.live import LiveResult
from lamina.demo.sources import LiveDay
from lamina.demo.stories.fraud import decisions, remark, story
from lamina.demo.story import Options, Run
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.settings import load_settings


def options(folder: Path, data: Path | None = None) -> Options:
    return Options(users=200, days=32, data=data, scratch=folder / "scratch")


def test_the_world_goes_into_the_lake_up_to_the_live_day(tmp_path: Path) -> None:
    source = story(options(tmp_path)).source
    history = source.import_history(str(tmp_path))
    rows = ds.dataset(layout.topic(str(tmp_path), TRANSACTIONS.topic), format="parquet").to_table()
    assert rows.num_rows == history.rows[TRANSACTIONS.topic] > 0
    labels = ds.dataset(layout.topic(str(tmp_path), FRAUD_LABELS.topic), format="parquet")
    assert labels.count_rows() == history.rows[FRAUD_LABELS.topic] > 0
    assert history.rejected == 0
    assert day_of(max(rows["timestamp"].to_pylist())) < source.live_day
    live = source.live()
    happened, known = live.events[TRANSACTIONS.topic], live.events[FRAUD_LABELS.topic]
    assert {day_of(at) for at in happened["timestamp"].to_pylist()} == {source.live_day}
    assert {day_of(at) for at in known["timestamp"].to_pylist()} <= {source.live_day}
    assert set(live.truth["transaction_id"].to_pylist()) <= set(happened["transaction_id"].to_pylist())


def test_the_second_act_goes_on_with_the_same_world_and_other_frauds(tmp_path: Path) -> None:
    made = story(options(tmp_path))
    act = made.second
    assert act is not None
    live = made.source.live()
    n = act.number(live.day)
    assert all(act.world.day(n)[topic].equals(table) for topic, table in live.events.items())
    assert act.positives(n) == frozenset(live.truth["transaction_id"].to_pylist())
    assert made.last_day == act.world.date_of(n + act.days)
    assert act.world.days > n + act.days + 1, "days after are there to be posted"

    def amounts(days: range) -> list[float]:
        rows = [row for day in days for row in act.world.day(day)[TRANSACTIONS.topic].to_pylist()]
        frauds = frozenset[str]().union(*(act.positives(day) for day in days))
        return [row["amount"] for row in rows if row["transaction_id"] in frauds]

    # Attacks that began before go on for days as they began.
    assert max(amounts(range(n - 6, n + 1))) > 3 * max(amounts(range(n + 8, n + 15)))


def test_a_story_without_a_second_act_ends_with_its_live_day(handbook: Path, tmp_path: Path) -> None:
    made = story(options(tmp_path, handbook))
    assert made.second is None
    assert made.last_day == made.source.live_day


def test_the_handbook_leaves_its_last_day_for_the_api(handbook: Path, tmp_path: Path) -> None:
    source = story(options(tmp_path, handbook)).source
    live = source.live()
    happened, known = live.events[TRANSACTIONS.topic], live.events[FRAUD_LABELS.topic]
    assert happened.num_rows > 9_000
    assert {day_of(at) for at in happened["timestamp"].to_pylist()} == {source.live_day}
    assert {day_of(at) for at in known["timestamp"].to_pylist()} == {source.live_day}
    assert 0 < live.truth.num_rows < happened.num_rows / 20


def test_a_folder_without_the_handbook_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LaminaError, match=rf"no transactions\.parquet in {tmp_path}: set DATA"):
        story(options(tmp_path, tmp_path))


def test_the_rules_list_the_cards_that_the_world_has_lost(tmp_path: Path) -> None:
    made = story(options(tmp_path))
    rules = Path(made.prepare(tmp_path / "demo")["LAMINA_RULES_FILE"])
    listed = (rules.parent / "listed_cards.txt").read_text().split()
    assert rules.name == "fraud.yaml"
    assert len(listed) == 1
    assert all(card.startswith("card-") for card in listed)


def answer(transaction: str, action: str, fallback: str = "none", *codes: str) -> dict[str, object]:
    reasons = [{"code": code, "kind": "rule"} for code in codes] + [{"code": "amount", "kind": "feature"}]
    return {"transaction_id": transaction, "action": action, "fallback": fallback, "reasons": reasons}


def test_what_was_answered_is_counted_and_held_against_the_truth(tmp_path: Path) -> None:
    answers = [
        answer("t1", "approve"),
        answer("t2", "reject", "none", "listed_card", "unusual_amount"),
        answer("t3", "review", "rules_only_no_model", "unusual_amount"),
    ]
    found = decisions(answers)
    assert found.by_action == {"approve": 1, "reject": 1, "review": 1}
    assert found.by_reason == {"listed_card": 1, "unusual_amount": 2}
    assert found.fallbacks == {"rules_only_no_model": 1}
    truth = pa.table({"transaction_id": ["t1", "t2"], "scenario": ["card_testing", "stolen_card"]})
    day = LiveDay(story(options(tmp_path)).source.live_day, {}, truth)
    said = remark(Run(load_settings(), day, LiveResult(answers=answers)))
    assert said.startswith("On the live day 1 of 2 frauds were rejected or sent to review, with 1 honest transactions")
