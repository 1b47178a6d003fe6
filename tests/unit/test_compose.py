"""docker-compose.yml says what the settings, the locks and the local stack say. Nothing here starts a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from lamina.errors import LaminaError
from lamina.local import jars
from lamina.local.layout import Layout
from lamina.local.service import StackPlan
from lamina.local.services import OPTIONAL, PORTS
from lamina.local.services import SERVICES as LOCAL
from lamina.local.services.flink import configuration
from lamina.settings import ROOT, STOP_WAIT_S, Settings, load_settings
from lamina.yaml_files import read_yaml

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = read_yaml(FILE, LaminaError)
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

REQUIRED = ("POSTGRES_PASSWORD", "AIRFLOW_SECRET", "AIRFLOW_USERS")
DIGESTS = (
    *("PYTHON_DIGEST", "KAFKA_DIGEST", "REDIS_DIGEST", "POSTGRES_DIGEST"),
    *("PROMETHEUS_DIGEST", "ALERTMANAGER_DIGEST", "GRAFANA_DIGEST"),
)
WATCHERS = ("prometheus", "alertmanager", "grafana")
OF_WATCHERS = ("PAGERDUTY_KEY", "ALERT_WEBHOOK_TOKEN", "GRAFANA_PASSWORD")
DIGEST = f"sha256:{'0' * 64}"


def _environment(service: str) -> dict[str, Any]:
    return dict(SERVICES[service].get("environment", {}))


def _dockerfiles() -> list[Path]:
    return sorted((ROOT / "deploy").glob("Dockerfile.*"))


def test_all_of_the_stack_is_there() -> None:
    assert set(SERVICES) == {
        *FRONT.values(),
        *("postgres", "flink-taskmanager", "spark-master", "spark-worker"),
        *("airflow-migrate", "airflow-scheduler", "airflow-dags", "airflow-triggerer", "sink"),
        *WATCHERS,
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
    assert SERVICES["kafka"]["image"].partition("@")[0] == f"apache/kafka:{jars.KAFKA_VERSION}"
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
    plan = StackPlan(Layout(tmp_path), dict.fromkeys(PORTS, 1), {})
    local = configuration(plan)
    containers = yaml.safe_load(_environment("flink-taskmanager")["FLINK_PROPERTIES"])
    for key in containers:
        assert key in local, key
    for key in ("taskmanager.numberOfTaskSlots", "taskmanager.memory.process.size", "jobmanager.memory.process.size"):
        assert containers[key] == local[key], key


def test_no_password_is_written_down() -> None:
    for line in FILE.read_text().splitlines():
        if re.search(r"(PASSWORD|SECRET)\S*:", line) and not line.lstrip().startswith("#"):
            assert "${" in line or "/run/secrets/" in line or "deploy/secret.py" in line or "-users.json" in line, line


@pytest.mark.parametrize("command", [["docker-compose"], ["docker", "compose"]], ids=" ".join)
def test_compose_itself_accepts_the_file(command: list[str]) -> None:
    if (
        not shutil.which(command[0])
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{' '.join(command)} is not on this machine")
    env = {name: "x" for name in REQUIRED} | {name: DIGEST for name in DIGESTS}
    env["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        [*command, "-f", str(FILE), "config", "--quiet"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_api_is_given_the_time_that_its_end_may_take() -> None:
    assert SERVICES["api"]["stop_grace_period"] == f"{STOP_WAIT_S}s"


def _paths(service: str) -> dict[str, str]:
    """Where each volume of a service is put, by its name."""
    parts = [volume.split(":") for volume in SERVICES[service].get("volumes", ())]
    return {name: place for name, place, *_ in parts}


def _made_by(image: str) -> str:
    """What the Dockerfile of a service's image says."""
    builds = [one["build"] for one in SERVICES.values() if one["image"] == image and "build" in one]
    return Path(ROOT, builds[0]["dockerfile"]).read_text()


def test_the_api_keeps_its_journal_in_a_volume_that_it_may_write() -> None:
    stack = _environment("api")["LAMINA_STACK_DIR"]
    volumes = [name for name, place in _paths("api").items() if place == stack]
    assert volumes
    assert set(volumes) <= set(COMPOSE["volumes"])
    made = re.search(r"mkdir -p ([^&]+)&& chown -R lamina /data", _made_by("lamina-serving"))
    assert made is not None
    assert stack in made[1].split(), "a new volume takes the owner of the folder below it"
    others = [name for name in SERVICES if name != "api" and set(volumes) & set(_paths(name))]
    assert not others, "one process writes a journal"


@pytest.mark.parametrize("service", [name for name in SERVICES if SERVICES[name]["image"].startswith("lamina-")])
def test_what_our_images_write_is_a_folder_that_they_own(service: str) -> None:
    """They run as a user without rights on the code: a folder of the settings that nobody made cannot be written."""
    for place in _paths(service).values():
        if place != "/data":
            assert re.search(rf"mkdir -p .*{place}( |$)", _made_by(SERVICES[service]["image"]), re.MULTILINE), place


