"""Settings are checked when they are read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from pydantic import ValidationError

from lamina.errors import SettingsError
from lamina.setting_checks import CHECKS, FOLDERS
from lamina.setting_names import OTHERS, variable
from lamina.settings import ROOT, STACK_ENV, Settings, load_settings


@pytest.fixture(autouse=True)
def no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path))
    return tmp_path


def test_environment_wins_over_a_running_stack(no_stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_stack / STACK_ENV).write_text("LAMINA_API_PORT=9001\nLAMINA_KAFKA_BOOTSTRAP=127.0.0.1:1\n")
    monkeypatch.setenv("LAMINA_API_PORT", "9002")
    settings = load_settings()
    assert (settings.api_port, settings.kafka_bootstrap) == (9002, "127.0.0.1:1")


def test_a_password_is_not_printed() -> None:
    assert "hunter2" not in repr(load_settings(redis_url="redis://:hunter2@127.0.0.1/0"))


def test_a_deadline_below_a_timeout_is_refused() -> None:
    with pytest.raises(ValidationError, match="LAMINA_DECISION_DEADLINE_MS"):
        load_settings(decision_deadline_ms=10, redis_timeout_ms=50)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        load_settings(kafka_bootsrap="x")


REDIS = "LAMINA_REDIS_URL"
PASSWORD = "qq1#qq2/qq3@qq4?qq5%qq6"  # each sign ends something in a URL


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What is said of variables that are refused."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        load_settings()
    return str(caught.value)


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`lamina ...` in a process of its own."""
    env = {**os.environ, **variables}
    line = [sys.executable, "-m", "lamina.cli", *arguments]
    return subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LAMINA_KAFKA_BOOTSRAP", "LAMINA_KAFKA_BOOTSTRAP"),
        ("LAMINA_REDIS", "LAMINA_REDIS_URL"),
        ("lamina_api_prot", "LAMINA_API_PORT"),
        ("LAMINA_IMPORT_SALTS", "LAMINA_IMPORT_SALT"),
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_named(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    said = refusal(monkeypatch, **{name: "hunter2"})
    assert name.upper() in said
    assert f"is {near} meant?" in said
    assert "hunter2" not in said


def test_an_unknown_name_in_the_file_of_a_stack_is_refused(no_stack: Path) -> None:
    (no_stack / STACK_ENV).write_text("LAMINA_KAFKA=127.0.0.1:1\n")
    with pytest.raises(ValidationError, match="lamina_kafka"):
        load_settings()


@pytest.mark.parametrize("name", OTHERS)
def test_variables_of_other_parts_are_none_of_the_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    load_settings()


def test_names_that_kubernetes_makes_are_known_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"LAMINA_API_SERVICE_HOST": "10.0.0.1", "LAMINA_API_PORT_8000_TCP_ADDR": "10.0.0.1"}
    assert "LAMINA_API_SERVICE_HOST" in refusal(monkeypatch, **made)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.2")
    load_settings()
    assert "enableServiceLinks" in refusal(monkeypatch, LAMINA_API_PORT="tcp://10.0.0.1:8000")


def test_a_wrong_variable_ends_a_command_with_one_sentence() -> None:
    done = command("status", LAMINA_KAFKA_BOOTSRAP="x")
    assert done.returncode == 1
    assert done.stderr == "no setting has the variable LAMINA_KAFKA_BOOTSRAP: is LAMINA_KAFKA_BOOTSTRAP meant?\n"


ADDRESSES = [variable(name) for name in CHECKS]
PATHS = [variable(name) for name, field in Settings.model_fields.items() if field.annotation in (Path, Path | None)]


@pytest.mark.parametrize("name", [*ADDRESSES, *PATHS])
@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_address_or_path_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    said = refusal(monkeypatch, **{name: value})
    assert name in said


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("value", ["/", ".", "..", "/srv/..", "/srv/lake ", "file:/srv/lake", "s3://bucket/lake"])
def test_a_path_that_can_be_none_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert name in refusal(monkeypatch, **{name: value})


