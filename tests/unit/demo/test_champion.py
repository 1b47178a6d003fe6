"""Which version serves is asked of the API, of the system at hand, until it is the one that is waited for."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest

from lamina.demo import champion
from lamina.demo.champion import wait_for_version
from lamina.demo.posting import DemoError
from lamina.settings import load_settings


def test_the_champion_that_is_waited_for_is_the_systems_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"model of fraud": {"version": "7"}, "model of activity": {"version": "2"}}

    def get(url: str, timeout: float) -> SimpleNamespace:
        assert url.endswith("/health/ready")
        return SimpleNamespace(json=lambda: {"dependencies": found})

    monkeypatch.setattr(httpx, "get", get)
    settings = load_settings()
    assert wait_for_version(settings, "activity") == "2"
    del found["model of activity"]
    with pytest.raises(DemoError, match="serves no activity: is there a serving/systems/activity"):
        wait_for_version(settings, "activity")


def test_a_version_is_waited_for_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter(["1", "1", "2"])

    def get(url: str, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(json=lambda: {"dependencies": {"model of fraud": {"version": next(versions)}}})

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setattr(champion, "POLL_S", 0.0)
    assert wait_for_version(load_settings(), "fraud", "2") == "2"
    versions = iter(["1"] * 9)
    monkeypatch.setattr(champion, "TIMEOUT_S", 0.0)
    with pytest.raises(DemoError, match="serves no version 2 after"):
        wait_for_version(load_settings(), "fraud", "2")
