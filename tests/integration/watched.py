"""A real Prometheus and Alertmanager on the repository's own files, and a webhook that takes what they tell."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import yaml

from lamina.errors import LaminaError
from lamina.local.prometheus import Programs
from lamina.yaml_files import read_yaml
from tests.integration.serving import free_port, until
from tests.watching import MONITORING

EACH_S = 1
"""Between two scrapes, and two looks at the rules: 15 s in the files."""
STOP_S = 10


@dataclass
class Webhook:
    """What was told: alerts by name and status, in the order in which they came."""

    port: int = field(default_factory=free_port)
    told: list[dict[str, Any]] = field(default_factory=list)

    def statuses(self, alert: str) -> list[str]:
        return [each["status"] for each in self.told if each["labels"]["alertname"] == alert]

    def take(self, _: str, __: Message, body: bytes) -> None:
        self.told.extend(json.loads(body)["alerts"])


class Watched:
    """What a running Prometheus says."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        answer = self._client.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def numbers(self, expression: str) -> list[float]:
        return [float(each["value"][1]) for each in self.ask(expression)]

    def targets(self) -> dict[str, str]:
        found = self._client.get("/targets").json()["data"]["activeTargets"]
        return {each["labels"]["job"]: each["health"] + each["lastError"] for each in found}

    def rules(self) -> list[dict[str, Any]]:
        groups = self._client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> set[str]:
        found = self._client.get("/alerts").json()["data"]["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}


@contextmanager
def watching(programs: Programs, folder: Path, targets: Mapping[str, int], webhook: Webhook) -> Iterator[Watched]:
    """Prometheus and Alertmanager on the repository's files, of which addresses, secrets and patience alone differ.

    Args: targets: ports by the name of the job.
    """
    ports = {"prometheus": free_port(), "alertmanager": free_port()}
    _write_prometheus(folder, {**targets, **ports})
    _write_alertmanager(folder, webhook)
    commands = [
        [
            programs.alertmanager,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
            "--cluster.listen-address=",
        ],
        [
            programs.prometheus,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        ],
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "log").open("wb") as log:
            for command in commands:
                running.append(
                    subprocess.Popen(
                        [str(each) for each in command], cwd=programs.home or folder, stdout=log, stderr=log
                    )
                )
            for port in ports.values():
                until(lambda port=port: _ready(port) or any(each.poll() is not None for each in running))
            assert all(each.poll() is None for each in running), (folder / "log").read_text()[-3000:]
            yield Watched(ports["prometheus"])
    finally:
        for each in running:
            each.terminate()
        for each in running:
            try:
                each.wait(STOP_S)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _write_prometheus(folder: Path, ports: Mapping[str, int]) -> None:
    config = read_yaml(MONITORING / "prometheus.yml", LaminaError)
    config["global"] |= {"scrape_interval": f"{EACH_S}s", "evaluation_interval": f"{EACH_S}s"}
    config["global"]["scrape_timeout"] = f"{EACH_S}s"
    config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    (alertmanagers,) = config["alerting"]["alertmanagers"]
    alertmanagers["static_configs"] = [{"targets": [f"127.0.0.1:{ports['alertmanager']}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))


def _write_alertmanager(folder: Path, webhook: Webhook) -> None:
    config = read_yaml(MONITORING / "alertmanager.yml", LaminaError)
    (folder / "secret").write_text("of a test")
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": f"{EACH_S}s", "group_interval": f"{EACH_S}s"}
    for receiver in config["receivers"]:
        # Who is really paged is not asked here.
        receiver.pop("pagerduty_configs", None)
        for each in receiver["webhook_configs"]:
            each["url"] = f"http://127.0.0.1:{webhook.port}/alerts"
            each["http_config"]["authorization"]["credentials_file"] = str(folder / "secret")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
