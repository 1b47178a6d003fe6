"""The batch jobs as they are submitted to any cluster: `spark-submit` with the archive, to a real standalone master."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest

from lamina.local import archive
from lamina.local.layout import main_bin
from lamina.local.ports import HOST, random_port
from lamina.settings import ROOT
from tests.parity.generated import generate
from tests.parity.lake import write_lake

pytestmark = pytest.mark.services
DISTRIBUTION = Path(pyspark.__file__).parent
DEADLINE_S = 120


def environment() -> dict[str, str]:
    """Only what a user's shell has: no setting of the tests, nothing that would lead Python to the checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA_", "AIRFLOW", "PYTHON"))}
    return {**kept, "SPARK_HOME": str(DISTRIBUTION), "SPARK_LOCAL_IP": HOST, "PYSPARK_PYTHON": str(main_bin("python"))}


def state_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/json/", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


@pytest.fixture
def master(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address of a master with one worker of two cores, and of its page."""
    rng, env = random.Random(), environment()
    port, page, worker_page = (random_port(set(), rng) for _ in range(3))
    start = [str(DISTRIBUTION / "bin" / "spark-class")]
    commands = (
        [
            *start,
            "org.apache.spark.deploy.master.Master",
            "--host",
            HOST,
            "--port",
            str(port),
            "--webui-port",
            str(page),
        ],
        [
            *start,
            "org.apache.spark.deploy.worker.Worker",
            *("--host", HOST, "--cores", "2", "--memory", "2g", "--webui-port", str(worker_page)),
            *("--work-dir", str(tmp_path / "work"), f"spark://{HOST}:{port}"),
        ],
    )
    processes = []
    try:
        for number, command in enumerate(commands):
            log = (tmp_path / f"spark-{number}.log").open("wb")
            processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path))
        deadline = time.monotonic() + DEADLINE_S
        while True:
            assert time.monotonic() < deadline, (tmp_path / "spark-1.log").read_text()
            try:
                if state_of(f"http://{HOST}:{page}")["aliveworkers"] == 1:
                    break
            except OSError:
                pass
            time.sleep(0.5)
        yield f"spark://{HOST}:{port}", f"http://{HOST}:{page}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def test_a_batch_job_runs_on_a_standalone_cluster(master: tuple[str, str], tmp_path: Path) -> None:
    address, page = master
    lake = tmp_path / "lake"
    write_lake(lake, generate(5))
    command = [
        str(main_bin("spark-submit")),
        *("--master", address, "--conf", "spark.executor.memory=1g", "--driver-memory", "1g"),
        *("--py-files", str(archive.pack(tmp_path / "code.zip"))),
        str(ROOT / "jobs" / "spark" / "batch_features.py"),
        *("--system", "fraud", "--date", "2018-08-18", "--lake-url", str(lake)),
    ]
    run = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    counts = json.loads(run.stdout.splitlines()[-1])
    assert counts["events"]["transactions"] > counts["duplicates"]["transactions"] > 0
    assert all(rows > 0 for rows in counts["tiles"].values())
    assert list(lake.glob("tiles/user/*/through=2018-08-19/*.parquet"))
    [application] = state_of(page)["completedapps"]
    assert application["name"] == "batch_features", "it ran on the cluster, not in the driver"
