from __future__ import annotations

import inspect

import pytest

from lamina.training import command
from lamina.training.command import train_command
from models.fraud.recipe import RECIPE


@pytest.mark.parametrize("days", [3, 7])
def test_labels_take_as_long_as_the_record_says(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(command, "label_days", lambda system: {"fraud": days}[system])
    assert inspect.signature(train_command(RECIPE)).parameters["delay_days"].default == days
