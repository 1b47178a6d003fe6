"""`lamina reviews`: what waits, and whether the log is as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.reviews.database import Database, database_url
from lamina.reviews.errors import AuditBroken
from lamina.reviews.queue import ReviewQueue
from tests.contract.review_queue import Time, Untriggered, new_case

RUNNER = CliRunner()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReviewQueue]:
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path))
    queue = ReviewQueue(Database(database_url(None, tmp_path)), Time())
    queue.open([new_case(n) for n in range(3)])
    yield queue
    queue.database.close()


def test_what_waits_is_listed_by_expected_loss(queue: ReviewQueue) -> None:
    queue.take("ann")
    said = RUNNER.invoke(app, ["reviews", "list"]).stdout
    assert said.index("r-2") < said.index("r-1") < said.index("r-0") and "ann" in said


def test_the_check_gives_a_hash_that_a_later_check_takes(queue: ReviewQueue) -> None:
    first = RUNNER.invoke(app, ["reviews", "check"]).stdout.strip()
    assert first.startswith("3 entries")
    known = first.rpartition(" ")[2]
    queue.open([new_case(9)])
    assert RUNNER.invoke(app, ["reviews", "check", "--known", known]).stdout.startswith("4 entries")


def test_a_log_that_was_edited_is_told(queue: ReviewQueue) -> None:
    with Untriggered(queue.database) as connection:
        connection.exec_driver_sql("UPDATE review_audit SET actor = 'eve' WHERE seq = 2")
    found = RUNNER.invoke(app, ["reviews", "check"])
    assert isinstance(found.exception, AuditBroken) and "entry 2" in str(found.exception)
