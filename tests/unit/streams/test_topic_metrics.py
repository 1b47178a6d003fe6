"""What the sink tells of the topics, on a Kafka that is made up."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from lamina.streams.topic_metrics import KEPT_S, Reader, TopicCollector, TopicState, look_at


def _answered(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Admin:
    """Two topics of two partitions each; `job` has committed in one of `p-sales`."""

    def list_topics(self, timeout: float) -> Any:
        topic = SimpleNamespace(partitions={0: None, 1: None})
        return SimpleNamespace(topics={"p-sales": topic, "p-dead-letters": topic, "other": topic})

    def list_offsets(self, asked: Any, request_timeout: float) -> Any:
        ends = {("p-sales", 0): 100, ("p-sales", 1): 50, ("p-dead-letters", 0): 2, ("p-dead-letters", 1): 1}
        latest = {place: which._value == -1 for place, which in asked.items()}
        return {
            place: _answered(SimpleNamespace(offset=ends[place.topic, place.partition] if latest[place] else 20))
            for place in asked
        }

    def list_consumer_group_offsets(self, asked: Any, request_timeout: float) -> Any:
        (group,) = asked
        assert group.group_id == "p-job"
        places = [
            SimpleNamespace(topic="p-sales", partition=0, offset=97),
            SimpleNamespace(topic="p-sales", partition=1, offset=-1001),
            SimpleNamespace(topic="other", partition=0, offset=1),
        ]
        return {"p-job": _answered(SimpleNamespace(topic_partitions=places))}


def test_what_came_and_what_was_not_read_is_told_by_topic() -> None:
    admin: Any = Admin()
    found = look_at(admin, "p-", ["sales", "dead-letters", "not-there"], [Reader("shop", "p-job", ("sales",))])
    assert found.messages == {"sales": 150, "dead-letters": 3}
    # Of the partition in which nothing was committed: all that it still holds, from offset 20 on.
    assert found.unread == {("shop", "sales"): 3 + 30}


def test_a_job_ahead_of_what_was_looked_at_lags_by_nothing() -> None:
    admin: Any = Admin()
    admin.list_offsets = lambda asked, request_timeout: {
        place: _answered(SimpleNamespace(offset=10)) for place in asked
    }
    found = look_at(admin, "p-", ["sales"], [Reader("shop", "p-job", ("sales",))])
    assert found.unread == {("shop", "sales"): 0}


def told(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_kafka_is_asked_when_somebody_scrapes_and_not_for_every_scrape() -> None:
    asked, now = [], [100.0]

    def look() -> TopicState:
        asked.append(now[0])
        return TopicState({"sales": len(asked)}, {("shop", "sales"): 7})

    registry = CollectorRegistry()
    registry.register(TopicCollector(look, lambda: now[0]))
    assert asked == []
    for later in (0.0, KEPT_S - 0.1, KEPT_S):
        now[0] = 100.0 + later
        last = told(registry)
    assert asked == [100.0, 100.0 + KEPT_S]
    assert last == {
        "lamina_kafka_up": 1,
        'lamina_topic_messages_total{topic="sales"}': 2,
        'lamina_stream_lag_messages{system="shop",topic="sales"}': 7,
    }


def test_a_kafka_that_does_not_answer_is_told_and_nothing_old_beside() -> None:
    now = [0.0]
    answers = [TopicState({"sales": 1}, {}), None, TopicState({"sales": 3}, {})]

    def look() -> TopicState:
        found = answers.pop(0)
        if found is None:
            raise OSError("nobody there")
        return found

    registry = CollectorRegistry()
    registry.register(TopicCollector(look, lambda: now[0]))
    seen = []
    for _ in range(3):
        seen.append(told(registry))
        now[0] += KEPT_S
    assert [each["lamina_kafka_up"] for each in seen] == [1, 0, 1]
    assert [each.get('lamina_topic_messages_total{topic="sales"}') for each in seen] == [1, None, 3]
