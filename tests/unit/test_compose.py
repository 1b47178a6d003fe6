"""docker-compose.yml says what the settings, the locks and the local stack say. Nothing here starts a container."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from lamina.local import jars
from lamina.local.layout import Layout
from lamina.local.service import Plan
from lamina.local.services import PORTS
from lamina.local.services.flink import configuration
from lamina.settings import ROOT, STOP_WAIT_S, Settings

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Which container answers on each port of the local stack.
FRONT = {
    "kafka": "kafka",
    "redis": "redis",
    "mlflow": "mlflow",
    "flink": "flink-jobmanager",
    "airflow": "airflow-api",
    "api": "api",
}


def _environment(service: str) -> dict[str, Any]:
    return dict(SERVICES[service].get("environment", {}))


def _dockerfiles() -> list[Path]:
    return sorted((ROOT / "deploy").glob("Dockerfile.*"))


def test_all_of_the_stack_is_there() -> None:
    assert set(SERVICES) == {
        *FRONT.values(),
        *("postgres", "flink-taskmanager", "spark-master", "spark-worker"),
        *("airflow-migrate", "airflow-scheduler", "airflow-dags", "sink"),
    }


@pytest.mark.parametrize(("port", "service"), FRONT.items())
def test_ports_are_those_of_the_settings_and_bound_to_loopback(port: str, service: str) -> None:
    address, published, _ = SERVICES[service]["ports"][0].split(":")
    assert address == "127.0.0.1"
    assert int(published) == PORTS[port]
    default = {
        "kafka": Settings.model_fields["kafka_bootstrap"].default.rsplit(":", 1)[1],
        "redis": urlsplit(Settings.model_fields["redis_url"].default.get_secret_value()).port,
        "api": Settings.model_fields["api_port"].default,
    }.get(port) or urlsplit(Settings.model_fields[f"{port}_{'uri' if port == 'mlflow' else 'url'}"].default).port
    assert int(published) == int(default)


@pytest.mark.parametrize("service", SERVICES)
def test_variables_are_fields_of_the_settings(service: str) -> None:
    names = {key.removeprefix("LAMINA_").lower() for key in _environment(service) if key.startswith("LAMINA_")}
    assert names <= set(Settings.model_fields)


@pytest.mark.parametrize("service", SERVICES)
def test_addresses_lead_to_containers(service: str) -> None:
    for key, value in _environment(service).items():
        if (
            key.startswith("LAMINA_")
            and key.endswith(("_URL", "_URI", "_BOOTSTRAP"))
            and not str(value).startswith("/")
        ):
            host = urlsplit(value).hostname if "//" in value else value.rsplit(":", 1)[0]
            assert host in SERVICES, f"{service}: {key}={value}"


@pytest.mark.parametrize("service", SERVICES)
def test_needed_services_exist(service: str) -> None:
    assert set(SERVICES[service].get("depends_on", {})) <= set(SERVICES)


def test_versions_are_those_of_the_local_stack() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{jars.KAFKA_VERSION}"
    makefile = (ROOT / "Makefile").read_text()
    pinned = re.search(r"^UV_VERSION := (.+)$", makefile, re.MULTILINE)
    assert pinned is not None
    assert COMPOSE["x-build-args"]["UV_VERSION"] == pinned.group(1)
    for file in _dockerfiles():
        assert "FROM python:3.11-" in file.read_text(), file.name


def test_every_dockerfile_is_built_and_every_copied_path_exists() -> None:
    built = {Path(build["dockerfile"]).name for service in SERVICES.values() if (build := service.get("build"))}
    assert built == {file.name for file in _dockerfiles()}
    for file in _dockerfiles():
        for source in re.findall(r"^COPY (\S+)", file.read_text(), re.MULTILINE):
            assert source.startswith(".tools/") or (ROOT / source).exists(), f"{file.name}: {source}"


def test_groups_are_those_of_the_project() -> None:
    import tomllib

    groups = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"])
    for name, service in SERVICES.items():
        wanted = service.get("build", {}).get("args", {}).get("LAMINA_GROUPS", "")
        assert set(wanted.split()) <= groups, name


def test_flink_is_set_up_as_in_the_local_stack(tmp_path: Path) -> None:
    plan = Plan(Layout(tmp_path), dict.fromkeys(PORTS, 1), {})
    local = configuration(plan)
    containers = yaml.safe_load(_environment("flink-taskmanager")["FLINK_PROPERTIES"])
    for key in containers:
        assert key in local, key
    for key in ("taskmanager.numberOfTaskSlots", "taskmanager.memory.process.size", "jobmanager.memory.process.size"):
        assert containers[key] == local[key], key


def test_no_password_is_written_down() -> None:
    for line in FILE.read_text().splitlines():
        if re.search(r"(PASSWORD|SECRET)\S*:", line) and not line.lstrip().startswith("#"):
            assert "${" in line, line


@pytest.mark.parametrize("command", [["docker-compose"], ["docker", "compose"]], ids=" ".join)
def test_compose_itself_accepts_the_file(command: list[str]) -> None:
    if (
        not shutil.which(command[0])
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{' '.join(command)} is not on this machine")
    env = {"POSTGRES_PASSWORD": "x", "AIRFLOW_SECRET": "x", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        [*command, "-f", str(FILE), "config", "--quiet"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_api_is_given_the_time_that_its_end_may_take() -> None:
    assert SERVICES["api"]["stop_grace_period"] == f"{STOP_WAIT_S}s"
