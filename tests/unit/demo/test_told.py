"""An alert counts as told when it is of the system, fires, and is one of those that are waited for."""

from __future__ import annotations

from functools import partial
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


def console(monkeypatch: pytest.MonkeyPatch, sign_in: int) -> None:
    """An API whose console answers so to a name, and shows its page to who has the cookie."""
    rows = ("fraud/auc_fell", "fraud/accuracy", "activity/accuracy_fell")
    page = "accuracy_fell" + "".join(f'<tr data-alert="{row}"></tr>' for row in rows)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/console/sign-in":
            assert request.content == b"name=demo"
            return httpx.Response(sign_in, headers={"set-cookie": "lamina_console=x; Path=/console"})
        assert request.url.path == "/console/measured"
        return (
            httpx.Response(200, text=page) if "lamina_console=x" in request.headers["cookie"] else httpx.Response(303)
        )

    client = partial(httpx.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "Client", client)
    monkeypatch.setattr(prometheus, "find", lambda: None)


def test_without_prometheus_the_console_tells_what_its_page_has(monkeypatch: pytest.MonkeyPatch) -> None:
    console(monkeypatch, 303)
    with board(API) as found:
        assert isinstance(found, OnConsole)
        assert found.told("fraud", {"auc_fell", "accuracy_fell"}) == ["auc_fell"]


def test_a_console_that_lets_nobody_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    console(monkeypatch, 401)
    with pytest.raises(DemoError, match=r"lets nobody in \(401\)"), board(API):
        raise AssertionError("nobody is in")


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
