"""The fixed table on the table of its thresholds."""

from __future__ import annotations

import pytest

from lamina.rules.bands import assess
from lamina.rules.book import load_rules
from lamina.settings import Settings

BANDS = load_rules(Settings().rules_file).risk


@pytest.mark.parametrize(
    ("amount", "score", "action"),
    [
        (99.99, 0.95, "reject"),
        (99.99, 0.9499, "review"),
        (99.99, 0.85, "review"),
        (99.99, 0.8499, "approve"),
        (100.0, 0.90, "reject"),
        (100.0, 0.8999, "review"),
        (999.99, 0.75, "review"),
        (999.99, 0.7499, "approve"),
        (1000.0, 0.80, "reject"),
        (1000.0, 0.7999, "review"),
        (1e6, 0.60, "review"),
        (1e6, 0.5999, "approve"),
        (-50.0, 0.90, "review"),  # a refund is in the first band
        (0.0, 1.0, "reject"),
    ],
)
def test_thresholds(amount: float, score: float, action: str) -> None:
    found, reason = assess(BANDS, score, amount)
    assert found == action
    assert (reason.code if reason else None) == (None if action == "approve" else f"score_{action}")


def test_the_reason_names_score_and_threshold() -> None:
    _, reason = assess(BANDS, 0.91234, 250.0)
    assert reason is not None
    assert reason.detail == "score 0.912 reaches 0.90 for amounts below 1,000"
