"""What is said of answers: whose word it is, which answer it names, once however often it comes, each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client import REGISTRY

from lamina.contracts.feedback import MODEL_FEEDBACK, MOST_EVENTS, Feedback
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.systems import System
from lamina.definitions import record
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.routes.feedback import BOUGHT, REJECTED, feedback_router
from serving.stages.log import Outgoing
from serving.taken_feedback import FeedbackReader
from tests.unit.serving.guarded import post_guarded
from tests.unit.serving.systems.fraud.test_labels import KEYS, written

NOW_MS = 1_735_700_000_000
CARD = "4000001234567899"


class Log:
    """An event log that remembers."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Remember it."""
        self.published.append(Outgoing(topic, key, value))

    def publish_all(self, outgoing: Sequence[Outgoing]) -> None:
        """Remember all."""
        self.published += outgoing

    @property
    def events(self) -> list[Feedback]:
        """What was published."""
        assert {each.topic for each in self.published} <= {MODEL_FEEDBACK}
        return [Feedback.from_json(each.value) for each in self.published]


@pytest.fixture
def log() -> Log:
    return Log()


def post(
    log: Log,
    body: Any,
    path: str = "/feedback",
    *,
    systems: Mapping[str, System] | None = None,
    keys: Path | None = None,
    key: str = "",
    client: str = "127.0.0.1",
) -> httpx.Response:
    known = systems or {name: record(name) for name in ("fraud", "activity")}
    reader = FeedbackReader(known, Checks(CardNumbers({"user_id"})), lambda: NOW_MS)
    return post_guarded(feedback_router(reader, cast(Any, log)), path, body, keys=keys, key=key, client=client)


def counted() -> float:
    """How many requests with feedback have counted as answered well."""
    return REGISTRY.get_sample_value("requests_taken_total", {"topic": MODEL_FEEDBACK}) or 0.0


def wrong(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(each["field"], each["message"]) for each in answer.json()["details"]]


def test_a_clock_may_be_five_minutes_ahead(log: Log) -> None:
    assert post(log, REJECTED | {"timestamp": NOW_MS + 300_000}).status_code == 202


def test_what_is_said_is_published_and_accepted(log: Log) -> None:
    before = counted()
    answer = post(log, REJECTED)
    assert counted() == before + 1
    assert (answer.status_code, answer.json()) == (202, {"accepted": "case-0007"})
    (event,) = log.events
    assert (event.system, event.event_id, event.action, event.author) == ("fraud", "txn-0001", "reject", "ann")
    assert (event.timestamp, event.subjects, event.client) == (REJECTED["timestamp"], {}, None)
    assert log.published[0].key == "txn-0001"


def test_user_and_item_are_subjects_by_the_names_of_their_entities(log: Log) -> None:
    assert post(log, BOUGHT).status_code == 202
    assert log.events[0].subjects == {"shopper": "user-00000153", "item": "item-0000018"}
    # Fraud has no item: its other entity is what the user acts on.
    told = {key: value for key, value in REJECTED.items() if key != "event_id"} | {"user_id": "u", "item_id": "m"}
    assert post(log, told).status_code == 202
    assert log.events[1].subjects == {"user": "u", "merchant": "m"}
    assert post(log, told | {"subjects": {"merchant": "m"}}).status_code == 202


def test_the_same_sent_again_has_the_same_id_and_something_else_another(log: Log) -> None:
    first = post(log, BOUGHT).json()["accepted"]
    assert post(log, BOUGHT | {"timestamp": 1735691460000}).json()["accepted"] == first, (
        "the same time, in another form"
    )
    by_entity = {k: v for k, v in BOUGHT.items() if k not in ("user_id", "item_id")}
    by_entity["subjects"] = {"item": "item-0000018", "shopper": "user-00000153"}
    assert post(log, by_entity).json()["accepted"] == first, "the same subjects, named otherwise"
    for change in ({"action": "skip"}, {"timestamp": 1735691460001}, {"item_id": "i"}, {"value": 1.0}):
        assert post(log, BOUGHT | change).json()["accepted"] != first


