"""Real services for the whole session, started only when a test asks for them, and stopped whatever happens."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from lamina.errors import StackError
from lamina.local import jars, orphans
from lamina.local import prometheus as monitoring
from lamina.local.jvm import FRUGAL
from lamina.local.stack import Stack
from lamina.settings import ROOT, load_settings
from tests.networks import Networks
from tests.processes import Begun, ByServers, settle_in

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Every JVM of the tests ends soon, and the optimising compiler would cost more than it gives.
os.environ.setdefault("JAVA_TOOL_OPTIONS", " ".join(FRUGAL))

PREFIX = "lamina-test-"
TORCH = ROOT / ".venv-networks"
"""The environment with torch, where somebody made it."""
NO_PROMETHEUS = "there is no Prometheus here"
NO_OPENSEARCH = "there is no OpenSearch here"


def pytest_configure(config: pytest.Config) -> None:
    """With `--numprocesses`: each of them settles in, and the one that asks them says where they are."""
    if (given := getattr(config, "workerinput", None)) is not None:
        settle_in(given["workerid"])
    elif config.getoption("dist", "no") != "no":
        config.pluginmanager.register(Begun(config.pluginmanager))


def pytest_unconfigure() -> None:
    """What models that tests took over kept from being collected is let go of in order: DuckDB tells of it else."""
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByServers:
    """Who gets which tests."""
    return ByServers(config, log)


def _clear_killed_sessions() -> None:
    """End what a killed test session left behind: its folder names its pid."""

    def abandoned(stack_dir: str) -> bool:
        found = re.search(rf"/{PREFIX}(\d+)-", stack_dir)
        return found is not None and not psutil.pid_exists(int(found.group(1)))

    orphans.end(list(orphans.marked(abandoned)))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The session's stack, with nothing running yet: `stack.start("kafka")` adds a service."""
    _clear_killed_sessions()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    # Tests trigger the days they want; a run for yesterday would stand in their way.
    env["LAMINA_DAG_SCHEDULE"] = "none"
    session = Stack(folder / "stack", services=(), env=env, preferred_ports=False)
    try:
        yield session
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(stack: Stack) -> str:
    """Bootstrap address of a real broker."""
    return stack.start("kafka")["kafka"]


@pytest.fixture(scope="session")
def redis_url(stack: Stack) -> str:
    """URL of a real Redis, shared by the session."""
    return stack.start("redis")["redis"]


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """The same Redis, emptied."""
    from redis import Redis

    client = Redis.from_url(redis_url)
    client.flushall()
    client.close()
    return redis_url


@pytest.fixture(scope="session")
def mlflow_uri(stack: Stack) -> str:
    """URI of a real MLflow server."""
    return stack.start("mlflow")["mlflow"]


@pytest.fixture(scope="session")
def flink_url(stack: Stack) -> str:
    """REST address of a real session cluster; `stack.flink_env()` are the variables for `flink run`."""
    return stack.start("flink")["flink"]


@pytest.fixture(scope="session")
def opensearch_url(stack: Stack) -> str:
    """Address of a real OpenSearch that searches vectors; skips where its jars cannot be had, which is counted."""
    try:
        if jars.missing("opensearch"):
            jars.fetch("opensearch")
    except StackError as error:
        pytest.skip(f"{NO_OPENSEARCH}: {error}")
    return stack.start("opensearch")["opensearch"]


@pytest.fixture(scope="module")
def airflow_url(stack: Stack) -> Iterator[str]:
    """Address of a real Airflow, for one module: even with nothing to do its five processes keep a core busy in part.

    `stack.airflow_env()` are the variables for its command line.
    """
    yield stack.start("airflow")["airflow"]
    stack.stop_service("airflow")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One real local Spark for the whole session, with few partitions: test data is small."""
    from jobs.spark.session import make_session

    options = {
        "spark.master": "local[2]",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "2g",
        # Many small jobs: the optimising compiler would cost more than it gives, half of the processor time here. What
        # they compile in a session is more than the 48 MB that there are for it without that compiler.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=200m",
    }
    session = make_session("tests", conf=options)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Networks that torch exported, and what it says of them; skips where there is no torch."""
    if not (TORCH / ".stamp").exists():
        pytest.skip("there is no environment with torch: make networks")
    folder = tmp_path_factory.mktemp("networks")
    command = [str(TORCH / "bin" / "python"), "-m", "tests.torch_networks", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Networks.read(folder)


@pytest.fixture(scope="session")
def prometheus() -> monitoring.Programs:
    """Prometheus and Alertmanager, fetched where there is apt-get; skips where there are none, which is counted."""
    try:
        return monitoring.fetch()
    except StackError as error:
        pytest.skip(f"{NO_PROMETHEUS}: {error}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were left out for want of a program, so that a green run is not taken for more than it is."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    for what, why, how in (
        ("alerts and dashboards", NO_PROMETHEUS, "prometheus"),
        ("indexes in OpenSearch", NO_OPENSEARCH, "opensearch"),
    ):
        if left_out := sum(why in text for text in skipped):
            terminalreporter.write_line(f"{left_out} tests of {what} were skipped: {why} (make {how}).")


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}-"


@pytest.fixture(scope="session")
def handbook() -> Path:
    """Folder of the fraud handbook's data; skips where it is absent."""
    folder = load_settings().data / "fraud_handbook"
    if not folder.exists():
        pytest.skip(f"{folder} is absent: set LAMINA_DATA to the folder that holds fraud_handbook")
    return folder
