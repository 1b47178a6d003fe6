"""Peers that serve the trees of a fraud model over HTTP, a process each: MLflow's scoring server, BentoML."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.peers.environment import peers_python
from lamina.local.ports import random_port
from lamina.settings import ROOT

READY_S = 120.0


@dataclass(frozen=True)
class Server:
    """A running peer: where it takes rows, and the body in which it takes one row of encoded inputs."""

    name: str
    url: str
    pid: int

    def body(self, names: Sequence[str], row: Sequence[float | None]) -> bytes:
        """One row as this server takes it."""
        if self.name == "mlflow":
            return orjson.dumps({"dataframe_split": {"columns": list(names), "data": [row]}})
        return orjson.dumps({"rows": [row]})

    def score(self, body: bytes) -> float:
        """What it answers."""
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = orjson.loads(answer.read())
        return float((found["predictions"] if self.name == "mlflow" else found)[0])


@contextmanager
def mlflow_server(model: Path, folder: Path) -> Iterator[Server]:
    """MLflow's scoring server, as `mlflow models serve` starts it, on the trees in `model`."""
    made = folder / "mlflow-model"
    environment = _environment()
    command = [sys.executable, "-m", "benchmarks.peers.mlflow_model", str(model), str(made)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    port = random_port(set(), random.Random())
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    options = ["models", "serve", "--model-uri", str(made), "--env-manager", "local", "--port", str(port)]
    with _running([mlflow, *options], environment, f"http://127.0.0.1:{port}/ping", folder / "mlflow.log") as pid:
        yield Server("mlflow", f"http://127.0.0.1:{port}/invocations", pid)


@contextmanager
def bentoml_server(model: Path, folder: Path) -> Iterator[Server]:
    """BentoML's server on the trees in `model`, from the environment of the peers."""
    port = random_port(set(), random.Random())
    environment = _environment() | {
        "FRAUD_MODEL": str(model),
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    command = [str(peers_python()), "-m", "bentoml", "serve", "benchmarks.peers.bento:Fraud", "--port", str(port)]
    with _running(command, environment, f"http://127.0.0.1:{port}/readyz", folder / "bentoml.log") as pid:
        yield Server("bentoml", f"http://127.0.0.1:{port}/predict", pid)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMINA_")}
    return kept | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], ready: str, log: Path) -> Iterator[int]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        _await(command[0], process, ready, log)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(name: str, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} does not serve: {log.read_text()[-2000:]}")
        time.sleep(0.2)
