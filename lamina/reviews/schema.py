"""The tables of the review queue. `lamina/reviews/migrations` makes them; a test sees that both say the same."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

NAME, ID = 64, 256
"""Longest name of a system, entity or analyst, and longest id, in characters."""
ANSWERS = "verdict IN ('approve', 'reject')"
STANDS = "undone_at IS NULL"
HAS_EVENT, HAS_NO_EVENT = "event_id IS NOT NULL", "event_id IS NULL"

METADATA = MetaData()
# SQLite numbers rows by itself only in a column of exactly this type.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

CASES = Table(
    "review_cases",
    METADATA,
    Column("case_id", _NUMBER, primary_key=True),
    Column("system", String(NAME), nullable=False),
    Column("request_id", String(ID), nullable=False),
    Column("event_id", String(ID)),
    Column("answered_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("score", Float),
    Column("expected_loss", Float, nullable=False),
    Column("uncertainty", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("holder", String(NAME)),
    Column("held_until", BigInteger),
    Column("evidence", Text, nullable=False),
    CheckConstraint("state IN ('open', 'escalated', 'decided')", name="review_cases_state"),
    Index("review_cases_by_loss", "state", "expected_loss"),
    Index("review_cases_by_uncertainty", "state", "uncertainty"),
    # Two indexes, since nulls differ from each other: the id of a request is the client's, and may be that of several.
    Index(
        "review_cases_of_an_event",
        "system",
        "event_id",
        unique=True,
        sqlite_where=text(HAS_EVENT),
        postgresql_where=text(HAS_EVENT),
    ),
    Index(
        "review_cases_of_a_request",
        "system",
        "request_id",
        unique=True,
        sqlite_where=text(HAS_NO_EVENT),
        postgresql_where=text(HAS_NO_EVENT),
    ),
)
"""`evidence`: the answer's envelope, as JSON. `holder` works on the case until `held_until`. Times are epoch ms."""

SUBJECTS = Table(
    "review_subjects",
    METADATA,
    Column("case_id", _NUMBER, ForeignKey("review_cases.case_id"), primary_key=True),
    Column("entity", String(NAME), primary_key=True),
    Column("subject", String(ID), nullable=False),
    Column("place", Integer, nullable=False),
    Index("review_subjects_of", "entity", "subject"),
)
"""Whom or what a case is about, in the order of the answer."""

VERDICTS = Table(
    "review_verdicts",
    METADATA,
    Column("verdict_id", _NUMBER, primary_key=True),
    Column("case_id", _NUMBER, ForeignKey("review_cases.case_id"), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("author", String(NAME), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("before", String(16), nullable=False),
    Column("publish_at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
    Column("published_at", BigInteger),
    CheckConstraint("verdict IN ('approve', 'reject', 'escalate')", name="review_verdicts_verdict"),
    CheckConstraint("undone_at IS NULL OR published_at IS NULL", name="review_verdicts_undone_or_published"),
    # Whatever the code does: of a case one answer stands.
    Index(
        "review_verdicts_one_stands",
        "case_id",
        unique=True,
        sqlite_where=text(f"{STANDS} AND {ANSWERS}"),
        postgresql_where=text(f"{STANDS} AND {ANSWERS}"),
    ),
    Index("review_verdicts_due", "published_at", "publish_at"),
)
"""`before`: the case's state before it. `publish_at`: until then it can be taken back."""

AUDIT = Table(
    "review_audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(NAME), nullable=False),
    Column("action", String(32), nullable=False),
    Column("case_id", BigInteger),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""Everything that was done, each entry with the hash of the one before; triggers refuse to change or remove one."""

OFFSETS = Table(
    "review_offsets",
    METADATA,
    Column("log", String(ID), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)
"""Up to where each topic of answers, by its id, has been read: committed with the cases that were found in it."""
