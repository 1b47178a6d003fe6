"""`secret.py database | users FILE`: what Airflow is told of the secrets that Compose mounts. No secret is an argument.

`database` prints the address of the database, with the password as a URL writes it; Airflow runs that by itself, as
`AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD`. `users FILE` writes the file of users, which Airflow opens for writing and so
cannot be the mounted one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

SECRETS = Path(os.environ.get("SECRETS", "/run/secrets"))
LEAST_LENGTH = 12


def read(name: str) -> str:
    """A mounted secret, without the line break at its end; the process ends where there is none."""
    file = SECRETS / name
    text = file.read_text().strip("\r\n") if file.exists() else ""
    if not text:
        sys.exit(f"{file} is missing or empty: see the head of docker-compose.yml")
    return text


def database() -> str:
    """The URL of Airflow's database.

    The user and the database are called `airflow`.
    """
    return f"postgresql+psycopg2://airflow:{quote(read('postgres_password'), safe='')}@postgres/airflow"


def users(wanted: str) -> str:
    """JSON of names and passwords, exactly those of `wanted`, `name:role,...`: Airflow prints what it makes."""
    try:
        found = json.loads(read("airflow_users"))
    except ValueError:
        sys.exit('AIRFLOW_USERS is no JSON: write {"admin": "a long password"}')
    names = {one.split(":")[0].strip() for one in wanted.split(",") if one.strip()}
    if not isinstance(found, dict) or set(found) != names:
        sys.exit(f"AIRFLOW_USERS must be a JSON object with a password for each of: {', '.join(sorted(names))}")
    short = sorted(name for name, word in found.items() if not isinstance(word, str) or len(word) < LEAST_LENGTH)
    if short:
        sys.exit(f"AIRFLOW_USERS: the password of {', '.join(short)} has fewer than {LEAST_LENGTH} characters")
    return json.dumps(found)


def main(what: str, file: str = "") -> None:
    """Print the database's address, or write the users' file so that nobody else reads it."""
    if what == "database":
        sys.stdout.write(database())
        return
    text = users(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"])
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