def test_the_settings_of_every_service_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        with monkeypatch.context() as own:
            for name, value in _environment(service).items():
                if name.startswith("LAMINA_"):
                    own.setenv(name, str(value))
            load_settings()


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_the_loopback_address_alone(service: str) -> None:
    for published in SERVICES[service].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", published)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_is_given_a_secret_by_its_environment(service: str) -> None:
    """`docker inspect` shows the environment, and every child inherits it."""
    named = json.dumps([_environment(service), SERVICES[service].get("command", [])])
    assert not [name for name in (*REQUIRED, *OF_WATCHERS) if re.search(rf"{name}(?!_FILE)", named)]
    assert set(SERVICES[service].get("secrets", ())) <= set(COMPOSE["secrets"])
    used = re.findall(r"/run/secrets/(\w+)", named)
    assert set(used) <= set(SERVICES[service].get("secrets", ()))


def test_the_secrets_are_those_that_the_head_names() -> None:
    assert {secret["environment"] for secret in COMPOSE["secrets"].values()} == {*REQUIRED, *OF_WATCHERS}
    head = FILE.read_text().split("x-build-args")[0]
    assert all(name in head for name in REQUIRED)


@pytest.mark.parametrize("service", [name for name in SERVICES if SERVICES[name]["image"].startswith("lamina-")])
def test_no_container_of_ours_is_asked_through_a_proxy_that_docker_gives_it(service: str) -> None:
    """Health is asked by urllib from inside, which would take the proxy and find nobody well."""
    for name in ("NO_PROXY", "no_proxy"):
        spared = _environment(service)[name].split(",")
        assert {"127.0.0.1", "localhost", *SERVICES} - set(spared) <= {
            *("flink-taskmanager", "spark-worker", "sink"),
            *("airflow-migrate", "airflow-scheduler", "airflow-dags", "airflow-triggerer"),
        }


def test_airflow_asks_who_comes() -> None:
    for service in ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer"):
        assert _environment(service)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "false"
    assert SERVICES["airflow-api"]["command"][0] == "/opt/lamina/deploy/airflow.sh"


def test_every_image_is_named_by_a_digest_that_must_be_given() -> None:
    script = (ROOT / "deploy" / "digests.sh").read_text()
    for name, service in SERVICES.items():
        if service["image"].startswith("lamina-"):
            continue
        image, found = service["image"].split("@")
        variable = re.fullmatch(r"\$\{(\w+):\?run deploy/digests.sh\}", found)
        assert variable is not None, name
        assert f"pin {variable[1]} {image}\n" in script
    for file in _dockerfiles():
        (base,) = re.findall(r"^FROM (.+)$", file.read_text(), re.MULTILINE)
        assert base.endswith("@${PYTHON_DIGEST}")
        assert f"pin PYTHON_DIGEST {base.partition('@')[0]}\n" in script
    assert re.fullmatch(r"\$\{PYTHON_DIGEST:\?.+\}", COMPOSE["x-build-args"]["PYTHON_DIGEST"])


def _pin(folder: Path, said: str) -> subprocess.CompletedProcess[str]:
    """`deploy/digests.sh` in a folder of its own, with a Docker that says `said` of every image."""
    (folder / "deploy").mkdir(exist_ok=True)
    shutil.copy(ROOT / "deploy" / "digests.sh", folder / "deploy")
    (folder / "docker").write_text(f"#!/bin/sh\necho {said}\n")
    (folder / "docker").chmod(0o755)
    env = {"PATH": f"{folder}:/usr/bin:/bin"}
    line = ["bash", str(folder / "deploy" / "digests.sh")]
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


def test_digests_are_written_once_and_beside_what_was_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"AIRFLOW_SECRET=mine\nREDIS_DIGEST={DIGEST}\n")
    other = f"sha256:{'a' * 64}"
    for _ in range(2):
        assert _pin(tmp_path, other).returncode == 0
    lines = (tmp_path / ".env").read_text().splitlines()
    assert sorted(lines) == sorted(["AIRFLOW_SECRET=mine", *(f"{name}={other}" for name in DIGESTS)])
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_last_line_without_its_end_stays_a_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AIRFLOW_SECRET=mine")
    assert _pin(tmp_path, DIGEST).returncode == 0
    assert (tmp_path / ".env").read_text().splitlines()[0] == "AIRFLOW_SECRET=mine"


