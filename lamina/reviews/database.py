"""The database of reviews: SQLite in a file, or Postgres by its URL. Opening it brings it to this version's tables."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lamina.reviews.errors import ReviewsUnavailable

BUSY_S = 10
"""How long a writer waits for another; every step is short."""
FILE = "reviews.db"
WRITERS = 7_236_110_423
"""Number of Postgres's lock that one writer has at a time: the audit log is one chain."""
MIGRATIONS = Path(__file__).parent / "migrations"
_READING = "lamina_reading"
_MIGRATING = Lock()
"""Alembic keeps what it works on for the whole process."""


def database_url(url: str | None, folder: Path) -> sa.URL:
    """The database at `url`, or the file in `folder` where there is none.

    Raises: ReviewsUnavailable: the URL cannot be right; the message does not repeat it.

    >>> database_url("postgresql://console@db/lamina", Path(".")).drivername
    'postgresql+psycopg2'
    """
    if url is None:
        return sa.URL.create("sqlite", database=str(folder / FILE))
    try:
        found = sa.make_url(url)
    except ArgumentError:
        found = None
    if found is None or found.get_backend_name() not in ("sqlite", "postgresql"):
        raise ReviewsUnavailable(
            "LAMINA_REVIEWS_URL is no URL of a database of reviews: give postgresql://USER:PASSWORD@HOST/NAME, or "
            "leave it out for a file"
        )
    return found.set(drivername="postgresql+psycopg2") if found.drivername == "postgresql" else found


class Database:
    """Opens nothing before it is used. Safe to use from several threads."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._opening = Lock()
        self._opened: sa.Engine | None = None

    @cached_property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read by; in SQLite no writer is waited for.

        Raises: ReviewsUnavailable: it does not answer.
        """
        with self._connection(reading=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, which no other writer's overlaps; committed at the end, undone by an exception.

        Raises: ReviewsUnavailable: it does not answer.
        """
        with self._connection(reading=False) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
            yield connection

    def close(self) -> None:
        """Close every connection; the next use opens it again."""
        with self._opening:
            if self._opened is not None:
                self._opened.dispose()
                self._opened = None

    @contextmanager
    def _connection(self, *, reading: bool) -> Iterator[sa.Connection]:
        try:
            with self._engine().connect() as connection:
                yield connection.execution_options(**{_READING: reading})
        except SQLAlchemyError as error:
            # The statement may hold an id; the driver's own words say what is wrong.
            cause = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()
            raise ReviewsUnavailable(
                f"the database of reviews at {self._place}: {cause[0] if cause else ''}"
            ) from error

    @property
    def _place(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def _engine(self) -> sa.Engine:
        with self._opening:
            if self._opened is None:
                engine = self._made()
                try:
                    self._upgrade(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._opened = engine
            return self._opened

    def _made(self) -> sa.Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, connect_args={"connect_timeout": BUSY_S})
        if self.url.database:
            file = Path(self.url.database)
            file.parent.mkdir(parents=True, exist_ok=True)
            # Whose payment it was is in it.
            file.touch(mode=0o600)
        engine = sa.create_engine(self.url, connect_args={"timeout": BUSY_S})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _upgrade(self, engine: sa.Engine) -> None:
        """Make the tables, or change those of an earlier version. Of two processes that start, one waits."""
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with _MIGRATING, engine.connect() as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise ReviewsUnavailable(
                    f"the database of reviews at {self._place} is of a newer version of lamina than this: {error}"
                ) from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    # Transactions are begun below: the driver's own would begin too late to keep a second writer out.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            # The one step for which it does not wait by itself, of a file that is made just now.
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
