"""What a Spark driver is told of the settings: what is needed, nothing else, and no secret where others can read it."""

from __future__ import annotations

import ast
import stat
from pathlib import Path

import pytest

from lamina.errors import SettingsError
from lamina.orchestration.handover import FILES, PASSED, SECRET, Handover, hand_over
from lamina.settings import ROOT, Settings, load_settings

SECRET_URL = "redis://user:hunter2@redis:6379/0"
MASTERS = ["spark://local[*]", "spark://spark-master", "spark://yarn", "k8s://https://kubernetes"]
EVERYTHING = {
    "lake_url": "s3://bucket/lake",
    "kafka_bootstrap": "kafka:9092",
    "mlflow_uri": "http://mlflow:5000",
    "topic_prefix": "a-",
    "redis_url": SECRET_URL,
    "tls_certificate": Path("/etc/tls.pem"),
    "tls_key": Path("/etc/key.pem"),
    "tls_key_password": "hunter3",
    "api_keys_file": Path("/etc/keys.yaml"),
}


def public(given: Handover) -> str:
    """All of it that others can read: what goes on the command line."""
    return repr((given.variables, given.conf, given.files))


def settings_read_by_jobs() -> set[str]:
    """Fields of the settings that any module of `jobs/spark` reads."""
    found = set()
    for file in (ROOT / "jobs" / "spark").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in Settings.model_fields:
                owner = ast.unparse(node.value)
                if owner == "settings" or owner.startswith("load_settings("):
                    found.add(node.attr)
    return found


def test_a_driver_is_told_what_the_jobs_read() -> None:
    assert {"lake_url", "redis_url"} <= settings_read_by_jobs() <= {*PASSED, SECRET}


@pytest.mark.parametrize("master", MASTERS)
@pytest.mark.parametrize("in_cluster", [False, True])
def test_no_secret_stands_where_others_read_it(master: str, in_cluster: bool) -> None:
    settings = load_settings(**EVERYTHING, spark_kubernetes_secret="lamina")
    try:
        with hand_over(settings, master, in_cluster) as given:
            assert set(given.variables) <= {f"LAMINA_{name.upper()}" for name in (*PASSED, "secrets_dir")}
            assert given.variables["LAMINA_LAKE_URL"] == "s3://bucket/lake"
            assert "hunter" not in public(given)
    except SettingsError as error:
        assert in_cluster
        assert master in ("spark://local[*]", "spark://spark-master")
        assert "hunter" not in str(error)


def test_only_what_was_set_is_told() -> None:
    with hand_over(Settings(topic_prefix="a-"), "spark://yarn", True) as given:
        assert given == Handover({"LAMINA_TOPIC_PREFIX": "a-"})


@pytest.mark.parametrize("master", MASTERS)
def test_an_address_without_a_password_is_no_secret(master: str) -> None:
    with hand_over(Settings(redis_url="redis://redis:6379/0"), master, True) as given:
        assert given.variables == {"LAMINA_REDIS_URL": "redis://redis:6379/0"}


def test_a_pod_mounts_the_secret_of_kubernetes() -> None:
    settings = load_settings(redis_url=SECRET_URL)
    with pytest.raises(SettingsError, match="LAMINA_SPARK_KUBERNETES_SECRET"), hand_over(settings, MASTERS[3], True):
        pass
    with hand_over(load_settings(redis_url=SECRET_URL, spark_kubernetes_secret="of-lamina"), MASTERS[3], True) as given:
        assert given.conf == {"spark.kubernetes.driver.secrets.of-lamina": FILES}
        assert given.variables["LAMINA_SECRETS_DIR"] == FILES


def test_yarn_is_given_a_private_file_that_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with hand_over(load_settings(redis_url=SECRET_URL), "spark://yarn", True) as given:
        (file,) = given.files
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        monkeypatch.setenv("LAMINA_SECRETS_DIR", str(file.parent))
        monkeypatch.setenv("LAMINA_STACK_DIR", str(file.parent))
        assert load_settings().redis_url.get_secret_value() == SECRET_URL
    assert not file.exists()
