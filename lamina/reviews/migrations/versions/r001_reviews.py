"""The tables of the review queue, and triggers that keep its audit log as it was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STANDS = sa.text("undone_at IS NULL AND verdict IN ('approve', 'reject')")
REFUSED = "the audit log of reviews cannot be changed"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "review_cases",
        sa.Column("case_id", _NUMBER, primary_key=True),
        sa.Column("system", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(256), nullable=False),
        sa.Column("event_id", sa.String(256)),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("expected_loss", sa.Float, nullable=False),
        sa.Column("uncertainty", sa.Float, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(64)),
        sa.Column("held_until", sa.BigInteger),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.CheckConstraint("state IN ('open', 'escalated', 'decided')", name="review_cases_state"),
    )
    op.create_index("review_cases_by_loss", "review_cases", ["state", "expected_loss"])
    op.create_index("review_cases_by_uncertainty", "review_cases", ["state", "uncertainty"])
    for name, column, where in (
        ("review_cases_of_an_event", "event_id", sa.text("event_id IS NOT NULL")),
        ("review_cases_of_a_request", "request_id", sa.text("event_id IS NULL")),
    ):
        op.create_index(
            name, "review_cases", ["system", column], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "review_subjects",
        sa.Column("case_id", _NUMBER, sa.ForeignKey("review_cases.case_id"), primary_key=True),
        sa.Column("entity", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
    )
    op.create_index("review_subjects_of", "review_subjects", ["entity", "subject"])
    op.create_table(
        "review_verdicts",
        sa.Column("verdict_id", _NUMBER, primary_key=True),
        sa.Column("case_id", _NUMBER, sa.ForeignKey("review_cases.case_id"), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("before", sa.String(16), nullable=False),
        sa.Column("publish_at", sa.BigInteger, nullable=False),
        sa.Column("undone_at", sa.BigInteger),
        sa.Column("published_at", sa.BigInteger),
        sa.CheckConstraint("verdict IN ('approve', 'reject', 'escalate')", name="review_verdicts_verdict"),
        sa.CheckConstraint("undone_at IS NULL OR published_at IS NULL", name="review_verdicts_undone_or_published"),
    )
    op.create_index(
        "review_verdicts_one_stands",
        "review_verdicts",
        ["case_id"],
        unique=True,
        sqlite_where=_STANDS,
        postgresql_where=_STANDS,
    )
    op.create_index("review_verdicts_due", "review_verdicts", ["published_at", "publish_at"])
    op.create_table(
        "review_audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("case_id", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "review_offsets",
        sa.Column("log", sa.String(256), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )
    _keep_the_audit_log()


def _keep_the_audit_log() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER review_audit_no_{what.lower()} BEFORE {what} ON review_audit "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
            )
        # INSERT OR REPLACE removes a row without a trigger for it.
        op.execute(
            "CREATE TRIGGER review_audit_no_replace BEFORE INSERT ON review_audit "
            "WHEN EXISTS (SELECT 1 FROM review_audit WHERE seq = NEW.seq) "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION review_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER review_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON review_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION review_audit_refuse()"
    )
