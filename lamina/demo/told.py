"""Where an alert is seen: in a Prometheus on the shipped rules where one is installed, else in the console."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

from lamina.demo.posting import DemoError
from lamina.errors import LaminaError
from lamina.local import prometheus
from lamina.local.ports import HOST, random_port
from lamina.settings import ROOT
from lamina.yaml_files import read_yaml

MONITORING = ROOT / "deploy" / "monitoring"
API_JOB = "api"
EACH_S, READY_S, STOP_S = 2, 30.0, 10.0
PATIENCE_S = 120.0
"""The API looks for new reports each minute, and the console keeps a page for half a minute."""


class Board(Protocol):
    """Something on which alerts are seen. `name`: what it is."""

    name: str

    def told(self, system: str, alerts: Collection[str]) -> list[str]:
        """How those of `alerts` that are told of `system` are told, of reports of monitoring."""


@dataclass(frozen=True)
class OnConsole(Board):
    """The page of the console that shows the newest reports. `client`: of the API, signed in."""

    client: httpx.Client
    name: str = "the console"

    def told(self, system: str, alerts: Collection[str]) -> list[str]:
        """See `Board.told`."""
        page = self.client.get("/console/measured").raise_for_status().text
        return sorted(alert for alert in alerts if f' data-alert="{system}/{alert}"' in page)


@dataclass(frozen=True)
class OnPrometheus(Board):
    """A running Prometheus."""

    url: str
    name: str = "Prometheus"

    def told(self, system: str, alerts: Collection[str]) -> list[str]:
        """See `Board.told`."""
        found = httpx.get(f"{self.url}/api/v1/alerts", timeout=10).raise_for_status().json()["data"]["alerts"]
        return sorted(
            f"{labels['alertname']} ({labels['alert']})"
            for labels in (each["labels"] for each in found if each["state"] == "firing")
            if labels.get("system") == system and labels.get("alert") in alerts
        )


@contextmanager
def board(api_url: str) -> Iterator[Board]:
    """Where alerts are to be seen of the API at `api_url`."""
    programs = prometheus.find()
    if programs is None:
        with httpx.Client(base_url=api_url, timeout=30) as client:
            # Without a file of keys whoever is on this machine is let in, under any name.
            answer = client.post("/console/sign-in", data={"name": "demo"})
            if not answer.is_redirect:
                raise DemoError(f"the console lets nobody in ({answer.status_code}): leave LAMINA_API_KEYS_FILE empty")
            yield OnConsole(client)
        return
    with (
        tempfile.TemporaryDirectory(prefix="lamina-demo-prometheus-") as name,
        _running(programs, Path(name), api_url) as url,
    ):
        yield OnPrometheus(url)


def wait_until_told(board: Board, system: str, alerts: Collection[str]) -> list[str]:
    """How `alerts` of `system` are told, once some are.

    Raises: DemoError: when none is for a while.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := board.told(system, alerts)):
        if time.monotonic() > deadline:
            raise DemoError(f"{board.name} tells nothing of {', '.join(sorted(alerts))} after {PATIENCE_S:.0f} s")
        time.sleep(EACH_S)
    return found


@contextmanager
def _running(programs: prometheus.Programs, folder: Path, api_url: str) -> Iterator[str]:
    port = random_port(set(), random.Random())
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_config(api_url)))
    command = [
        str(programs.prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _await(f"http://{HOST}:{port}", process, folder / "log")
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _config(api_url: str) -> dict[str, Any]:
    """The shipped one, of which the API alone is there to be asked, and more often."""
    config: dict[str, Any] = read_yaml(MONITORING / "prometheus.yml", LaminaError)
    config["global"] |= {"scrape_interval": f"{EACH_S}s", "scrape_timeout": f"{EACH_S}s"}
    config["global"]["evaluation_interval"] = f"{EACH_S}s"
    config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
    config["scrape_configs"] = [each for each in config["scrape_configs"] if each["job_name"] == API_JOB]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [api_url.removeprefix("http://")]}]
    del config["alerting"]
    return config


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            if httpx.get(f"{url}/-/ready", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"Prometheus does not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)
