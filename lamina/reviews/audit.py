"""The audit log: an entry for everything that was done, each bound to the one before it by its hash.

Triggers keep whoever has the database's password for the application from changing it. Whoever owns the database can
take triggers away: then the chain of hashes breaks, at the entry that was changed. Who removes the newest entries
breaks nothing that is left, so the newest hash is to be kept elsewhere as well: `lamina reviews check` prints it, and
compares the log with one that was printed before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import sqlalchemy as sa

from lamina.reviews.database import Database
from lamina.reviews.errors import AuditBroken
from lamina.reviews.schema import AUDIT

BEGINNING = "0" * 64
"""What stands for the hash before the first entry."""
PLATFORM = "lamina"
"""The actor of what nobody did by hand."""
AT_ONCE = 1000


@dataclass(frozen=True)
class Entry:
    """What `actor` did at `at_ms`, epoch ms; `case_id` is None where it was about no case."""

    seq: int
    at_ms: int
    actor: str
    action: str
    case_id: int | None
    detail: str
    previous: str
    hash: str

    @property
    def expected_hash(self) -> str:
        """The hash of everything in it, the hash of the entry before included."""
        content = [self.seq, self.at_ms, self.actor, self.action, self.case_id, self.detail, self.previous]
        return sha256(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def newest(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; 0 and `BEGINNING` where there is none."""
    found = connection.execute(sa.select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)).first()
    return (int(found.seq), str(found.hash)) if found else (0, BEGINNING)


def note(
    connection: sa.Connection,
    at_ms: int,
    actor: str,
    action: str,
    case_id: int | None = None,
    detail: Mapping[str, object] | None = None,
) -> int:
    """Add an entry within `connection`'s transaction, which is a writer's; returns its number."""
    seq, previous = newest(connection)
    text = json.dumps(detail or {}, sort_keys=True)
    entry = Entry(seq + 1, at_ms, actor, action, case_id, text, previous, "")
    connection.execute(AUDIT.insert().values({**vars(entry), "hash": entry.expected_hash}))
    return entry.seq


def entries(
    database: Database, *, before: int | None = None, case_id: int | None = None, most: int = 50
) -> list[Entry]:
    """The newest entries, the newest first.

    Args: before: only those with a lower number; case_id: only those about this case.
    """
    asked = sa.select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(most)
    if before is not None:
        asked = asked.where(AUDIT.c.seq < before)
    if case_id is not None:
        asked = asked.where(AUDIT.c.case_id == case_id)
    with database.reading() as connection:
        return [Entry(**row._mapping) for row in connection.execute(asked)]


def check(database: Database, known: str | None = None) -> tuple[int, str]:
    """Number of entries and the newest hash, once every entry is as it was written.

    Args: known: a hash that an earlier check gave; the log must still hold it.
    Raises: AuditBroken: names the first entry that is missing, was changed, or does not follow the one before it.
    """
    expected, seen = BEGINNING, known is None or known == BEGINNING
    number = 0
    while True:
        with database.reading() as connection:
            asked = sa.select(AUDIT).where(AUDIT.c.seq > number).order_by(AUDIT.c.seq).limit(AT_ONCE)
            found = [Entry(**row._mapping) for row in connection.execute(asked)]
        if not found:
            break
        for entry in found:
            if entry.seq != number + 1:
                raise AuditBroken(f"entry {number + 1} of the audit log is missing: compare with a backup")
            if entry.previous != expected or entry.hash != entry.expected_hash:
                raise AuditBroken(f"entry {entry.seq} of the audit log is not as it was written: compare with a backup")
            number, expected = entry.seq, entry.hash
            seen = seen or expected == known
    if not seen:
        raise AuditBroken(f"the audit log no longer holds the entry with the hash {known}: its end was removed")
    return number, expected