def test_without_a_time_it_became_known_now_and_has_an_id(log: Log) -> None:
    untimed = {key: value for key, value in REJECTED.items() if key != "timestamp"}
    assert post(log, untimed).status_code == 202
    assert log.events[0].timestamp == NOW_MS
    answer = post(log, {key: value for key, value in untimed.items() if key != "feedback_id"})
    assert answer.status_code == 422
    assert wrong(answer) == [
        ("timestamp", "give it, or a feedback_id: else the same event sent again would count twice")
    ]


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"system": "parking"}, "system", "there are activity, fraud"),
        ({"source": "shop"}, "source", "system fraud knows chargeback, analyst, customer, simulator"),
        ({"action": "click"}, "action", "system fraud knows fraud, reject, honest, approve"),
        ({"action": None}, "action", "system fraud knows"),
        ({"event_id": None}, "request_id", "nothing says which answer it is about"),
        ({"subjects": {"item": "i"}}, "subjects", "system fraud has user, merchant, and not item"),
        ({"subjects": {"user": "a"}, "user_id": "b"}, "user_id", "is another one in subjects"),
        ({"subjects": {"user": ""}}, "subjects.user", "at least 1"),
        ({"timestamp": 5}, "timestamp", "milliseconds"),
        ({"timestamp": NOW_MS + 300_001}, "timestamp", "future"),
        ({"value": "much"}, "value", "valid number"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"author": CARD}, "author", "looks like a card number"),
        ({"user_id": CARD}, "user_id", "looks like a card number"),
        ({"subjects": {"user": CARD}}, "user_id", "looks like a card number"),
    ],
)
def test_bad_input_names_the_field_and_nothing_is_published(
    log: Log, change: dict[str, Any], field: str, says: str
) -> None:
    for path, body, place in (
        ("/feedback", REJECTED | change, ""),
        ("/feedback/batch", [REJECTED | change], "0."),
    ):
        answer = post(log, body, path)
        assert answer.status_code == 422, answer.text
        ((found, message),) = wrong(answer)
        assert found == place + field and says in message
        assert CARD not in answer.text
    assert not log.published


def test_a_reward_needs_its_value_and_a_system_that_takes_feedback(log: Log) -> None:
    activity = record("activity")
    reward = FeedbackLabel(order=("shop",), within=activity.learnt_label.delay, reward=True)
    unlearnt = replace(activity, features=replace(activity.features, model_features=()), label=None)
    systems = {"activity": replace(unlearnt, feedback=reward), "fraud": replace(record("fraud"), feedback=None)}
    ((field, message),) = wrong(post(log, BOUGHT | {"value": None}, systems=systems))
    assert field == "value" and "is a reward" in message
    assert post(log, BOUGHT | {"action": "watch"}, systems=systems).status_code == 202
    ((field, message),) = wrong(post(log, REJECTED, systems=systems))
    assert field == "system" and "takes no feedback" in message


@pytest.mark.parametrize(
    ("key", "may"),
    [("bank", {"chargeback"}), ("office", {"analyst", "customer"}), ("plain", {"customer"}), ("admin", None)],
)
def test_a_key_speaks_for_its_sources_alone(tmp_path: Path, log: Log, key: str, may: set[str] | None) -> None:
    keys = written(tmp_path, KEYS)
    for source in record("fraud").feedback_sources:
        answer = post(log, REJECTED | {"source": source}, keys=keys, key=key)
        if may is None or source in may:
            assert answer.status_code == 202
        else:
            assert (answer.status_code, wrong(answer)[0][0]) == (403, "source")
    assert {event.client for event in log.events} == {key}
    assert post(log, REJECTED, keys=keys, key="nobody").status_code == 401


def test_without_keys_only_this_machine_may_say_something(log: Log) -> None:
    assert post(log, REJECTED, client="10.0.0.9").status_code == 403
    assert post(log, REJECTED).status_code == 202


def test_of_a_batch_what_is_right_is_published_and_the_rest_told_by_its_place(tmp_path: Path, log: Log) -> None:
    keys = written(tmp_path, KEYS)
    batch = [
        REJECTED,
        BOUGHT | {"action": "clik"},
        7,
        REJECTED | {"source": "chargeback"},
        REJECTED | {"feedback_id": "b"},
    ]
    before = counted()
    answer = post(log, batch, "/feedback/batch", keys=keys, key="office")
    assert answer.status_code == 202 and counted() == before + 1, "it is one request"
    found = answer.json()
    assert (found["accepted"], found["refused"]) == (2, 3)
    assert [each["place"] for each in found["events"]] == [0, 1, 2, 3, 4]
    assert [each["accepted"] for each in found["events"]] == ["case-0007", None, None, None, "b"]
    assert [each["field"] for each in found["events"]] == [None, "source", "(whole event)", "source", None]
    assert [event.feedback_id for event in log.events] == ["case-0007", "b"]


@pytest.mark.parametrize("many", [0, MOST_EVENTS + 1])
def test_a_batch_has_a_size(log: Log, many: int) -> None:
    before = counted()
    assert post(log, [REJECTED] * many, "/feedback/batch").status_code == 422
    assert not log.published and counted() == before


def test_a_full_batch_is_one_write(log: Log) -> None:
    batch = [REJECTED | {"feedback_id": f"f-{i}"} for i in range(MOST_EVENTS)]
    assert post(log, batch, "/feedback/batch").json()["accepted"] == MOST_EVENTS
