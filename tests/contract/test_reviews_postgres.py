from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lamina.reviews.database import database_url
from lamina.reviews.errors import ReviewsUnavailable
from lamina.reviews.queue import ReviewQueue
from tests.contract.review_queue import ReviewQueueContract, new_case
from tests.postgres import postgres, run


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


class TestReviewsInPostgres(ReviewQueueContract):
    @pytest.fixture
    def url(self, server: str) -> sa.URL:
        name = f"d{uuid.uuid4().hex}"
        run(server, f"CREATE DATABASE {name}")
        return database_url(f"{server}/{name}", Path())

    def test_emptying_the_log_is_refused(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        with pytest.raises(ReviewsUnavailable, match="cannot be changed"):
            with queue.database.writing() as connection:
                connection.exec_driver_sql("TRUNCATE review_audit")
