"""What the review queue promises on any database. A backend's test subclasses it and says where an empty one is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from lamina.reviews import audit, reading
from lamina.reviews.cases import Case, NewCase, Verdict
from lamina.reviews.database import Database
from lamina.reviews.errors import AuditBroken, HeldByAnother, NoSuchCase, ReviewsUnavailable, TooLate
from lamina.reviews.queue import QueueOptions, ReviewQueue
from lamina.reviews.schema import AUDIT, CASES, METADATA, VERDICTS

MINUTE_MS = 60_000


class Time:
    """A clock that stands where it is put, epoch ms."""

    def __init__(self) -> None:
        self.now_ms = 1_735_689_600_000

    def __call__(self) -> int:
        return self.now_ms


def new_case(n: int, *, loss: float | None = None, score: float | None = 0.8, user: str = "u-1") -> NewCase:
    return NewCase(
        system="shop",
        request_id=f"r-{n}",
        event_id=f"e-{n}",
        subjects={"user": user, "item": f"i-{n}"},
        answered_at=1_735_689_500_000 + n,
        score=score,
        expected_loss=float(n) if loss is None else loss,
        uncertainty=0.0 if score is None else 1 - abs(2 * score - 1),
        evidence="{}",
    )


class ReviewQueueContract:
    """Subclasses override the fixture `url`."""

    @pytest.fixture
    def url(self) -> sa.URL:
        raise NotImplementedError

    @pytest.fixture
    def time(self) -> Time:
        return Time()

    @pytest.fixture
    def database(self, url: sa.URL) -> Iterator[Database]:
        database = Database(url)
        yield database
        database.close()

    @pytest.fixture
    def queue(self, database: Database, time: Time) -> ReviewQueue:
        return ReviewQueue(database, time, QueueOptions(teach_share=0.0))

    def test_the_migrations_make_the_tables_that_the_code_reads(self, database: Database) -> None:
        with database.writing() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": "review_version"})
            assert compare_metadata(context, METADATA) == []

    def test_those_that_start_at_once_make_the_tables_once(self, url: sa.URL) -> None:
        both = [Database(url) for _ in range(6)]

        def counted(database: Database) -> dict[str, dict[str, int]]:
            return reading.counts(database)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(counted, both)) == [{}] * 6
        for database in both:
            database.close()

    def test_an_answer_that_comes_again_is_one_case(self, queue: ReviewQueue) -> None:
        assert queue.open([new_case(1), new_case(2), new_case(1)]) == 2
        assert queue.open([new_case(2)]) == 0
        assert reading.counts(queue.database) == {"shop": {"open": 2}}

    def test_payments_under_one_request_id_are_a_case_each(self, queue: ReviewQueue) -> None:
        """The id of a request is the client's: a gateway gives several payments the same."""
        first, second = new_case(1), replace(new_case(2), request_id="r-1")
        assert queue.open([first, second]) == 2
        assert queue.open([second, first]) == 0
        assert sorted(str(case.event_id) for case in reading.waiting(queue.database)) == ["e-1", "e-2"]

    def test_a_payment_that_is_asked_about_again_is_no_second_case(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        assert queue.open([replace(new_case(2), event_id="e-1")]) == 0
        assert queue.open([replace(new_case(2), event_id="e-1", system="another")]) == 1

    def test_without_an_event_it_is_one_case_a_request(self, queue: ReviewQueue) -> None:
        nameless = replace(new_case(1), event_id=None)
        assert queue.open([new_case(1), nameless, nameless]) == 2
        assert queue.open([replace(nameless, request_id="r-2"), nameless]) == 1

    @pytest.mark.parametrize("event_id", ["e-1", None])
    def test_the_database_has_one_case_of_it(self, queue: ReviewQueue, event_id: str | None) -> None:
        """Whatever the code does."""
        queue.open([replace(new_case(1), event_id=event_id)])
        with pytest.raises(ReviewsUnavailable):
            with queue.database.writing() as connection:
                row = {**vars(new_case(1)), "event_id": event_id, "opened_at": 1, "state": "open"}
                del row["subjects"]
                connection.execute(CASES.insert().values(row))

    def test_up_to_where_a_topic_was_read_is_committed_with_the_cases(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)], {("topic-a", 0): 5, ("topic-a", 3): 7})
        queue.open([], {("topic-a", 0): 6})
        queue.open([], {("topic-a", 0): 4})
        assert queue.read_up_to("topic-a") == {0: 6, 3: 7}
        assert queue.read_up_to("topic-b") == {}

    def test_what_cannot_be_written_moves_no_offset(self, queue: ReviewQueue) -> None:
        broken = new_case(1)
        object.__setattr__(broken, "expected_loss", None)
        with pytest.raises(ReviewsUnavailable):
            queue.open([new_case(2), broken], {("topic-a", 0): 5})
        assert queue.read_up_to("topic-a") == {} and reading.counts(queue.database) == {}

    def test_the_largest_expected_loss_comes_first(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1), new_case(3), new_case(2)])
        assert [case.request_id for case in reading.waiting(queue.database)] == ["r-3", "r-2", "r-1"]
        taken = queue.take("ann")
        assert taken is not None
        assert (taken.request_id, taken.holder) == ("r-3", "ann")
        assert list(taken.subjects.items()) == [("user", "u-1"), ("item", "i-3")], "in the order of the answer"

    def test_who_asks_again_has_the_case_that_he_has(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1), new_case(2)])
        first, again, other = queue.take("ann"), queue.take("ann"), queue.take("bob")
        assert first and again and other
        assert (first.case_id, first.request_id) == (again.case_id, "r-2") and other.request_id == "r-1"
        assert queue.take("eve") is None

    def test_a_lease_ends_by_time(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        time.now_ms += queue.options.lease_ms - 1
        assert queue.take("bob") is None
        with pytest.raises(HeldByAnother, match="ann works on case"):
            queue.take_case("bob", mine.case_id)
        time.now_ms += 1
        assert taken(queue, "bob").case_id == mine.case_id
        with pytest.raises(HeldByAnother, match="not yours"):
            queue.decide("ann", mine.case_id, "approve")
        assert queue.decide("bob", mine.case_id, "reject").author == "bob"

    def test_a_lease_is_longer_for_who_opens_his_case_again(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        time.now_ms += queue.options.lease_ms - 1
        queue.take_case("ann", mine.case_id)
        time.now_ms += 2
        assert queue.take("bob") is None

    def test_what_is_given_back_is_for_others(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        queue.give_back("bob", mine.case_id)
        assert queue.take("bob") is None
        queue.give_back("ann", mine.case_id)
        assert taken(queue, "bob").case_id == mine.case_id

    def test_two_never_get_one_case(self, url: sa.URL, queue: ReviewQueue) -> None:
        """Eight analysts at once, each with connections of his own: every case goes to one of them."""
        queue.open([new_case(n) for n in range(40)])
        start = threading.Barrier(8)

        def work(analyst: str) -> list[int]:
            database = Database(url)
            mine, decided = ReviewQueue(database, queue.clock, queue.options), []
            start.wait()
            while (case := mine.take(analyst)) is not None:
                mine.decide(analyst, case.case_id, "approve")
                decided.append(case.case_id)
            database.close()
            return decided

        with ThreadPoolExecutor(8) as pool:
            found = [each for cases in pool.map(work, [f"a-{n}" for n in range(8)]) for each in cases]
        assert len(found) == len(set(found)) == 40
        assert reading.counts(queue.database) == {"shop": {"decided": 40}}
        assert audit.check(queue.database)[0] == 40 * 3

    def test_two_that_want_one_case_by_its_number(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        start = threading.Barrier(2)

        def want(analyst: str) -> str | None:
            start.wait()
            try:
                return queue.take_case(analyst, 1).holder
            except HeldByAnother:
                return None

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(want, ["ann", "bob"]))
        assert found.count(None) == 1

    def test_a_verdict_said_twice_is_one(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        first = queue.decide("ann", mine.case_id, "reject", "  a gift card  ")
        assert queue.decide("ann", mine.case_id, "reject") == first
        assert first.note == "a gift card"
        with pytest.raises(HeldByAnother, match="decided"):
            queue.decide("ann", mine.case_id, "approve")
        with pytest.raises(HeldByAnother):
            queue.decide("bob", mine.case_id, "reject")

    def test_who_has_not_taken_a_case_decides_nothing(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        with pytest.raises(HeldByAnother):
            queue.decide("ann", 1, "approve")
        with pytest.raises(NoSuchCase):
            queue.decide("ann", 99, "approve")

    def test_undo_within_its_time(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        queue.decide("ann", mine.case_id, "reject")
        time.now_ms += queue.options.undo_ms - 1
        with pytest.raises(HeldByAnother):
            queue.undo("bob", mine.case_id)
        back = queue.undo("ann", mine.case_id)
        assert (back.state, back.holder) == ("open", "ann")
        queue.decide("ann", mine.case_id, "approve")
        time.now_ms += queue.options.undo_ms
        with pytest.raises(TooLate):
            queue.undo("ann", mine.case_id)
        assert published(queue) == [("r-1", "approve", "ann")]

    def test_nothing_is_published_before_and_nothing_twice(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1), new_case(2)])
        for verdict in ("reject", "approve"):
            queue.decide("ann", taken(queue, "ann").case_id, verdict)
        time.now_ms += queue.options.undo_ms - 1
        assert published(queue) == []
        time.now_ms += 1
        assert published(queue) == [("r-2", "reject", "ann"), ("r-1", "approve", "ann")]
        assert published(queue) == []

    def test_what_could_not_be_sent_is_sent_later(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        queue.decide("ann", taken(queue, "ann").case_id, "reject")
        time.now_ms += MINUTE_MS

        def fails(case: Case, verdict: Verdict) -> None:
            raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            queue.publish(fails, ["shop"])
        assert published(queue) == [("r-1", "reject", "ann")]

    def test_two_publishers_send_each_label_once(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(n) for n in range(10)])
        for _ in range(10):
            queue.decide("ann", taken(queue, "ann").case_id, "reject")
        time.now_ms += MINUTE_MS
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: published(queue), range(2)))
        assert sorted(len(each) for each in both) == [0, 10]

    def test_what_is_escalated_is_for_a_senior(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1), new_case(2)])
        mine = taken(queue, "ann")
        queue.decide("ann", mine.case_id, "escalate", "see the address")
        assert taken(queue, "bob").request_id == "r-1"
        with pytest.raises(HeldByAnother, match="escalated"):
            queue.take_case("ann", mine.case_id)
        boss = queue.take("boss", senior=True)
        assert boss and boss.case_id == mine.case_id
        queue.decide("boss", mine.case_id, "reject", senior=True)
        time.now_ms += MINUTE_MS
        assert published(queue) == [("r-2", "reject", "boss")]

    def test_what_is_escalated_is_no_label(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        queue.decide("ann", taken(queue, "ann").case_id, "escalate")
        time.now_ms += MINUTE_MS
        assert published(queue) == []

    def test_an_undone_verdict_of_a_senior_leaves_the_case_escalated(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        queue.decide("ann", taken(queue, "ann").case_id, "escalate")
        queue.take("boss", senior=True)
        queue.decide("boss", 1, "reject", senior=True)
        assert queue.undo("boss", 1).state == "escalated"

    def test_a_share_is_chosen_by_what_a_label_would_teach(self, database: Database, time: Time) -> None:
        """Drawn by the number of the entry: who reads the log can make every draw again."""
        queue = ReviewQueue(database, time, QueueOptions(teach_share=0.3, seed="s"))
        queue.open([new_case(n, loss=100 - n, score=0.5 + n / 200) for n in range(100)])
        by = []
        for _ in range(60):
            before = {case.case_id: case for case in reading.waiting(database, most=200)}
            case = taken(queue, "ann")
            entry = audit.entries(database, case_id=case.case_id)[0]
            chosen = queue.chosen_by(entry.seq)
            best = max(before.values(), key=lambda each, chosen=chosen: getattr(each, chosen))  # type: ignore[misc]
            assert getattr(case, chosen) == getattr(best, chosen)
            assert f'"by": "{chosen}"' in entry.detail and f'"draw": {entry.seq}' in entry.detail
            by.append(chosen)
            queue.decide("ann", case.case_id, "approve")
        assert 8 <= by.count("uncertainty") <= 28

    def test_similar_cases_are_those_that_were_decided_of_the_same_subject(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1), new_case(2), new_case(3, user="u-2"), new_case(4)])
        for n in (1, 3):
            queue.take_case("ann", n)
            queue.decide("ann", n, "reject")
        found = reading.similar(queue.database, reading.case(queue.database, 4))
        assert [(case.request_id, case.verdicts[0].verdict) for case in found] == [("r-1", "reject")]
        assert [case.request_id for case in reading.decided_by(queue.database, "ann")] == ["r-3", "r-1"]

    def test_every_step_is_in_the_log(self, queue: ReviewQueue, time: Time) -> None:
        queue.open([new_case(1)])
        mine = taken(queue, "ann")
        queue.decide("ann", mine.case_id, "approve")
        queue.undo("ann", mine.case_id)
        queue.decide("ann", mine.case_id, "reject")
        time.now_ms += MINUTE_MS
        published(queue)
        found = [(entry.actor, entry.action) for entry in reversed(audit.entries(queue.database))]
        assert found == [
            ("lamina", "open"),
            ("ann", "take"),
            ("ann", "approve"),
            ("ann", "undo"),
            ("ann", "take"),
            ("ann", "reject"),
            ("lamina", "publish"),
        ]
        assert audit.check(queue.database)[0] == 7

    @pytest.mark.parametrize("change", [AUDIT.update().values(actor="eve"), AUDIT.delete()], ids=["update", "delete"])
    def test_the_database_refuses_to_change_the_log(self, queue: ReviewQueue, change: sa.Executable) -> None:
        queue.open([new_case(1)])
        with pytest.raises(ReviewsUnavailable, match="audit log of reviews cannot be changed"):
            with queue.database.writing() as connection:
                connection.execute(change)
        assert audit.check(queue.database)[0] == 1

    def test_a_changed_entry_is_found(self, queue: ReviewQueue) -> None:
        queue.open([new_case(n) for n in range(5)])
        with self.without_triggers(queue.database) as connection:
            connection.execute(AUDIT.update().where(AUDIT.c.seq == 3).values(actor="eve"))
        with pytest.raises(AuditBroken, match="entry 3 "):
            audit.check(queue.database)

    def test_a_missing_entry_is_found(self, queue: ReviewQueue) -> None:
        queue.open([new_case(n) for n in range(5)])
        with self.without_triggers(queue.database) as connection:
            connection.execute(AUDIT.delete().where(AUDIT.c.seq == 2))
        with pytest.raises(AuditBroken, match=r"entry 2 .*missing"):
            audit.check(queue.database)

    def test_a_removed_end_is_found_by_who_kept_the_newest_hash(self, queue: ReviewQueue) -> None:
        queue.open([new_case(n) for n in range(5)])
        _, newest = audit.check(queue.database)
        queue.open([new_case(6)])
        assert audit.check(queue.database, newest)[0] == 6
        with self.without_triggers(queue.database) as connection:
            connection.execute(AUDIT.delete().where(AUDIT.c.seq >= 5))
        assert audit.check(queue.database)[0] == 4
        with pytest.raises(AuditBroken, match="end was removed"):
            audit.check(queue.database, newest)

    def test_the_database_has_one_verdict_that_stands(self, queue: ReviewQueue) -> None:
        queue.open([new_case(1)])
        queue.decide("ann", taken(queue, "ann").case_id, "approve")
        with pytest.raises(ReviewsUnavailable):
            with queue.database.writing() as connection:
                row = dict(case_id=1, verdict="reject", author="eve", at_ms=1, note="", before="open", publish_at=1)
                connection.execute(VERDICTS.insert().values(**row))

    def without_triggers(self, database: Database) -> Untriggered:
        return Untriggered(database)


class Untriggered:
    """A writer that owns the database, and has taken the triggers away."""

    def __init__(self, database: Database) -> None:
        self._writing = database.writing()
        self._sqlite = database.is_sqlite

    def __enter__(self) -> sa.Connection:
        connection = self._writing.__enter__()
        names = ("no_update", "no_delete", "no_replace") if self._sqlite else ("kept",)
        for name in names:
            connection.exec_driver_sql(
                f"DROP TRIGGER review_audit_{name}" + ("" if self._sqlite else " ON review_audit")
            )
        return connection

    def __exit__(self, *error: object) -> None:
        self._writing.__exit__(*error)  # type: ignore[arg-type]


def taken(queue: ReviewQueue, analyst: str) -> Case:
    case = queue.take(analyst)
    assert case is not None
    return case


def published(queue: ReviewQueue) -> list[tuple[str, str, str]]:
    sent: list[tuple[str, str, str]] = []

    def send(case: Case, verdict: Verdict) -> None:
        sent.append((case.request_id, verdict.verdict, verdict.author))

    queue.publish(send, ["shop"])
    queue.publish(send, ["another"])
    return sent