def test_a_relative_file_is_of_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMINA_API_KEYS_FILE", "keys.yaml")
    assert load_settings().api_keys_file == tmp_path / "keys.yaml"


@pytest.mark.parametrize("name", [*sorted(map(variable, FOLDERS)), "LAMINA_LAKE_URL"])
@pytest.mark.parametrize("value", ["/", "//", ".", "lake", "./lake", "/srv/../..", "/srv/lake ", "file:/srv"])
def test_a_path_that_is_another_one_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert name in refusal(monkeypatch, **{name: value})
    assert not list(tmp_path.iterdir())


def test_every_path_and_address_of_the_settings_is_among_them() -> None:
    assert {"LAMINA_STACK_DIR", "LAMINA_API_KEYS_FILE", "LAMINA_SECRETS_DIR"} <= set(PATHS)
    looks = ("_url", "_uri", "_bootstrap", "_host")
    assert {variable(n) for n in Settings.model_fields if n.endswith(looks)} == set(ADDRESSES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAMINA_LAKE_URL", "s3://"),
        ("LAMINA_LAKE_URL", "s3:///lake"),
        ("LAMINA_LAKE_URL", "s3:/bucket/lake"),
        ("LAMINA_LAKE_URL", "file://lake"),
        ("LAMINA_LAKE_URL", "file:///"),
        ("LAMINA_LAKE_URL", "s3://key:hunter2@bucket/lake"),
        ("LAMINA_MLFLOW_URI", "mlflow:5000"),
        ("LAMINA_MLFLOW_URI", "sqlite:///mlflow.db"),
        ("LAMINA_MLFLOW_URI", "http://"),
        ("LAMINA_MLFLOW_URI", "http://me:hunter2@mlflow:5000"),
        ("LAMINA_FLINK_URL", "http:///jobs"),
        ("LAMINA_API_HOST", ""),
        ("LAMINA_API_HOST", "0.0.0.0:8000"),
        ("LAMINA_METRICS_HOST", ""),
        ("LAMINA_METRICS_HOST", "http://127.0.0.1"),
        ("LAMINA_AIRFLOW_URL", "http://airflow:port"),
        ("LAMINA_KAFKA_BOOTSTRAP", "kafka"),
        ("LAMINA_KAFKA_BOOTSTRAP", "kafka:9092,"),
        ("LAMINA_KAFKA_BOOTSTRAP", "http://kafka:9092"),
        ("LAMINA_KAFKA_BOOTSTRAP", "kafka:99999"),
        (REDIS, "127.0.0.1:6379"),
        (REDIS, "redis://"),
        (REDIS, "redis:///0"),
        (REDIS, "redis://host:port/0"),
        (REDIS, "redis://host/users"),
        (REDIS, "http://host:6379"),
        (REDIS, "unix://:hunter2@sock"),
        (REDIS, "redis://host:6379/0?client_name=me@here"),
        (REDIS, "redis://host:6379/0?password=hunter2"),
        (REDIS, "redis://me@host:6379/0?db=1&p%61ssword=hunter2"),
        (REDIS, "unix:///run/redis.sock?password=hunter2"),
    ],
)
def test_half_an_address_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    said = refusal(monkeypatch, **{name: value})
    assert name in said
    assert "hunter2" not in said


@pytest.mark.parametrize("name", [n for n, f in Settings.model_fields.items() if f.annotation is float])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_bound_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(ValidationError, match="finite number"):
        load_settings()


@pytest.mark.parametrize(
    "value", ["/srv/lake", "s3://bucket", "s3://bucket/a lake[1]", "file:///srv/lake", "memory://lake", "hdfs:///lake"]
)
def test_a_lake_is_a_folder_or_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LAMINA_LAKE_URL", value)
    assert load_settings().lake_url == value


def test_a_relative_lake_on_a_command_line_is_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(lake_url="lake").lake_url == str(tmp_path / "lake")
    with pytest.raises(ValidationError, match="LAMINA_LAKE_URL"):
        load_settings(lake_url="")


