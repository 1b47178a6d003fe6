"""What is shown of the queue: cases, how many wait, and what became of similar ones. Nothing here writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lamina.reviews.cases import Case, Verdict
from lamina.reviews.database import Database
from lamina.reviews.errors import NoSuchCase
from lamina.reviews.schema import CASES, SUBJECTS, VERDICTS

_OF_A_CASE = tuple(column.name for column in CASES.columns)


def verdict_of(row: Mapping[Any, Any]) -> Verdict:
    """The verdict in a row of its table."""
    return Verdict(**{str(name): each for name, each in row.items()})


def cases_of(connection: sa.Connection, asked: sa.Select[Any]) -> list[Case]:
    """The cases that a select of their table finds, with subjects and verdicts."""
    rows = connection.execute(asked).all()
    ids = [row.case_id for row in rows]
    subjects: dict[int, dict[str, str]] = defaultdict(dict)
    about = sa.select(SUBJECTS).where(SUBJECTS.c.case_id.in_(ids)).order_by(SUBJECTS.c.place)
    for row in connection.execute(about):
        subjects[row.case_id][row.entity] = row.subject
    verdicts: dict[int, list[Verdict]] = defaultdict(list)
    said = sa.select(VERDICTS).where(VERDICTS.c.case_id.in_(ids)).order_by(VERDICTS.c.verdict_id)
    for row in connection.execute(said):
        verdicts[row.case_id].append(verdict_of(row._mapping))
    return [
        Case(
            **{name: getattr(row, name) for name in _OF_A_CASE},
            subjects=subjects[row.case_id],
            verdicts=tuple(verdicts[row.case_id]),
        )
        for row in rows
    ]


def case(database: Database, case_id: int) -> Case:
    """The case of this number.

    Raises: NoSuchCase.
    """
    with database.reading() as connection:
        found = cases_of(connection, sa.select(CASES).where(CASES.c.case_id == case_id))
    if not found:
        raise NoSuchCase(f"there is no case {case_id}")
    return found[0]


def waiting(database: Database, states: Sequence[str] = ("open", "escalated"), most: int = 50) -> list[Case]:
    """The cases that wait, escalated ones first, then those by which most is expected to be lost."""
    order = (CASES.c.state == "escalated").desc(), CASES.c.expected_loss.desc(), CASES.c.case_id
    with database.reading() as connection:
        return cases_of(connection, sa.select(CASES).where(CASES.c.state.in_(states)).order_by(*order).limit(most))


def counts(database: Database) -> dict[str, dict[str, int]]:
    """How many cases there are, by system and state."""
    asked = sa.select(CASES.c.system, CASES.c.state, sa.func.count()).group_by(CASES.c.system, CASES.c.state)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with database.reading() as connection:
        for system, state, n in connection.execute(asked):
            found[system][state] = n
    return dict(found)


def decided_by(database: Database, author: str, most: int = 10) -> list[Case]:
    """The cases that `author` spoke on last, the newest first."""
    last = (
        sa.select(VERDICTS.c.case_id, sa.func.max(VERDICTS.c.verdict_id).label("newest"))
        .where(VERDICTS.c.author == author, VERDICTS.c.undone_at.is_(None))
        .group_by(VERDICTS.c.case_id)
        .subquery()
    )
    asked = sa.select(CASES).join(last, last.c.case_id == CASES.c.case_id).order_by(last.c.newest.desc()).limit(most)
    with database.reading() as connection:
        return cases_of(connection, asked)


def similar(database: Database, to: Case, most: int = 10) -> list[Case]:
    """Decided cases of the same system that share a subject with this one, the newest first."""
    shared = [
        sa.select(SUBJECTS.c.case_id).where(SUBJECTS.c.entity == entity, SUBJECTS.c.subject == subject)
        for entity, subject in to.subjects.items()
    ]
    if not shared:
        return []
    asked = (
        sa.select(CASES)
        .where(CASES.c.system == to.system, CASES.c.state == "decided", CASES.c.case_id != to.case_id)
        .where(CASES.c.case_id.in_(sa.union(*shared)))
        .order_by(CASES.c.answered_at.desc(), CASES.c.case_id.desc())
        .limit(most)
    )
    with database.reading() as connection:
        return cases_of(connection, asked)
