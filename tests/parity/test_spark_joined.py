"""Joined rows as Spark makes them, day by day, and what the reference makes of the same events at once."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.spark import join_labels
from jobs.spark.join_labels import join
from lamina.clock import DAY_MS, day_of, midnight_ms, next_day
from lamina.contracts.base import Event
from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.served import Candidate, ModelUsed, Served
from lamina.contracts.systems import System
from lamina.contracts.topics import predictions_of
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.definitions import record
from lamina.errors import ArchivedMeanwhile
from lamina.lake import layout
from lamina.lake.joined import read_joined
from lamina.lake.known import as_of
from lamina.lake.schemas import in_lake, row_of, schema_of
from lamina.lake.write import open_lake, write_partition
from lamina.monitoring.label_joins import latest_join
from tests.parity.answered import answer, put
from tests.parity.joined_reference import Arrived, Reference, Row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START_MS = 1_533_686_400_000  # 2018-08-08
DAYS = 4
GRID_MS = DAY_MS // 24
"""Times are few, so that many are the same."""


class Happened:
    """Events of a system in the order in which they arrived, some late, twice, or of another mind."""

    def __init__(self, system: System, seed: int) -> None:
        self.system, self.rng = system, random.Random(seed)
        first, second = (entity.name for entity in system.entities[:2])
        self.subjects = [{first: f"u{i % 3}", second: f"m{i % 2}"} for i in range(6)]
        self.ranking = {first: "u0"}
        self.envelopes = self._arriving([e for i in range(60) for e in self._answer(i)])
        self.said = self._arriving([e for i in range(90) for e in self._feedback(i)])
        self.events = self._arriving([self._event(i) for i in range(60)])

    def _time(self) -> int:
        return START_MS + self.rng.randrange(DAYS * 24) * GRID_MS

    def _arriving(self, events: list[Any]) -> Arrived:
        """Most on their day, some up to two days later; of one day in any order."""
        found = []
        for event in events:
            at = event["timestamp"] if isinstance(event, dict) else event.timestamp
            late = self.rng.choice((0, 0, 0, 0, 1, 2))
            found.append((day_of(at + late * DAY_MS), event))
        self.rng.shuffle(found)
        return sorted(found, key=lambda each: each[0])

    def _answer(self, i: int) -> list[Served]:
        rng, at = self.rng, self._time()
        ranks = rng.random() < 0.2
        answer = Served(
            system=rng.choice([self.system.name] * 9 + ["other"]),
            request_id=f"r{i % 55}",
            event_id=None if ranks else f"e{i % 50}",
            subjects=self.ranking if ranks else rng.choice(self.subjects),
            candidates=[Candidate(id=f"m{n}") for n in rng.sample(range(4), 2)] if ranks else [],
            outputs={"score": rng.random()} if rng.random() < 0.9 else {},
            models={"model": ModelUsed(name="m", version="1")},
            arm=rng.choice((None, "a")),
            features={},
            seen={},
            through={},
            timestamp=at,
            served_at=at + 5,
            latency_ms=1.0,
        )
        shadow = answer.model_copy(update={"shadow": True, "arm": "b"})
        return [answer, *([shadow] if rng.random() < 0.3 else []), *([answer] if rng.random() < 0.1 else [])]

    def _feedback(self, i: int) -> list[Feedback]:
        assert self.system.feedback is not None
        rng, second = self.rng, self.system.entities[1].name
        named: dict[str, Any] = rng.choice(
            (
                {"request_id": f"r{rng.randrange(58)}"},
                {"event_id": f"e{rng.randrange(53)}"},
                {"subjects": rng.choice(self.subjects)},
                {"subjects": {self.system.entities[0].name: f"u{rng.randrange(3)}"}},
                {"subjects": {**self.ranking, second: f"m{rng.randrange(4)}"}},
                {"request_id": f"r{rng.randrange(55)}", "subjects": rng.choice(self.subjects)},
                {"request_id": f"r{rng.randrange(55)}", "event_id": f"e{rng.randrange(50)}"},
            )
        )
        event = Feedback(
            system=self.system.name,
            feedback_id=f"f{rng.randrange(80)}",
            action=rng.choice([*self.system.feedback.grades, *self.system.feedback.grades, "unheard-of", None]),
            source=rng.choice(self.system.feedback_sources),
            client=rng.choice((None, None, "a", "b")),
            timestamp=self._time() + rng.choice((0, 0, 1, DAY_MS, 9 * DAY_MS)),
            **named,
        )
        return [event, *([event] if rng.random() < 0.2 else [])]

    def _event(self, i: int) -> dict[str, Any]:
        rng, at = self.rng, self._time() + self.rng.choice((0, 1, DAY_MS))
        subjects = rng.choice(self.subjects)
        user, item = (subjects[entity.name] for entity in self.system.entities[:2])
        if self.system.name == "fraud":
            return {
                "transaction_id": f"e{rng.randrange(50)}",
                "user_id": user,
                "merchant_id": item,
                "is_fraud": rng.random() < 0.5,
                "scenario": None,
                "source": rng.choice(self.system.feedback_sources),
                "transaction_timestamp": at - 5,
                "timestamp": at,
            }
        return {
            "event_id": f"b{i % 55}",
            "user_id": user,
            "event_type": rng.choice(("purchase", "page_view", "click")),
            "item_id": item,
            "session_id": "s",
            "page": "item",
            "timestamp": at,
        }

    def write(self, lake: str) -> None:
        """As the archive would have left them there."""
        assert self.system.label is not None
        self._write(lake, predictions_of(self.system.name), Served, self.envelopes)
        self._write(lake, MODEL_FEEDBACK, Feedback, self.said)
        contract = next(t.contract for t in self.system.topics if t.name == self.system.label.source.topic)
        self._write(lake, self.system.label.source.topic, contract, self.events)

    def _write(self, lake: str, topic: str, contract: type[Event], arrived: Arrived) -> None:
        folders: defaultdict[date, list[dict[str, Any]]] = defaultdict(list)
        for place, (day, event) in enumerate(arrived):
            row = event if isinstance(event, dict) else row_of(event)
            folders[day].append({**row, "partition": 0, "offset": place})
        for day, rows in folders.items():
            table = pa.Table.from_pylist(rows, schema=in_lake(schema_of(contract)))
            write_partition(f"{layout.events(lake, topic, day)}/{layout.ORIGIN}", table)


def found_in(lake: str, system: str, known_before_ms: int | None = None) -> dict[tuple[Any, ...], Row]:
    """The joined rows as they are, or as they were by what was known before a time."""
    table = read_joined(lake, system)
    rows = (table if known_before_ms is None else as_of(table, known_before_ms)).to_pylist()
    found = {
        (r["request_id"], r["event_id"], r["shadow"], r["arm"]): Row(
            r["label"], r["label_timestamp"], r["label_source"], r["label_status"], r["contradicted"]
        )
        for r in rows
    }
    assert len(found) == len(rows)
    return found


def adds_up(counts: dict[str, Any]) -> None:
    assert counts["answers"] == counts["joined"] + counts["assumed"] + counts["waiting"]
    assert counts["feedback"] == sum(counts[each] for each in ("used", "superseded", "repeated", "unmatched"))


@pytest.mark.parametrize(("name", "seed"), [("fraud", 1), ("activity", 2)])
def test_day_by_day_spark_has_what_the_reference_has_at_once(
    spark: SparkSession, tmp_path: Path, name: str, seed: int
) -> None:
    system, lake = record(name), str(tmp_path)
    happened = Happened(system, seed)
    happened.write(lake)
    first = day_of(START_MS)
    seen: set[str] = set()
    then: list[tuple[int, dict[tuple[Any, ...], Row]]] = []
    # A day is left out; after the last one nothing waits.
    for day in (first, *(day_of(START_MS + n * DAY_MS) for n in (2, 13))):
        counts = join(spark, lake, system, day)
        reference = Reference(system, day, midnight_ms(next_day(day)))
        expected = reference.rows(happened.envelopes, happened.said, happened.events)
        assert found_in(lake, name) == expected
        adds_up(counts)
        seen |= {row.status for row in expected.values()} | {str(row.contradicted) for row in expected.values()}
        then.append((midnight_ms(next_day(day)), expected))
    assert seen == {"joined", "assumed", "waiting", "True", "False"}
    # Whatever arrived or was corrected since, who asks again as of a time is told what the join before it found.
    assert found_in(lake, name, then[0][0] - 1) == {}
    for (known_ms, expected), until_ms in zip(then, (*(at - 1 for at, _ in then[1:]), 2**62), strict=True):
        assert found_in(lake, name, known_ms) == found_in(lake, name, until_ms) == expected


def test_all_at_once_the_counts_are_the_references(spark: SparkSession, tmp_path: Path) -> None:
    system, lake = record("fraud"), str(tmp_path)
    happened = Happened(system, 7)
    happened.write(lake)
    day, known_ms = day_of(START_MS + 12 * DAY_MS), START_MS + 3 * DAY_MS + 7 * GRID_MS
    counts = join(spark, lake, system, day, known_before_ms=known_ms)
    reference = Reference(system, day, known_ms)
    expected = reference.rows(happened.envelopes, happened.said, happened.events)
    assert found_in(lake, "fraud") == expected
    for what, many in reference.counts.items():
        assert counts[what] == many, what
    # By what is known later there is more, and of what is about no answer it is said why.
    counts = join(spark, lake, system, day)
    later = Reference(system, day, midnight_ms(next_day(day)))
    assert found_in(lake, "fraud") == later.rows(happened.envelopes, happened.said, happened.events) != expected
    rows = found_in(lake, "fraud")
    assert join(spark, lake, system, day - timedelta(days=10))["days"] == []
    assert found_in(lake, "fraud") == rows, "a run of an older date, which has seen less, takes nothing away"
    fs, path = open_lake(layout.label_join(lake, "fraud", day))
    kept = pa.concat_tables(
        [pa.parquet.read_table(file, filesystem=fs) for file in fs.ls(path, detail=False) if file.endswith(".parquet")]
    ).to_pylist()
    assert len(kept) == counts["unmatched"] > 0
    assert {row["reason"] for row in kept} == {"no_answer", "no_meaning"}
    assert {row["action"] for row in kept if row["reason"] == "no_meaning"} == {"unheard-of", None}


def test_a_lake_without_answers_has_nothing_to_join(spark: SparkSession, tmp_path: Path) -> None:
    """As on the first day of a system, and where something was said before anything was answered."""
    lake, day = str(tmp_path), date(2018, 8, 14)
    early = Feedback(
        system="fraud", feedback_id="f", request_id="r", action="fraud", source="analyst", timestamp=START_MS
    )
    put(lake, MODEL_FEEDBACK, Feedback, [early], day)
    counts = join(spark, lake, record("fraud"), day)
    adds_up(counts)
    assert (counts["days"], counts["answers"], counts["feedback"], counts["unmatched"]) == ([], 0, 1, 1)
    found = latest_join(lake, "fraud")
    assert found is not None and (found.date, found.unmatched) == (day, 1)


def test_clients_that_count_alike_do_not_take_each_others_labels(spark: SparkSession, tmp_path: Path) -> None:
    """Two shops number their orders from 1, and one of them sends twice."""
    lake, day, subjects = str(tmp_path), day_of(START_MS), {"user": "u", "merchant": "m"}
    asked = [answer("fraud", f"t-{n}", subjects, START_MS, f"r-{n}") for n in (1, 2, 3)]
    put(lake, predictions_of("fraud"), Served, list(asked), day)

    def said(client: str | None, request: str) -> Feedback:
        told: dict[str, Any] = {"system": "fraud", "source": "customer", "timestamp": START_MS + 1}
        return Feedback(**told, feedback_id="1", action="fraud", client=client, request_id=request)

    first, second, third = said("here", "r-1"), said("there", "r-2"), said(None, "r-3")
    put(lake, MODEL_FEEDBACK, Feedback, [first, second, third, first, third], day)
    counts = join(spark, lake, record("fraud"), day)
    assert {key[0]: row.label for key, row in found_in(lake, "fraud").items()} == {"r-1": 1.0, "r-2": 1.0, "r-3": 1.0}
    assert (counts["feedback"], counts["used"], counts["repeated"], counts["unmatched"]) == (5, 3, 2, 0)


def test_answers_that_are_archived_anew_meanwhile_replace_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, day, subjects = str(tmp_path), day_of(START_MS), {"user": "u", "merchant": "m"}
    put(lake, predictions_of("fraud"), Served, [answer("fraud", f"t-{n}", subjects, START_MS) for n in range(3)], day)
    (file,) = Path(layout.events(lake, predictions_of("fraud"), day)).rglob("*.parquet")
    chosen = join_labels._to_write

    def shorter(*given: Any) -> list[date]:
        pq.write_table(pq.read_table(file, partitioning=None).slice(1), file)
        return chosen(*given)

    monkeypatch.setattr(join_labels, "_to_write", shorter)
    with pytest.raises(ArchivedMeanwhile, match="answers of fraud of 2018-08-08"):
        join(spark, lake, record("fraud"), day)
    assert found_in(lake, "fraud") == {}
    monkeypatch.undo()
    assert join(spark, lake, record("fraud"), day)["answers"] == 2


def test_the_example_of_the_concept_page(spark: SparkSession, tmp_path: Path) -> None:
    """docs/concepts/feedback.md: a customer, an analyst who changes his mind, and a chargeback two months later."""
    lake, system = str(tmp_path), record("fraud")
    monday, subjects = date(2018, 8, 13), {"user": "u", "merchant": "m"}

    def at(day: int, hour: int = 12, minute: int = 0) -> int:
        return midnight_ms(date(2018, 8, day)) + (hour * 60 + minute) * 60_000

    asked = [("r-1", at(13, 10)), ("r-2", at(13, 10, 5)), ("r-3", at(13, 11))]
    answers = [answer("fraud", request.replace("r", "t"), subjects, ms, request) for request, ms in asked]
    put(lake, predictions_of("fraud"), Served, list(answers), monday)

    def said(identity: str, action: str, known_ms: int, **named: Any) -> Feedback:
        source = "customer" if identity == "c" else "analyst"
        return Feedback(system="fraud", feedback_id=identity, action=action, source=source, timestamp=known_ms, **named)

    claim = said("c", "fraud", at(13, 10, 30), subjects=subjects)
    put(lake, MODEL_FEEDBACK, Feedback, [claim, claim], date(2018, 8, 14))
    put(lake, MODEL_FEEDBACK, Feedback, [said("a", "honest", at(15), request_id="r-2")], date(2018, 8, 15))
    put(
        lake,
        MODEL_FEEDBACK,
        Feedback,
        [said("b", "reject", at(16), request_id="r-9"), said("d", "reject", at(16), request_id="r-2")],
        date(2018, 8, 16),
    )
    october = midnight_ms(date(2018, 10, 12))
    chargeback = FraudLabel(
        transaction_id="t-1",
        user_id="u",
        merchant_id="m",
        is_fraud=True,
        source="chargeback",
        transaction_timestamp=at(13, 10),
        timestamp=october,
    )
    put(lake, FRAUD_LABELS, FraudLabel, [chargeback], date(2018, 10, 12))

    def after(day: date) -> tuple[dict[str, Any], dict[str, Row]]:
        counts = join(spark, lake, system, day)
        return counts, {key[0]: row for key, row in found_in(lake, "fraud").items()}

    waits, nothing = Row(None, None, None, "waiting", False), Row(0.0, None, None, "assumed", False)
    _, rows = after(date(2018, 8, 15))
    assert rows == {"r-1": waits, "r-2": Row(0.0, at(15), "analyst", "joined", True), "r-3": waits}
    counts, rows = after(date(2018, 8, 16))
    assert rows["r-2"] == Row(1.0, at(16), "analyst", "joined", False)
    assert {name: counts[name] for name in ("answers", "joined", "assumed", "waiting")} == {
        "answers": 3,
        "joined": 1,
        "assumed": 0,
        "waiting": 2,
    }
    assert {name: counts[name] for name in ("feedback", "used", "superseded", "repeated", "unmatched")} == {
        "feedback": 5,
        "used": 1,
        "superseded": 2,
        "repeated": 1,
        "unmatched": 1,
    }
    _, rows = after(date(2018, 8, 20))
    assert (rows["r-1"], rows["r-3"]) == (nothing, nothing)
    counts, _ = after(date(2018, 8, 25))
    assert counts["days"] == [], "nothing is new, and nothing waits"
    counts, rows = after(date(2018, 10, 12))
    assert counts["days"] == ["2018-08-13"]
    assert rows["r-1"] == Row(1.0, october, "chargeback", "joined", False)

    def known_before(ms: int) -> dict[str, Row]:
        return {key[0]: row for key, row in found_in(lake, "fraud", ms).items()}

    assert known_before(at(16, 0) - 1) == {}, "the first join is of what was known before the 16th"
    assert (
        known_before(at(16, 0))["r-2"] == known_before(at(16, 23))["r-2"] == Row(0.0, at(15), "analyst", "joined", True)
    )
    assert known_before(at(17, 0))["r-2"] == Row(1.0, at(16), "analyst", "joined", False)
    assert known_before(at(17, 0))["r-1"] == waits and known_before(at(21, 0))["r-1"] == nothing
    assert known_before(october)["r-1"] == nothing and known_before(october + DAY_MS)["r-1"] == rows["r-1"]
