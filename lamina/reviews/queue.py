"""The queue: who looks at which case, and what was said. Everything is one transaction with its entry in the audit log.

    open --approve, reject--> decided --undo, within a minute--> open
    open --escalate--> escalated, which only a senior gets --approve, reject--> decided

Two analysts never have one case: a case is taken in a transaction that no other writer's overlaps, for a while, and
whoever has lost it meanwhile is told so when he decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from lamina.clock import Clock
from lamina.experiments.buckets import BUCKETS, bucket_of
from lamina.reviews import audit
from lamina.reviews.cases import Case, NewCase, Verdict, VerdictName
from lamina.reviews.database import Database
from lamina.reviews.errors import HeldByAnother, NoSuchCase, TooLate
from lamina.reviews.reading import cases_of, verdict_of
from lamina.reviews.schema import CASES, OFFSETS, SUBJECTS, VERDICTS

LONGEST_NOTE = 2000


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """lease_ms: how long a case is one analyst's. undo_ms: how long a verdict can be taken back; then its label is
    published. teach_share: of the cases that are taken, those that are chosen by how much a label would teach the
    model, and not by expected loss; seed: makes that choice one that can be made again.
    """

    lease_ms: int = 600_000
    undo_ms: int = 60_000
    teach_share: float = 0.1
    seed: str = "reviews"


class ReviewQueue:
    """Every method may be called from any thread or process.

    Raises: ReviewsUnavailable: from any of them, when the database does not answer.
    """

    def __init__(self, database: Database, clock: Clock, options: QueueOptions | None = None) -> None:
        self.database, self.clock = database, clock
        self.options = options or QueueOptions()

    def open(self, found: Iterable[NewCase], read: Mapping[tuple[str, int], int] | None = None) -> int:
        """Put these into the queue; returns how many were not in it yet.

        Of an event there is one case, however often it is asked about; of an answer without event one a request.

        Args: read: up to where a topic was read to find them, by the topic's id and partition.
        """
        now_ms, opened = self.clock(), 0
        with self.database.writing() as connection:
            for case in found:
                known = sa.select(CASES.c.case_id).where(CASES.c.system == case.system, _same(case))
                if connection.execute(known).first() is not None:
                    continue
                fields = {name: each for name, each in vars(case).items() if name != "subjects"}
                made = connection.execute(CASES.insert().values(**fields, opened_at=now_ms, state="open"))
                case_id = _number(made)
                for place, (entity, subject) in enumerate(case.subjects.items()):
                    about = {"case_id": case_id, "entity": entity, "subject": subject, "place": place}
                    connection.execute(SUBJECTS.insert().values(**about))
                detail = {"system": case.system, "request_id": case.request_id, "expected_loss": case.expected_loss}
                audit.note(connection, now_ms, audit.PLATFORM, "open", case_id, detail)
                opened += 1
            for (log, partition), next_offset in (read or {}).items():
                _advance(connection, log, partition, next_offset)
        return opened

    def take(self, analyst: str, *, senior: bool = False, system: str | None = None) -> Case | None:
        """The case that `analyst` is to look at next, now his; the one that he has already, or None where none waits.

        Args: senior: escalated cases are for him, and come first; system: of this system alone.
        """
        now_ms = self.clock()
        with self.database.writing() as connection:
            mine = sa.select(CASES).where(
                CASES.c.state.in_(_for(senior)), CASES.c.holder == analyst, CASES.c.held_until > now_ms
            )
            held = next(iter(cases_of(connection, _of(mine, system).order_by(CASES.c.case_id).limit(1))), None)
            if held is not None:
                return held
            draw = audit.newest(connection)[0] + 1
            by = self.chosen_by(draw)
            column = CASES.c.uncertainty if by == "uncertainty" else CASES.c.expected_loss
            free = sa.select(CASES).where(
                CASES.c.state.in_(_for(senior)), CASES.c.held_until.is_(None) | (CASES.c.held_until <= now_ms)
            )
            order = (CASES.c.state == "escalated").desc(), column.desc(), CASES.c.case_id
            case = next(iter(cases_of(connection, _of(free, system).order_by(*order).limit(1))), None)
            return None if case is None else self._hold(connection, case, analyst, now_ms, {"by": by, "draw": draw})

    def take_case(self, analyst: str, case_id: int, *, senior: bool = False) -> Case:
        """The case of this number, now `analyst`'s, or his for longer.

        Raises: NoSuchCase; HeldByAnother: somebody else works on it, it is decided, or it is for a senior.
        """
        now_ms = self.clock()
        with self.database.writing() as connection:
            case = _case(connection, case_id)
            if case.state not in _for(senior):
                raise HeldByAnother(f"case {case_id} is {case.state}: take another")
            if case.held_by_another(analyst, now_ms):
                raise HeldByAnother(f"{case.holder} works on case {case_id}: take another")
            return self._hold(connection, case, analyst, now_ms, {"by": "number"})

    def give_back(self, analyst: str, case_id: int) -> None:
        """Let others have the case, if it is his."""
        now_ms = self.clock()
        with self.database.writing() as connection:
            mine = (CASES.c.case_id == case_id) & (CASES.c.holder == analyst)
            if connection.execute(CASES.update().where(mine).values(holder=None, held_until=None)).rowcount:
                audit.note(connection, now_ms, analyst, "give back", case_id)

    def decide(
        self, analyst: str, case_id: int, verdict: VerdictName, note: str = "", *, senior: bool = False
    ) -> Verdict:
        """What stands of the case from now on. The same said again by the same analyst changes nothing.

        Raises: NoSuchCase; HeldByAnother: the case is not his, or no longer: it was not taken, another has it, or it is
        decided.
        """
        now_ms, note = self.clock(), note.strip()[:LONGEST_NOTE]
        with self.database.writing() as connection:
            case = _case(connection, case_id)
            standing = case.standing
            if standing and (standing.author, standing.verdict) == (analyst, verdict) and case.state != "open":
                return standing
            if case.state not in _for(senior):
                raise HeldByAnother(f"case {case_id} is {case.state}: nothing was changed")
            if case.holder != analyst:
                raise HeldByAnother(f"case {case_id} is not yours, or no longer: take it again")
            said = {
                "case_id": case_id,
                "verdict": verdict,
                "author": analyst,
                "at_ms": now_ms,
                "note": note,
                "before": case.state,
                "publish_at": now_ms + self.options.undo_ms,
            }
            verdict_id = _number(connection.execute(VERDICTS.insert().values(**said)))
            state = "escalated" if verdict == "escalate" else "decided"
            _set(connection, case_id, state=state, holder=None, held_until=None)
            audit.note(connection, now_ms, analyst, verdict, case_id, {"verdict_id": verdict_id, "note": note})
            return verdict_of({**said, "verdict_id": verdict_id, "undone_at": None, "published_at": None})

    def undo(self, analyst: str, case_id: int) -> Case:
        """The case as it was before its newest verdict, and `analyst`'s again, if he has said it and may still undo it.

        Raises: NoSuchCase; HeldByAnother: the verdict is somebody else's, or somebody has gone on from it; TooLate.
        """
        now_ms = self.clock()
        with self.database.writing() as connection:
            case = _case(connection, case_id)
            last = case.standing
            if last is None or last.author != analyst:
                raise HeldByAnother(f"nothing that you said of case {case_id} stands")
            if case.held_by_another(analyst, now_ms):
                raise HeldByAnother(f"{case.holder} works on case {case_id} already")
            if not last.can_be_undone(now_ms):
                raise TooLate(f"the verdict on case {case_id} cannot be taken back any more")
            connection.execute(
                VERDICTS.update().where(VERDICTS.c.verdict_id == last.verdict_id).values(undone_at=now_ms)
            )
            _set(connection, case_id, state=last.before)
            audit.note(connection, now_ms, analyst, "undo", case_id, {"verdict_id": last.verdict_id})
            return self._hold(connection, _case(connection, case_id), analyst, now_ms, {"by": "undo"})

    def publish(self, send: Callable[[Case, Verdict], None], systems: Collection[str], most: int = 100) -> int:
        """Hand to `send` the answers of these systems that can no longer be taken back; returns how many.

        One that it has sent is not handed to it again: they are noted within one transaction, that no other process has
        at the same time. What `send` raises undoes the notes: whoever died in between sends the same bytes once more.
        """
        now_ms = self.clock()
        with self.database.writing() as connection:
            due = (
                sa.select(VERDICTS)
                .join(CASES, CASES.c.case_id == VERDICTS.c.case_id)
                .where(CASES.c.system.in_(systems))
                .where(VERDICTS.c.published_at.is_(None), VERDICTS.c.undone_at.is_(None))
                .where(VERDICTS.c.publish_at <= now_ms, VERDICTS.c.verdict != "escalate")
                .order_by(VERDICTS.c.publish_at, VERDICTS.c.verdict_id)
                .limit(most)
            )
            found = [verdict_of(row._mapping) for row in connection.execute(due)]
            for verdict in found:
                send(_case(connection, verdict.case_id), verdict)
                connection.execute(
                    VERDICTS.update().where(VERDICTS.c.verdict_id == verdict.verdict_id).values(published_at=now_ms)
                )
                detail = {"verdict_id": verdict.verdict_id}
                audit.note(connection, now_ms, audit.PLATFORM, "publish", verdict.case_id, detail)
        return len(found)

    def chosen_by(self, draw: int) -> str:
        """What the draw of this number chooses by: the same for ever, under one seed."""
        teaches = bucket_of(self.options.seed, str(draw)) < self.options.teach_share * BUCKETS
        return "uncertainty" if teaches else "expected_loss"

    def read_up_to(self, log: str) -> dict[int, int]:
        """Up to where the topic of this id has been read, by partition."""
        with self.database.reading() as connection:
            asked = sa.select(OFFSETS.c.partition, OFFSETS.c.next_offset).where(OFFSETS.c.log == log)
            return {row.partition: row.next_offset for row in connection.execute(asked)}

    def _hold(
        self, connection: sa.Connection, case: Case, analyst: str, now_ms: int, detail: Mapping[str, object]
    ) -> Case:
        until = now_ms + self.options.lease_ms
        _set(connection, case.case_id, holder=analyst, held_until=until)
        if case.holder != analyst or (case.held_until or 0) <= now_ms:
            audit.note(connection, now_ms, analyst, "take", case.case_id, {**detail, "until": until})
        return replace(case, holder=analyst, held_until=until)


def _same(case: NewCase) -> sa.ColumnElement[bool]:
    if case.event_id is None:
        return CASES.c.event_id.is_(None) & (CASES.c.request_id == case.request_id)
    return CASES.c.event_id == case.event_id


def _number(made: sa.CursorResult[tuple[object, ...]]) -> int:
    """The number of the row that was inserted."""
    assert made.inserted_primary_key is not None, "its table numbers rows"
    return int(made.inserted_primary_key[0])


def _for(senior: bool) -> tuple[str, ...]:
    return ("open", "escalated") if senior else ("open",)


def _of(asked: sa.Select[tuple[object, ...]], system: str | None) -> sa.Select[tuple[object, ...]]:
    return asked if system is None else asked.where(CASES.c.system == system)


def _case(connection: sa.Connection, case_id: int) -> Case:
    found = cases_of(connection, sa.select(CASES).where(CASES.c.case_id == case_id))
    if not found:
        raise NoSuchCase(f"there is no case {case_id}")
    return found[0]


def _set(connection: sa.Connection, case_id: int, **values: object) -> None:
    connection.execute(CASES.update().where(CASES.c.case_id == case_id).values(**values))


def _advance(connection: sa.Connection, log: str, partition: int, next_offset: int) -> None:
    """Note up to where a partition was read; who lost it to another process meanwhile does not set it back."""
    place = (OFFSETS.c.log == log) & (OFFSETS.c.partition == partition)
    known = connection.execute(sa.select(OFFSETS.c.next_offset).where(place)).scalar()
    if known is None:
        connection.execute(OFFSETS.insert().values(log=log, partition=partition, next_offset=next_offset))
    elif known < next_offset:
        connection.execute(OFFSETS.update().where(place).values(next_offset=next_offset))
