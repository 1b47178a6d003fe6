"""A real spark-submit, as the DAGs call it: no secret is in the arguments of any process, in the specification of a
pod, on Spark's page of its environment or in its event log; and the driver has it all the same.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from lamina.local import archive
from lamina.local.layout import main_bin
from lamina.local.ports import HOST, random_port
from lamina.orchestration.handover import FILES
from lamina.orchestration.jobs import CODE
from lamina.settings import ROOT

pytestmark = pytest.mark.services
SECRET = "qq1 qq2".replace(" ", "#")
PARTS = ("qq1", "qq2")

SUBMIT = """
import sys
from unittest import mock
from airflow.providers.apache.spark.hooks import spark_submit
from lamina.orchestration import spark
from lamina.orchestration.jobs import PUBLISH

job = spark.SparkJobOperator(task_id="publish", job=PUBLISH, arguments={}, dated=False)
job.conf = dict(one.split("=", 1) for one in sys.argv[2:])
job.application = sys.argv[1]
# The provider asks for a client of Kubernetes before it submits, and uses it to delete pods only.
with mock.patch.object(spark_submit, "kube_client", object(), create=True):
    job.execute({})
"""

DRIVER = """
import json, urllib.request
from pyspark.sql import SparkSession
from lamina.settings import load_settings

spark = SparkSession.builder.getOrCreate()
spark.range(3).count()
context = spark.sparkContext
page = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/environment"
with urllib.request.urlopen(page) as answer:
    shown = answer.read().decode()
has = "qq1" in load_settings().redis_url.get_secret_value()
print("DRIVER " + json.dumps({"has": has, "shows": [part for part in ("qq1", "qq2") if part in shown]}))
spark.stop()
"""


def submit(tmp_path: Path, connection: str, driver: Path, **conf: str) -> tuple[str, list[str]]:
    """What a task printed that submits `driver`, and the arguments of every process that it started."""
    if not CODE.exists():
        archive.pack(CODE)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA_", "AIRFLOW", "PYTHON"))}
    env = kept | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW_CONN_SPARK_DEFAULT": connection,
        "LAMINA_REDIS_URL": f"redis://:{SECRET}@{HOST}:1/0",
        "LAMINA_STACK_DIR": str(tmp_path / "stack"),
        "LAMINA_SPARK_KUBERNETES_SECRET": "of-lamina",
        "PATH": f"{main_bin('python').parent}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": HOST,
    }
    command = [sys.executable, "-c", SUBMIT, str(driver), *(f"{key}={value}" for key, value in conf.items())]
    printed = tmp_path / "printed"
    seen: set[str] = set()
    with printed.open("w") as output:
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    try:
                        seen.add(Path(f"/proc/{child.pid}/cmdline").read_text().replace("\0", " "))
                    except (OSError, psutil.Error):
                        continue
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    return printed.read_text(), sorted(seen)


def secrets_in(*texts: str) -> list[str]:
    return [part for part in PARTS if any(part in text for text in texts)]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked at by /proc")
def test_a_driver_beside_the_task_has_the_secret_and_shows_it_nowhere(tmp_path: Path) -> None:
    driver, log = tmp_path / "driver.py", tmp_path / "events"
    driver.write_text(DRIVER)
    log.mkdir()
    connection = json.dumps({"conn_type": "spark", "host": "local[1]", "extra": {"spark-binary": "spark-submit"}})
    page = random_port(set(), random.Random())
    conf = {
        "spark.ui.enabled": "true",
        "spark.ui.port": str(page),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": log.as_uri(),
    }
    printed, commands = submit(tmp_path, connection, driver, **conf)
    assert any("org.apache.spark.deploy.SparkSubmit" in command for command in commands), printed[-4000:]
    (said,) = [line.split("DRIVER ", 1)[1] for line in printed.splitlines() if "DRIVER {" in line]
    assert json.loads(said[: said.index("}") + 1].replace('\\"', '"')) == {"has": True, "shows": []}
    events = [file.read_text(errors="replace") for file in log.rglob("*") if file.is_file()]
    assert any("SparkListenerEnvironmentUpdate" in text for text in events)
    assert secrets_in(printed, *commands, *events) == []


class Kubernetes(BaseHTTPRequestHandler):
    """As much of an API server as spark-submit asks before it has handed in a driver's pod."""

    posted: ClassVar[list[dict[str, Any]]] = []

    def _answer(self, body: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._answer({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)

    def do_POST(self) -> None:
        made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.posted.append(made)
        made["metadata"] |= {"uid": "1", "namespace": "default", "resourceVersion": "1"}
        self._answer(made, 201)

    def do_PATCH(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(self.posted[-1])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def kubernetes() -> Iterator[str]:
    Kubernetes.posted.clear()
    server = ThreadingHTTPServer((HOST, 0), Kubernetes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked at by /proc")
def test_a_pod_is_told_where_the_secret_is_and_not_what_it_is(tmp_path: Path, kubernetes: str) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    extra = {"spark-binary": "spark-submit", "deploy-mode": "cluster", "namespace": "default"}
    connection = json.dumps({"conn_type": "spark", "host": f"k8s://{kubernetes}", "extra": extra})
    conf = {
        "spark.kubernetes.container.image": "lamina-spark",
        "spark.kubernetes.file.upload.path": (tmp_path / "uploads").as_uri(),
        "spark.kubernetes.submission.waitAppCompletion": "false",
    }
    printed, commands = submit(tmp_path, connection, driver, **conf)
    assert any("driver.secrets.of-lamina" in command for command in commands), printed[-4000:]
    pods = [made for made in Kubernetes.posted if made["kind"] == "Pod"]
    assert pods, printed[-4000:]
    (container,) = pods[0]["spec"]["containers"]
    assert {"name": "LAMINA_SECRETS_DIR", "value": FILES} in container["env"]
    assert FILES in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert secrets_in(printed, json.dumps(Kubernetes.posted), *commands) == []
