from __future__ import annotations

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from lamina.reviews import reading
from lamina.reviews.database import Database, database_url
from lamina.reviews.errors import ReviewsUnavailable
from lamina.reviews.queue import ReviewQueue
from tests.contract.review_queue import ReviewQueueContract, Time, new_case


class TestReviewsInSqlite(ReviewQueueContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> sa.URL:
        return database_url(None, tmp_path / "made")

    def test_readers_wait_for_no_writer(self, url: sa.URL, time: Time) -> None:
        database = Database(url)
        ReviewQueue(database, time).open([new_case(1)])
        with database.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert reading.counts(database) == {"shop": {"open": 1}}
        database.close()

    def test_replacing_an_entry_is_no_way_around(self, url: sa.URL, time: Time) -> None:
        database = Database(url)
        ReviewQueue(database, time).open([new_case(1)])
        with pytest.raises(ReviewsUnavailable, match="cannot be changed"):
            with database.writing() as connection:
                connection.exec_driver_sql("INSERT OR REPLACE INTO review_audit SELECT * FROM review_audit")
        database.close()

    def test_the_file_is_nobody_elses_to_read(self, url: sa.URL) -> None:
        database = Database(url)
        reading.counts(database)
        database.close()
        assert url.database is not None
        assert stat.S_IMODE(Path(url.database).stat().st_mode) == 0o600


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path))
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE review_version SET version_num = 'r999'")
    database.close()
    with pytest.raises(ReviewsUnavailable, match="newer version"):
        reading.counts(database)


@pytest.mark.parametrize("url", ["hunter2", "mysql://u:hunter2@h/d"])
def test_what_is_no_such_url_is_refused_without_a_word_of_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(ReviewsUnavailable, match="LAMINA_REVIEWS_URL") as caught:
        database_url(url, tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_not_in_what_went_wrong() -> None:
    database = Database(database_url("postgresql://u:hunter2@127.0.0.1:1/d", Path()))
    with pytest.raises(ReviewsUnavailable, match=r"127\.0\.0\.1") as caught:
        reading.counts(database)
    assert "hunter2" not in str(caught.value)
