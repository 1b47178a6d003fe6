"""Settings are checked when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lamina.settings import STACK_ENV, load_settings


@pytest.fixture(autouse=True)
def no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path))
    return tmp_path


def test_environment_wins_over_a_running_stack(no_stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_stack / STACK_ENV).write_text("LAMINA_API_PORT=9001\nLAMINA_KAFKA_BOOTSTRAP=127.0.0.1:1\n")
    monkeypatch.setenv("LAMINA_API_PORT", "9002")
    settings = load_settings()
    assert (settings.api_port, settings.kafka_bootstrap) == (9002, "127.0.0.1:1")


def test_a_password_is_not_printed() -> None:
    assert "hunter2" not in repr(load_settings(redis_url="redis://:hunter2@127.0.0.1/0"))


def test_a_deadline_below_a_timeout_is_refused() -> None:
    with pytest.raises(ValidationError, match="LAMINA_DECISION_DEADLINE_MS"):
        load_settings(decision_deadline_ms=10, redis_timeout_ms=50)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        load_settings(kafka_bootsrap="x")