def test_the_file_of_passwords_is_never_committed() -> None:
    assert {"/.env", "/.env.before"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_what_is_no_digest_is_not_written(tmp_path: Path) -> None:
    done = _pin(tmp_path, "latest")
    assert done.returncode == 1
    assert "has no digest: latest" in done.stderr
    assert (tmp_path / ".env").read_text() == ""


def test_the_connector_in_the_image_is_checked_as_it_is_pinned(tmp_path: Path) -> None:
    """The line of the Dockerfile, run on a jar that is right and on one that is not."""
    (line,) = re.findall(
        r"^RUN (grep .+sha256sum.+)$", (ROOT / "deploy" / "Dockerfile.flink").read_text(), re.MULTILINE
    )
    (jar,) = jars.flink_connector()
    (tmp_path / "lib").mkdir()
    shutil.copy(jar, tmp_path / "lib")
    env = {"FLINK_HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def check() -> int:
        return subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, check=False).returncode

    assert check() == 0
    (tmp_path / "lib" / jar.name).write_bytes(b"another")
    assert check() != 0
    (tmp_path / "lib" / jar.name).unlink()
    assert check() != 0


@pytest.mark.parametrize("service", FRONT.values())
def test_what_others_wait_for_says_when_it_is_well(service: str) -> None:
    test = SERVICES[service]["healthcheck"]["test"]
    assert test[0] in ("CMD", "CMD-SHELL")
    if test[1] == "python":
        compile(test[3], service, "exec")
        (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", test[3])
        assert SERVICES[service]["ports"][0].endswith(f":{port}")


def test_nobody_is_killed_sooner_than_on_a_laptop(tmp_path: Path) -> None:
    plan = StackPlan(
        Layout(tmp_path), dict.fromkeys(PORTS, 1), dict.fromkeys(("airflow_fernet", "airflow_api", "airflow_jwt"), "x")
    )
    for name in LOCAL.keys() - OPTIONAL:
        for program in LOCAL[name](plan).programs:
            grace = SERVICES[program.name]["stop_grace_period"]
            assert int(grace.removesuffix("s")) >= program.stop_wait_s, program.name


def _secret(folder: Path, *arguments: str, **secrets: str) -> subprocess.CompletedProcess[str]:
    for name, value in secrets.items():
        (folder / name).write_text(value)
    env = {"SECRETS": str(folder), "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,anna:viewer"}
    line = [sys.executable, str(ROOT / "deploy" / "secret.py"), *arguments]
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


def test_any_password_of_the_database_reaches_it(tmp_path: Path) -> None:
    from sqlalchemy import make_url

    password = "a@b:c/d?e#f%g h"
    url = make_url(_secret(tmp_path, "database", postgres_password=f"{password}\n").stdout)
    assert (url.password, url.host, url.database) == (password, "postgres", "airflow")


def test_the_file_of_users_is_for_airflow_alone(tmp_path: Path) -> None:
    words = {"admin": "correct horse", "anna": "battery staple"}
    file = tmp_path / "users.json"
    assert _secret(tmp_path, "users", str(file), airflow_users=json.dumps(words)).returncode == 0
    assert json.loads(file.read_text()) == words
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "missing or empty"),
        ("correct horse battery", "no JSON"),
        ('{"admin": "correct horse"}', "password for each of: admin, anna"),
        ('{"admin": "correct horse", "anna": "battery staple", "eve": "battery staple"}', "for each of: admin, anna"),
        ('{"admin": "horse", "anna": "battery staple"}', "password of admin has fewer than 12"),
        ('{"admin": null, "anna": "battery staple"}', "password of admin has fewer than 12"),
    ],
)
def test_users_that_cannot_be_right_stop_the_container(tmp_path: Path, given: str, said: str) -> None:
    """A user without a password would get one from Airflow, which prints it in its log."""
    done = _secret(tmp_path, "users", str(tmp_path / "users.json"), airflow_users=given)
    assert done.returncode == 1
    assert said in done.stderr
    assert "battery" not in done.stderr
    assert not (tmp_path / "users.json").exists()


def test_who_watches_is_started_where_it_is_asked_for_and_scrapes_what_is_there() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" in service} == set(WATCHERS)
    assert all(SERVICES[name]["profiles"] == ["monitoring"] for name in WATCHERS)
    config = read_yaml(ROOT / "deploy/monitoring/prometheus.yml", LaminaError)
    targets = {job["job_name"]: job["static_configs"][0]["targets"][0] for job in config["scrape_configs"]}
    assert targets == {
        "api": f"api:{Settings.model_fields['api_port'].default}",
        "sink": f"sink:{PORTS['sink_metrics']}",
        "prometheus": "localhost:9090",
        "alertmanager": "alertmanager:9093",
    }
    assert SERVICES["sink"]["command"][-2:] == ["--metrics-port", str(PORTS["sink_metrics"])]
    # Prometheus is no client on the same machine.
    assert {_environment(name)["LAMINA_METRICS_HOST"] for name in ("api", "sink")} == {"0.0.0.0"}


def test_alertmanager_is_given_the_files_that_it_reads() -> None:
    text = (ROOT / "deploy/monitoring/alertmanager.yml").read_text()
    read = set(re.findall(r"_file: /run/secrets/(\w+)", text))
    assert read == set(SERVICES["alertmanager"]["secrets"]) and read <= set(COMPOSE["secrets"])


def test_files_of_the_repository_that_are_mounted_exist() -> None:
    for name in WATCHERS:
        for source in _paths(name):
            assert not source.startswith("./") or (ROOT / source).exists(), f"{name}: {source}"
