"""SIGTERM to a real process: unready first, then a grace in which all is served, then the door, then what is queued."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from lamina.local.layout import Layout
from lamina.local.service import StackPlan
from lamina.local.services import PORTS, SERVICES
from lamina.settings import ROOT, STOP_REST_S, STOP_WAIT_S, Settings
from serving import bootstrap, predicting, server

# A service of which only the parts that end are made: the rest needs Kafka, Redis and MLflow.
CHILD = """
import asyncio, sys, threading, time
from contextlib import asynccontextmanager
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from serving.middleware.requests import Leaving, RequestContext
from serving.routes.health import Readiness, health_router
from serving.server import PatientServer

out = Path(sys.argv[1])
leaving = Leaving()

@asynccontextmanager
async def lifespan(app):
    yield
    out.write_text("ended")
    if sys.argv[3] == "hangs":
        threading.Thread(target=time.sleep, args=(60,)).start()

async def readiness():
    return Readiness(status="stopping" if leaving else "ready", dependencies={})

app = FastAPI(lifespan=lifespan)
app.include_router(health_router(readiness))

@app.get("/slow")
async def slow():
    out.with_name("at-work").touch()
    await asyncio.sleep(1.0)
    return {}

app.add_middleware(RequestContext, new_id=lambda: "r", leaving=leaving)
config = uvicorn.Config(app, port=0, log_level="info", timeout_graceful_shutdown=5)
PatientServer(config, leaving=leaving.begin, grace_s=float(sys.argv[2])).run()
"""


@contextmanager
def child(folder: Path, grace_s: float, ending: str = "well") -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder / "ended"), str(grace_s), ending],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "running on" in line:
                # It says so a moment before it is so.
                time.sleep(0.2)
                yield process, line.split("running on ")[1].split(" ")[0]
                return
        raise AssertionError("it did not start")
    finally:
        process.kill()
        process.communicate()


def test_unready_first_then_the_door(tmp_path: Path) -> None:
    with child(tmp_path, 1.5) as (process, url), httpx.Client(base_url=url) as client:
        assert client.get("/health/ready").status_code == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        statuses = set()
        while time.monotonic() - began < 1.2:
            answer = client.get("/health/ready")
            statuses.add(answer.status_code)
            # A client that keeps its connection is told to find another before this one is gone.
            assert answer.status_code == 200 or answer.headers["connection"] == "close"
            assert client.get("/health/live").status_code == 200, "served as before"
            time.sleep(0.05)
        assert 503 in statuses and client.get("/health/ready").json()["status"] == "stopping"
        process.wait(10)
        assert 1.4 < time.monotonic() - began < 5
        with pytest.raises(httpx.ConnectError):
            client.get("/health/live")
    assert (tmp_path / "ended").read_text() == "ended"


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, None)])
def test_a_second_signal_or_a_person_does_not_wait_for_the_grace(
    tmp_path: Path, first: signal.Signals, second: signal.Signals | None
) -> None:
    with child(tmp_path, 60) as (process, _):
        process.send_signal(first)
        time.sleep(0.3)
        if second is not None:
            assert process.poll() is None
            process.send_signal(second)
        process.wait(10)
    assert (tmp_path / "ended").exists(), "in order all the same"


def test_requests_in_flight_are_answered(tmp_path: Path) -> None:
    with child(tmp_path, 0) as (process, url), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, f"{url}/slow", timeout=30)
        while not (tmp_path / "at-work").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 200
        process.wait(10)


def test_a_thread_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    with child(tmp_path, 0, "hangs") as (process, _):
        process.send_signal(signal.SIGTERM)
        process.wait(server.INTERPRETER_S + 4)
    assert (tmp_path / "ended").exists()


def test_the_end_fits_into_what_its_supervisors_wait(tmp_path: Path) -> None:
    settings = Settings()
    parts = settings.api_stop_grace_s + settings.api_stop_requests_s + settings.api_stop_events_s + STOP_REST_S
    assert parts <= settings.api_stop_wait_s == STOP_WAIT_S
    # What the steps beside the settings may take.
    rest = bootstrap.BACKGROUND_S + 1 + 1 + 3 * predicting.CLOSE_S + predicting.CLOSE_S + server.INTERPRETER_S
    assert rest <= STOP_REST_S
    service = SERVICES["api"](StackPlan(Layout(tmp_path), dict.fromkeys(PORTS, 1), {}))
    (program,) = service.programs
    assert program.stop_wait_s == STOP_WAIT_S == float(program.env["LAMINA_API_STOP_WAIT_S"])


@pytest.mark.parametrize("name", ["api_stop_grace_s", "api_stop_requests_s", "api_stop_events_s"])
def test_an_end_that_would_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="LAMINA_API_STOP_WAIT_S"):
        Settings(**{name: 24})  # type: ignore[arg-type]
    Settings(**{name: 24, "api_stop_wait_s": 60})  # type: ignore[arg-type]
