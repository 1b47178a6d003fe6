"""Nothing on this machine is asked through a proxy: every client, with a real server here and a proxy that is dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamina import proxies
from lamina.local.stack import Stack
from lamina.settings import ROOT

DEAD = "http://127.0.0.1:9"
"""The port of a service that no machine offers: who asks it is refused at once."""

CLIENTS = {
    "the stack's readiness": "from lamina.local.service import get_json; get_json(f'{url}/health')",
    "flink": "from lamina.streams.submit import running_jobs; running_jobs(url)",
    "airflow": "from lamina.orchestration.airflow_client import AirflowClient\n"
    "with AirflowClient(url) as client: client.wait_for_dag('x')",
    "mlflow": "from lamina.registry.mlflow import MlflowRegistry; list(MlflowRegistry(url).names())",
    "requests": "import requests; requests.get(url, timeout=5).raise_for_status()",
    "httpx": "import httpx; httpx.get(url).raise_for_status()",
    "urllib": "import urllib.request; urllib.request.urlopen(url, timeout=5).read()",
    "a child's": "import subprocess, sys; subprocess.run([sys.executable, '-c', "
    "f'import urllib.request; urllib.request.urlopen({url!r}, timeout=5)'], check=True)",
}


class Answers(BaseHTTPRequestHandler):
    """Whatever is asked, an answer that each of the clients can read."""

    def do_GET(self) -> None:
        body = json.dumps({"jobs": [], "access_token": "t", "registered_models": [], "dag_id": "x"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def here() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": DEAD, "http_proxy": DEAD, "HTTPS_PROXY": DEAD},
        {"http_proxy": DEAD, "no_proxy": "", "NO_PROXY": ".corp"},
        {"ALL_PROXY": DEAD},
    ],
    ids=["no exceptions", "other exceptions", "all"],
)
def test_every_client_asks_this_machine_directly(here: str, variables: dict[str, str], tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    # MLflow takes seconds to import, and asks by requests: once is enough.
    clients = {name: code for name, code in CLIENTS.items() if name != "mlflow" or "HTTPS_PROXY" in variables}
    parts = [f"def part(url):\n    {code.replace(chr(10), chr(10) + '    ')}" for code in clients.values()]
    program = "\n".join(
        [
            "from lamina.settings import load_settings",
            "load_settings()",
            *(f"{part}\ntry: part({here!r})\nexcept Exception as error: print({name!r}, repr(error))"
              for name, part in zip(clients, parts, strict=True)),
        ]
    )  # fmt: skip
    env |= {**variables, "LAMINA_STACK_DIR": str(tmp_path), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]


def test_the_check_notices_a_client_that_goes_by_the_proxy(here: str) -> None:
    """The proxy is one that a client would use: without lamina's part it fails."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    code = f"import urllib.request; urllib.request.urlopen({here!r}, timeout=5)"
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, env=env | {"HTTP_PROXY": DEAD}, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_a_stack_hands_it_to_its_children(tmp_path: Path) -> None:
    children = Stack(tmp_path, services={"redis"}, env={"https_proxy": DEAD, "NO_PROXY": "corp"})._base_env
    assert children["NO_PROXY"] == children["no_proxy"] == "corp,127.0.0.1,localhost,::1"


@pytest.mark.parametrize("named", ["*", "corp,*"])
def test_who_wants_no_proxy_at_all_gets_none(named: str) -> None:
    assert proxies.exceptions({"http_proxy": DEAD, "no_proxy": named})["no_proxy"] == "*"


def test_without_a_proxy_nothing_is_set() -> None:
    assert proxies.exceptions({"HTTP_PROXY": "", "NO_PROXY": "corp"}) == {}


def test_a_server_elsewhere_is_asked_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`elsewhere.invalid` has no address, but the proxy is asked for it first, and it is this that does not answer."""
    import urllib.request

    # Whoever asked something before there was a proxy must not keep it from being asked.
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(urllib.request.ProxyHandler({})))
    monkeypatch.setenv("http_proxy", DEAD)
    with pytest.raises(OSError, match="refused"):
        proxies.open_url(urllib.request.Request("http://elsewhere.invalid/"), 5)
