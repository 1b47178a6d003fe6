"""The stack itself: started, killed, started again, and side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lamina.errors import StackError
from lamina.local import jars, orphans
from lamina.local import stack as stack_module
from lamina.local.service import Program, Service, StackPlan, get_json
from lamina.local.services import SERVICES
from lamina.local.stack import Stack

pytestmark = pytest.mark.services


def _quiet(folder: Path, *services: str) -> Stack:
    env = {key: value for key, value in os.environ.items() if not key.startswith("LAMINA_")}
    return Stack(folder, services=services, env=env, preferred_ports=False)


def _states(stack: Stack) -> dict[str, str]:
    return {state.name: state.state for state in stack.status()}


def test_stacks_stand_side_by_side_and_stop_clean(tmp_path: Path) -> None:
    with _quiet(tmp_path / "one", "redis") as one, _quiet(tmp_path / "two", "redis") as two:
        assert one.addresses["redis"] != two.addresses["redis"]
        two.stop()
        assert _states(one)["redis"] == "running"
        assert _states(two)["redis"] == "stopped"
    assert orphans.of_stack(tmp_path / "one") == []
    assert not one.layout.env_file.exists()


def test_the_stack_outlives_kill_9_of_its_supervisor(tmp_path: Path) -> None:
    stack = _quiet(tmp_path / "s", "redis")
    stack.start()
    try:
        supervisor = stack._supervisor.pid()
        assert supervisor is not None
        (redis,) = next(state.pids for state in stack.status() if state.name == "redis")
        os.kill(supervisor, signal.SIGKILL)
        assert stack._supervisor._process is not None
        stack._supervisor._process.wait(5)
        assert psutil.pid_exists(redis)
        again = _quiet(tmp_path / "s", "redis")
        again.start()
        assert not psutil.pid_exists(redis) or psutil.Process(redis).status() == psutil.STATUS_ZOMBIE
        assert again.addresses == stack.addresses, "the ports must stay the same"
        again.stop()
    finally:
        stack.stop()
    assert orphans.of_stack(tmp_path / "s") == []


def test_settings_of_another_process_find_the_stack(tmp_path: Path) -> None:
    with _quiet(tmp_path / "s", "redis") as stack:
        script = "from lamina.settings import load_settings as s; print(s().redis_url.get_secret_value())"
        env = {"LAMINA_STACK_DIR": str(stack.layout.stack_dir), "PATH": os.environ["PATH"]}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == stack.addresses["redis"]


def test_a_dead_proxy_is_in_nobodys_way(tmp_path: Path) -> None:
    """`HTTP_PROXY` without `NO_PROXY`, as in many a company: the stack starts, and the commands find it."""
    dead = "http://127.0.0.1:9"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LAMINA_")}
    env = {key: value for key, value in kept.items() if key.lower() != "no_proxy"}
    env |= {"LAMINA_STACK_DIR": str(tmp_path / "s"), "HTTP_PROXY": dead, "http_proxy": dead, "HTTPS_PROXY": dead}

    def lamina(*arguments: str) -> str:
        line = [sys.executable, "-m", "lamina.cli", *arguments]
        done = subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    stack = Stack(tmp_path / "s", services={"redis", "mlflow"}, env=env, preferred_ports=False)
    try:
        stack.start()
        assert lamina("status").count("running") == 2
        lamina("models", "list")
    finally:
        stack.stop()


def test_a_crashed_program_is_started_again(tmp_path: Path) -> None:
    with _quiet(tmp_path / "s", "redis") as stack:
        (pid,) = next(state.pids for state in stack.status() if state.name == "redis")
        os.kill(pid, signal.SIGKILL)
        stack.start("redis")
        (after,) = next(state.pids for state in stack.status() if state.name == "redis")
        assert after != pid


def test_a_failure_names_the_service_its_log_and_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: StackPlan) -> Service:
        command = (sys.executable, "-c", "raise SystemExit('the disk is on fire')")
        return Service("broken", "-", (Program("broken", command),), ready=lambda: None, deadline_s=60)

    monkeypatch.setattr(stack_module, "SERVICES", {"redis": SERVICES["redis"], "broken": broken})
    stack = _quiet(tmp_path / "s", "redis", "broken")
    with pytest.raises(StackError, match=r"(?s)broken ended by itself.*the disk is on fire.*make doctor"):
        stack.start()
    assert orphans.of_stack(tmp_path / "s") == []


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no such service: kafak"):
        Stack(tmp_path, services={"kafak"})


def test_a_misspelt_topic_is_not_made(kafka: str) -> None:
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(bootstrap_servers=kafka)
    assert "no-such-topic" not in client.list_topics()
    client.close()


@pytest.mark.slow
def test_spark_reads_kafka_with_the_jars_as_pinned(kafka: str, topic_prefix: str) -> None:
    """The source and its token provider are older than PySpark: this is the proof that the mix works."""
    topic = f"{topic_prefix}events"
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.spark_kafka", kafka, topic, *map(str, jars.spark_kafka())],
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    assert done.stdout.splitlines()[-1:] == ["range 30 stream 100"], done.stderr[-3000:]


def test_flink_offers_its_slots_and_checkpoints_to_a_folder(flink_url: str, stack: Stack) -> None:
    assert get_json(f"{flink_url}/overview")["slots-available"] >= 1
    config = {entry["key"]: entry["value"] for entry in get_json(f"{flink_url}/jobmanager/config")}
    assert config["execution.checkpointing.dir"].startswith("file:")
    assert str(stack.layout.stack_dir) in config["execution.checkpointing.dir"]
