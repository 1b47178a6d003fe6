"""The README's first command, as a user gives it, on a small world: every stage, nothing lost, nothing wrong."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from lamina.settings import ROOT

USERS, DAYS = 400, 45


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """What `make demo` printed, the figures it wrote, and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"LAMINA_STACK_DIR": str(folder), "COLUMNS": "160"}
    command = ["make", "demo", f"ARGS=--users {USERS} --days {DAYS} --rate 90"]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=1500)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-6000:]
    [figures] = (folder / "reports").glob("*.json")
    return run.stdout, json.loads(figures.read_text()), folder


@pytest.mark.timeout(1600)
def test_nothing_is_lost_on_the_way(demo: tuple[str, dict[str, Any], Path]) -> None:
    hops = {(h["path"], h["name"]): h for h in demo[1]["hops"]}
    posted = hops["transactions", "of the live day"]["rows"]
    assert posted > USERS
    for hop in hops.values():
        assert hop["expected"] is None or hop["expected"] == hop["rows"] + hop["aside"], hop
    assert hops["transactions", "archived"]["rows"] == hops["decisions", "archived"]["rows"] == posted
    assert hops["tiles", "updates on Kafka"]["rows"] >= posted


def test_what_was_served_is_what_spark_recomputes(demo: tuple[str, dict[str, Any], Path]) -> None:
    parity = demo[1]["parity"]
    assert sum(f["compared"] for f in parity) > 1000
    assert [f for f in parity if f["mismatch"] or f["missing"] or f["extra"]] == []


def test_a_model_was_trained_promoted_and_used(demo: tuple[str, dict[str, Any], Path]) -> None:
    results = demo[1]
    assert results["model"]["outcome"].startswith("promoted")
    assert results["detection"]["scores"]["auc"] >= 0.8
    assert sum(results["decisions"]["by_action"].values()) > USERS
    assert sum(results["decisions"]["fallbacks"].values()) < USERS, "most are decided by the model"
    assert results["decisions"]["by_action"]["approve"] > sum(results["decisions"]["by_action"].values()) / 2


def test_latency_and_freshness_were_measured(demo: tuple[str, dict[str, Any], Path]) -> None:
    results = demo[1]
    assert results["latency"]["errors"] == 0
    assert {s["name"] for s in results["latency"]["stages"]} >= {"features", "rules", "model"}
    assert results["freshness"]["percentiles"]["count"] > 10


def test_a_table_and_one_self_contained_report(demo: tuple[str, dict[str, Any], Path]) -> None:
    printed, results, folder = demo
    for stage in results["stages"]:
        assert stage["name"][:20] in printed
    [report] = (folder / "reports").glob("*.html")
    assert str(report) in printed
    page = report.read_text()
    assert "<svg" in page
    assert 'src="http' not in page
    assert "<script" not in page


def test_its_model_is_there_when_its_stack_is_started_again(demo: tuple[str, dict[str, Any], Path]) -> None:
    folder = demo[2]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA_", "AIRFLOW"))}

    def said(*command: str, stack_dir: Path = folder) -> str:
        own = env | {"LAMINA_STACK_DIR": str(stack_dir)}
        run = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False, timeout=600)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    try:
        assert "mlflow" in said("make", "up", "DEMO=1", "ARGS=--only mlflow")
        assert "champion" in said(".venv/bin/lamina", "models", "list", stack_dir=folder / "demo")
    finally:
        said("make", "down", "DEMO=1")


def test_everything_that_was_started_is_stopped(demo: tuple[str, dict[str, Any], Path]) -> None:
    marker = str(demo[2])
    left = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            if process.environ().get("LAMINA_STACK_CHILD", "").startswith(marker):
                left.append(process.info)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    assert left == []