@pytest.mark.parametrize("sign", [*"#@/?%:[]&=+ é", "%zz", "##", "a@b#c/d?e"])
@pytest.mark.parametrize("place", ["{}word", "wo{}rd", "word{}", "12{}x4"])
def test_any_password_arrives_as_it_was_written(monkeypatch: pytest.MonkeyPatch, sign: str, place: str) -> None:
    password = place.format(sign)
    monkeypatch.setenv(REDIS, f"redis://user:{password}@127.0.0.1:6379/3")
    found = redis.ConnectionPool.from_url(load_settings().redis_url.get_secret_value()).connection_kwargs
    expected = {"username": "user", "password": password, "host": "127.0.0.1", "port": 6379, "db": 3}
    assert {name: found[name] for name in expected} == expected


def test_a_password_that_looks_like_an_option_is_one_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REDIS, "redis://:word?password=x@127.0.0.1:6379/3")
    found = redis.ConnectionPool.from_url(load_settings().redis_url.get_secret_value()).connection_kwargs
    assert (found["host"], found["password"]) == ("127.0.0.1", "word?password=x")


def test_an_encoded_password_stays_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REDIS, "rediss://:a%23b%2Fc@host:1/0?socket_timeout=5")
    assert load_settings().redis_url.get_secret_value() == "rediss://:a%23b%2Fc@host:1/0?socket_timeout=5"


def parts(password: str) -> list[str]:
    return [part for part in re.split(r"[#/@?%]", password) if part]


@pytest.mark.parametrize("host", ["nobody here", "127.0.0.1:port", "127.0.0.1:9/x", ""])
def test_no_part_of_a_password_is_told(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    said = refusal(monkeypatch, LAMINA_REDIS_URL=f"redis://:{PASSWORD}@{host}")
    assert REDIS in said
    assert not [part for part in parts(PASSWORD) if part in said]


@pytest.mark.parametrize(
    ("host", "arguments"),
    [
        ("127.0.0.1:port", ("status",)),
        ("127.0.0.1:port", ("doctor",)),
        ("127.0.0.1:9/0", ("features", "get", "user", "1")),
        ("nowhere.invalid:9/0", ("features", "get", "user", "1")),
    ],
)
def test_no_part_of_a_password_is_printed(host: str, arguments: tuple[str, ...]) -> None:
    done = command(*arguments, LAMINA_REDIS_URL=f"redis://:{PASSWORD}@{host}")
    assert done.returncode == 1
    assert REDIS in done.stderr
    assert not [part for part in parts(PASSWORD) if part in done.stdout + done.stderr]


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lamina_redis_url").write_text("redis://:hunter2@elsewhere:1/0\n")
    (tmp_path / "other").write_text("not of lamina")
    monkeypatch.setenv("LAMINA_SECRETS_DIR", str(tmp_path))
    assert load_settings().redis_url.get_secret_value() == "redis://:hunter2@elsewhere:1/0"
    (tmp_path / "lamina_redis_ulr").write_text("redis://:hunter2@elsewhere:1/0\n")
    assert "is LAMINA_REDIS_URL meant?" in refusal(monkeypatch)
    assert "no folder" in refusal(monkeypatch, LAMINA_SECRETS_DIR=str(tmp_path / "gone"))


def test_every_name_in_documents_and_code_is_known() -> None:
    """A name that is told and refused would send its reader in a circle."""
    known = {*map(variable, Settings.model_fields), *OTHERS}
    files = [ROOT / "README.md", ROOT / "docker-compose.yml", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")]
    for folder in ("lamina", "jobs", "models", "serving", "dags", "benchmarks", "deploy"):
        files += [file for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".sh", ".yaml")]
    told = {
        (name, file.relative_to(ROOT).as_posix())
        for file in files
        for name in re.findall(r"\bLAMINA_[A-Z0-9_]*[A-Z0-9]\b", file.read_text())
        if "decisions/125" not in file.as_posix()
    }
    assert len(told) > 30
    assert sorted(one for one in told if one[0] not in known) == []


@pytest.mark.parametrize("name", ["a'b", "../x", "", "a b"])
def test_the_default_model_has_a_models_name(name: str) -> None:
    with pytest.raises(ValidationError, match="predict_model"):
        Settings(predict_model=name)
