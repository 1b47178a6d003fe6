"""A scene's figures are what its clients saw."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.outage_scenes import Scene, Seen
from benchmarks.outages_page import write_page

OUTCOMES = ("decided", "rules_only_no_features", "refused_503", "failed_0", "rules_only_deadline", "decided")
SEEN = Seen(
    Scene("redis", "Redis is <gone>"),
    pd.DataFrame(
        {
            "at_s": [0.0, 2.0, 3.0, 4.0, 6.5, 9.0],
            "waited_ms": [5.0, 50.0, 2.0, 90.0, 101.0, 5.0],
            "outcome": OUTCOMES,
        }
    ),
    began_s=1.0,
    ended_s=5.0,
    dropped=3,
)


def test_figures() -> None:
    assert SEEN.figures() == {
        "redis_requests": 6,
        "redis_failed": 1,
        "redis_degraded": 2,
        "redis_refused": 1,
        "redis_dropped": 3,
        "redis_p99_ms": 89.2,
        "redis_recovered_s": 1.5,
    }


def test_the_page_shows_every_outcome(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [SEEN], {"rate": 100})
    page = (tmp_path / "page.html").read_text()
    assert all(outcome in page for outcome in OUTCOMES)
    assert "Redis is &lt;gone&gt;" in page and "<gone>" not in page and "src=" not in page
