"""An alert counts as told when it is of the system, fires, and is one of those that are waited for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from lamina.demo import told
from lamina.demo.posting import DemoError
from lamina.demo.told import OnConsole, OnPrometheus, board, wait_until_told
from lamina.local import prometheus

API = "http://127.0.0.1:8000"


def serve(monkeypatch: pytest.MonkeyPatch, url: str, **content: Any) -> None:
    def get(asked: str, timeout: float) -> httpx.Response:
        assert asked == url
        return httpx.Response(200, request=httpx.Request("GET", asked), **content)

    monkeypatch.setattr(httpx, "get", get)


def alert(system: str, name: str, state: str = "firing") -> dict[str, Any]:
    return {"state": state, "labels": {"alertname": "ModelPerformanceFell", "system": system, "alert": name}}


def test_prometheus_tells_what_fires_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = [
        alert("fraud", "auc_fell"),
        alert("fraud", "accuracy_fell", "pending"),
        alert("activity", "auc_below_minimum"),
        alert("fraud", "covariate_drift"),
        {"state": "firing", "labels": {"alertname": "TargetDown"}},
    ]
    serve(monkeypatch, f"{API}/api/v1/alerts", json={"data": {"alerts": alerts}})
    wanted = {"auc_fell", "accuracy_fell", "auc_below_minimum"}
    assert OnPrometheus(API).told("fraud", wanted) == ["ModelPerformanceFell (auc_fell)"]


def test_the_console_tells_what_its_page_has(monkeypatch: pytest.MonkeyPatch) -> None:
    page = '<tr><th scope="row">auc_fell</th></tr> accuracy_fell'
    serve(monkeypatch, f"{API}/console/measured", text=page)
    assert OnConsole(API).told("fraud", {"auc_fell", "accuracy_fell"}) == ["auc_fell"]


def test_without_prometheus_it_is_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "find", lambda: None)
    with board(API) as found:
        assert isinstance(found, OnConsole)


def test_a_prometheus_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho no such flag >&2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(prometheus, "find", lambda: SimpleNamespace(prometheus=program))
    with pytest.raises(DemoError, match=r"Prometheus does not start:\s+no such flag"), board(API):
        raise AssertionError("it does not run")


def test_what_is_told_late_is_waited_for_and_what_never_is_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[], ["auc_fell"]])
    late = SimpleNamespace(name="a board", told=lambda system, alerts: next(answers))
    monkeypatch.setattr(told, "EACH_S", 0)
    assert wait_until_told(late, "fraud", {"auc_fell"}) == ["auc_fell"]
    monkeypatch.setattr(told, "PATIENCE_S", 0)
    never = SimpleNamespace(name="a board", told=lambda system, alerts: [])
    with pytest.raises(DemoError, match="a board tells nothing of accuracy_fell, auc_fell"):
        wait_until_told(never, "fraud", {"auc_fell", "accuracy_fell"})
