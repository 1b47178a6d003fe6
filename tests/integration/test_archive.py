"""Kafka to the lake on a real broker: nothing lost, nothing twice, a rerun replaces, a gap is an error."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from jobs.spark import offsets
from jobs.spark.archive_day import archive_day
from jobs.spark.archive_events import archive
from lamina.contracts.fraud_decisions import PREDICTIONS, Decision, served_of
from lamina.contracts.served import Served
from lamina.contracts.topics import DEAD_LETTERS
from lamina.contracts.transactions import TRANSACTIONS, Transaction
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from lamina.errors import ArchiveFailed, OffsetsLost, StreamError
from lamina.lake.schemas import json_columns
from lamina.quality.standing import standing
from lamina.settings import Settings, load_settings
from lamina.streams import dead_letters
from lamina.streams.produce import EventProducer
from lamina.streams.topics import create_topics
from tests.parity.generated import generate

MONDAY, TUESDAY, WEDNESDAY = date(2018, 8, 20), date(2018, 8, 21), date(2018, 8, 22)
BROKEN = (b"{broken", b'{"transaction_id": 7}', b"")
RECORDED = Path(__file__).parent.parent / "data" / "events"


@pytest.fixture
def settings(kafka: str, topic_prefix: str, tmp_path: Path) -> Settings:
    create_topics(kafka, topic_prefix)
    return load_settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix, lake_url=str(tmp_path / "lake"))


@pytest.fixture
def session(spark: SparkSession) -> Callable[[], SparkSession]:
    return lambda: spark


def _events(seed: int, n: int) -> list[Transaction]:
    found = [Transaction.model_validate(e) for e in generate(seed, n=n).transactions]
    return [e.model_copy(update={"transaction_id": f"{seed}-{e.transaction_id}"}) for e in found]


def _send(settings: Settings, events: list[Transaction], broken: tuple[bytes, ...] = ()) -> None:
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for event in events:
            producer.send(TRANSACTIONS, event)
        for raw in broken:
            producer.send_bytes(TRANSACTIONS, b"u1", raw)


def _rows(settings: Settings, day: date) -> list[dict[str, object]]:
    table = ds.dataset(offsets.folder(settings.lake_url, TRANSACTIONS, day).removeprefix("file://")).to_table()
    return table.sort_by([("partition", "ascending"), ("offset", "ascending")]).to_pylist()  # type: ignore[no-any-return]


def _without_place(rows: list[dict[str, object]]) -> list[bytes]:
    return sorted(orjson.dumps({k: v for k, v in r.items() if k not in ("partition", "offset")}) for r in rows)


def test_every_message_is_archived_or_dead(settings: Settings, session: Callable[[], SparkSession]) -> None:
    sent = _events(1, 300)
    _send(settings, sent, BROKEN)
    counts = archive(session, settings, TRANSACTIONS, MONDAY, clock=lambda: 1_534_800_000_000)
    assert (counts["read"], counts["archived"], counts["dead"]) == (len(sent) + 3, len(sent), 3)
    assert counts["without_message"] == counts["lost"] == 0
    assert _without_place(_rows(settings, MONDAY)) == sorted(orjson.dumps(e.model_dump()) for e in sent)

    letters = list(dead_letters.read(settings.kafka_bootstrap, settings.topic_prefix))
    assert sorted(base64.b64decode(letter.raw) for letter in letters) == sorted(BROKEN)
    archived = {(r["partition"], r["offset"]) for r in _rows(settings, MONDAY)}
    everywhere = {(p, o) for p, (start, end) in counts["offsets"].items() for o in range(start, end)}
    assert {(str(p), o) for p, o in archived} | {(str(x.partition), x.offset) for x in letters} == everywhere

    # A rerun reads the same messages, although there are more by now; the next day begins where this one ended.
    later = _events(2, 50)
    _send(settings, later)
    before = _rows(settings, MONDAY)
    again = archive(session, settings, TRANSACTIONS, MONDAY)
    assert again["offsets"] == counts["offsets"]
    assert _rows(settings, MONDAY) == before
    assert len(list(dead_letters.read(settings.kafka_bootstrap, settings.topic_prefix))) == 3
    next_day = archive(session, settings, TRANSACTIONS, TUESDAY)
    assert (next_day["archived"], next_day["dead"]) == (len(later), 0)
    assert _without_place(_rows(settings, TUESDAY)) == sorted(orjson.dumps(e.model_dump()) for e in later)

    # A day that was skipped lies between two archived ones and can hold nothing; no session is asked for.
    def no_session() -> SparkSession:
        raise AssertionError("nothing is to be read")

    empty = archive(no_session, settings, TRANSACTIONS, WEDNESDAY)
    assert empty["archived"] == 0
    assert _rows(settings, WEDNESDAY) == []


def test_deleted_messages_are_an_error_that_names_them(settings: Settings, session: Callable[[], SparkSession]) -> None:
    from kafka import KafkaAdminClient, TopicPartition

    _send(settings, _events(3, 100))
    first = archive(session, settings, TRANSACTIONS, MONDAY)
    _send(settings, _events(4, 100))
    name = settings.topic_prefix + TRANSACTIONS
    end = {int(p): ends[1] for p, ends in first["offsets"].items()}
    partition = max(end, key=lambda p: end[p])
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.delete_records({TopicPartition(name, partition): end[partition] + 2})
    admin.close()

    rows = _rows(settings, MONDAY)
    with pytest.raises(OffsetsLost, match="left as it is"):
        archive(session, settings, TRANSACTIONS, MONDAY, allow_gap=True)
    assert _rows(settings, MONDAY) == rows
    gone = f"partition {partition}: offsets {end[partition]} to {end[partition] + 1}"
    with pytest.raises(OffsetsLost, match=gone):
        archive(session, settings, TRANSACTIONS, TUESDAY)
    counts = archive(session, settings, TRANSACTIONS, TUESDAY, allow_gap=True)
    assert counts["lost"] == 2
    assert counts["lost_offsets"] == {str(partition): [end[partition], end[partition] + 2]}
    assert counts["archived"] == len(_rows(settings, TUESDAY)) == len(_events(4, 100)) - 2


def test_a_decision_comes_back_as_it_was(settings: Settings, session: Callable[[], SparkSession]) -> None:
    """Also one that is on the topic as the version before logged it."""
    older = Decision.from_json((RECORDED / "decision-v3.json").read_bytes())
    newer = served_of(older.model_copy(update={"request_id": "r-2"}))
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        producer.send(PREDICTIONS, older)
        producer.send(PREDICTIONS, newer)
    counts = archive(session, settings, PREDICTIONS, MONDAY)
    assert counts["archived"] == 2
    rows = ds.dataset(offsets.folder(settings.lake_url, PREDICTIONS, MONDAY)).to_table().to_pylist()
    found = []
    for row in rows:
        own = {name: orjson.loads(v) if name in json_columns(Served) else v for name, v in row.items()}
        found.append(Served.model_validate({k: v for k, v in own.items() if k not in ("partition", "offset")}))
    assert sorted(found, key=lambda served: served.request_id) == [served_of(older), newer]


def test_user_events_are_archived_as_they_are(settings: Settings, session: Callable[[], SparkSession]) -> None:
    bought = UserEvent.from_json((RECORDED / "user_event-v1.json").read_bytes())
    viewed = {"event_type": "page_view", "purchase_id": None, "purchase_amount": None, "event_id": "e-2"}
    events = [bought, bought.model_copy(update=viewed)]
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for event in events:
            producer.send(USER_EVENTS, event)
    counts = archive(session, settings, USER_EVENTS, MONDAY)
    assert (counts["archived"], counts["dead"]) == (2, 0)
    rows = ds.dataset(offsets.folder(settings.lake_url, USER_EVENTS, MONDAY)).to_table().to_pylist()
    assert _without_place(rows) == sorted(event.to_json() for event in events)


def test_topics_of_one_session_come_out_each_by_itself(settings: Settings, session: Callable[[], SparkSession]) -> None:
    """One topic is gone, one holds nothing but rubbish; the third is archived, checked and may be used."""
    from kafka import KafkaAdminClient

    sent = [Transaction.model_validate(e) for e in generate(5, n=50, days=1, strained=False).transactions]
    start = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC).timestamp() * 1000
    _send(settings, [e.model_copy(update={"timestamp": int(start) + i}) for i, e in enumerate(sent)])
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for i in range(10):
            producer.send_bytes(USER_EVENTS, b"u1", b"{broken %d" % i)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.delete_topics([settings.topic_prefix + PREDICTIONS])
    admin.close()
    topics = (PREDICTIONS, USER_EVENTS, TRANSACTIONS)
    with pytest.raises(ArchiveFailed, match="2 of 3 topics hold up") as failure:
        archive_day(session, settings, topics, MONDAY)
    gone, rubbish, good = (standing(settings.lake_url, topic, MONDAY) for topic in topics)
    assert f"{PREDICTIONS} was not archived: {gone.problem}" in str(failure.value)
    assert settings.topic_prefix + PREDICTIONS in gone.problem
    assert (gone.is_lasting, rubbish.is_lasting) == (False, True)
    assert "10 of 10 messages" in str(failure.value)
    assert (good.verdict, len(_rows(settings, MONDAY))) == ("passed", len(sent))

    # It is there again: the day is archived, and nothing is left of what was said before.
    create_topics(settings.kafka_bootstrap, settings.topic_prefix)
    counts: list[dict[str, object]] = []
    archive_day(session, settings, (PREDICTIONS, TRANSACTIONS), MONDAY, tell=counts.append)
    assert standing(settings.lake_url, PREDICTIONS, MONDAY).complaint == ""
    assert [c["job"] for c in counts] == ["archive_events", "quality"] * 2
    assert len(_rows(settings, MONDAY)) == len(sent)


def test_rubbish_is_stopped_however_often_its_day_is_archived(
    settings: Settings, session: Callable[[], SparkSession]
) -> None:
    """As by the second try of a driver that was killed, or taken for dead; the day after holds nothing of it."""
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for i in range(10):
            producer.send_bytes(USER_EVENTS, b"u1", b"{broken %d" % i)
    for _ in range(2):
        with pytest.raises(ArchiveFailed, match="10 of 10 messages"):
            archive_day(session, settings, [USER_EVENTS], MONDAY)
        assert standing(settings.lake_url, USER_EVENTS, MONDAY).verdict == "failed"
    counts = archive(session, settings, USER_EVENTS, MONDAY)
    assert (counts["read"], counts["dead"]) == (10, 10)
    assert standing(settings.lake_url, USER_EVENTS, MONDAY).verdict is None
    with pytest.raises(ArchiveFailed, match="10 of 10 messages"):
        archive_day(session, settings, [USER_EVENTS], MONDAY)
    archive_day(session, settings, [USER_EVENTS], TUESDAY)
    assert standing(settings.lake_url, USER_EVENTS, TUESDAY).verdict == "empty"


def test_letters_that_are_good_by_now_are_sent_again(settings: Settings) -> None:
    good = Transaction.from_json((RECORDED / "transaction-v1.json").read_bytes())
    place = {"partition": 0, "at_ms": 1_534_800_000_000}
    letters = [
        dead_letters.make_letter(TRANSACTIONS, offset=1, reason="was too strict", raw=good.to_json(), **place),
        dead_letters.make_letter(TRANSACTIONS, offset=2, reason="Invalid JSON", raw=b"{broken", **place),
        dead_letters.make_letter("unknown", offset=3, reason="of nobody", raw=b"{}", **place),
    ]
    assert dead_letters.write(settings.kafka_bootstrap, settings.topic_prefix, [*letters, letters[0]]) == 4
    report = dead_letters.replay(settings.kafka_bootstrap, settings.topic_prefix)
    assert (report.read, report.sent, report.still_dead, report.unknown) == (3, 1, 1, 1)
    _, latest = offsets.held(settings.kafka_bootstrap, settings.topic_prefix + TRANSACTIONS)
    assert sum(latest.values()) == 1


def test_a_topic_that_is_not_there_is_named(kafka: str, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="never-made-dead-letters"):
        list(dead_letters.read(kafka, "never-made-"))
    with pytest.raises(StreamError, match="never-made-transactions"):
        offsets.held(kafka, "never-made-transactions")


def test_topics_are_created_once(kafka: str, topic_prefix: str) -> None:
    made = create_topics(kafka, topic_prefix)
    assert topic_prefix + DEAD_LETTERS in made
    assert create_topics(kafka, topic_prefix) == []
