"""The event log looks for Kafka: topics are made once it answers, and what is wrong is said until it is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from lamina.errors import StreamError
from serving.stages import log as logs
from serving.stages.log import PROBE_TIMEOUT_S
from tests.unit.serving.stages.test_log import Broker, Log, Producer


class Kafka(Producer):
    """Whose list of topics may be asked for."""

    def list_topics(self, timeout: float) -> None:
        assert timeout == PROBE_TIMEOUT_S
        if self.broker.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class Asking(Log):
    """The real log, which asks for topics."""

    _answers = logs.EventLog._answers

    def _make_producer(self) -> Producer:  # type: ignore[override]
        return Kafka(self.broker)


@pytest.fixture
def log(tmp_path: Path) -> Asking:
    found = Asking(tmp_path, Broker(away=True))
    found._producer = found._make_producer()  # type: ignore[assignment]
    found._problem = None
    return found


def test_topics_are_made_once_when_kafka_is_there(log: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setattr(logs, "create_topics", lambda bootstrap, prefix: made.append((bootstrap, prefix)))
    assert not log._answers() and made == []
    assert "Broker transport failure" in (log.problem or "")
    log.broker.away = False
    assert log._answers() and log._answers()
    assert made == [("nowhere", "")]


def test_topics_that_cannot_be_made_are_tried_again(log: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    log.broker.away = False

    def refuses(bootstrap: str, prefix: str) -> None:
        raise StreamError("no rights")

    with monkeypatch.context() as refused:
        refused.setattr(logs, "create_topics", refuses)
        for _ in range(2):
            assert not log._answers() and log.problem == "no rights" and not log._has_topics
    monkeypatch.setattr(logs, "create_topics", lambda bootstrap, prefix: None)
    assert log._answers() and log._has_topics
