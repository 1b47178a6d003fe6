"""Airflow as docker-compose.yml starts it asks who comes; a real API server, with the variables of that file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
import yaml

from lamina.local.layout import main_bin
from lamina.local.ports import HOST, random_port
from lamina.orchestration.airflow_client import AirflowClient
from lamina.orchestration.airflow_runs import AirflowError
from lamina.settings import ROOT

pytestmark = pytest.mark.services
WORDS = {"admin": "correct horse battery", "anna": "staple of batteries"}
DEADLINE_S = 360


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an API server on a database of its own."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "airflow_users").write_text(json.dumps(WORDS))
    (folder / "airflow_secret").write_text("long and random, as everybody would do it who reads the head of the file")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = {
        name: str(value).replace("/run/secrets", str(folder)).replace("/opt/lamina", str(ROOT))
        for name, value in compose["services"]["airflow-api"]["environment"].items()
        if name.startswith("AIRFLOW__") and "URL" not in name and "DATABASE" not in name
    }
    port = random_port(set(), random.Random())
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))} | given
    env |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,anna:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "users.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "PATH": f"{main_bin('airflow').parent}{os.pathsep}{os.environ['PATH']}",
        "SECRETS": str(folder),
    }
    subprocess.run([str(main_bin("airflow")), "db", "migrate"], env=env, check=True, capture_output=True)
    command = [str(ROOT / "deploy" / "airflow.sh"), "api-server", "--host", HOST, "--port", str(port), "--workers", "1"]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    url, deadline = f"http://{HOST}:{port}", time.monotonic() + DEADLINE_S
    try:
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                if httpx.get(f"{url}/api/v2/version", timeout=5).is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.25)
        yield url
    finally:
        process.terminate()
        process.wait(30)
    printed = log.read_text()
    assert not [word for word in WORDS.values() if word in printed]
    assert "Password for user" not in printed


def test_who_says_nothing_gets_nothing(airflow: str) -> None:
    assert httpx.get(f"{airflow}/api/v2/monitor/health").status_code == 200, "the container's health check asks this"
    assert httpx.get(f"{airflow}/api/v2/dags").status_code == 401
    assert httpx.post(f"{airflow}/api/v2/dags/features_backfill/dagRuns", json={}).status_code == 401
    with AirflowClient(airflow) as client, pytest.raises(AirflowError, match="give a user name"):
        client.wait_for_dag("features_backfill")


def test_a_wrong_password_gets_nothing(airflow: str) -> None:
    with AirflowClient(airflow, username="admin", password=WORDS["anna"]) as client:
        with pytest.raises(AirflowError, match="give a user name") as caught:
            client.wait_for_dag("features_backfill")
    assert WORDS["anna"] not in str(caught.value)


def token(airflow: str, name: str) -> dict[str, str]:
    answer = httpx.post(f"{airflow}/auth/token", json={"username": name, "password": WORDS[name]}).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_role_is_what_the_file_says(airflow: str) -> None:
    for name, may in (("admin", {200, 404}), ("anna", {403})):
        headers = token(airflow, name)
        assert httpx.get(f"{airflow}/api/v2/dags", headers=headers).status_code == 200
        answer = httpx.get(f"{airflow}/api/v2/connections", headers=headers)
        assert answer.status_code in may, (name, answer.text)
