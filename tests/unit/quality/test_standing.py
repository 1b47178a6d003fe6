import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lamina.lake import layout
from lamina.quality.standing import forget, note_unarchived, standing

DAY = date(2018, 8, 8)
TOPIC = "transactions"


def _say(lake: str, name: str, **content: Any) -> None:
    folder = Path(layout.quality(lake, TOPIC, DAY))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def test_a_day_that_nobody_looked_at_is_not_let_through(lake: str) -> None:
    found = standing(lake, TOPIC, DAY)
    assert (found.passed, found.is_lasting, found.verdict) == (False, False, None)
    assert "run DAG archive_daily for that day" in found.complaint


@pytest.mark.parametrize("status", ["passed", "empty", "released"])
def test_a_verdict_lets_it_through(lake: str, status: str) -> None:
    _say(lake, "report.json", status=status, rows=3, failed=[])
    found = standing(lake, TOPIC, DAY)
    assert (found.passed, found.verdict, found.complaint) == (True, status, "")


def test_a_day_that_failed_passes_once_it_is_released(lake: str) -> None:
    _say(lake, "report.json", status="failed", rows=3, failed=["a", "b"])
    found = standing(lake, TOPIC, DAY)
    assert (found.passed, found.is_lasting) == (False, True)
    assert f"open {found.page}" in found.complaint and "--release" in found.complaint
    assert found.page == f"{layout.quality(lake, TOPIC, DAY)}/report.html"
    # As many rows, no further rule: what a person has looked at.
    for allowed, passes in (({"rows": 3, "failed": ["a"]}, False), ({"rows": 4, "failed": ["a", "b"]}, False)):
        _say(lake, "released.json", **allowed)
        assert standing(lake, TOPIC, DAY).passed is passes
    _say(lake, "released.json", rows=3, failed=["a", "b", "c"])
    assert (standing(lake, TOPIC, DAY).verdict, standing(lake, TOPIC, DAY).complaint) == ("released", "")


def test_an_archive_that_failed_says_so_and_takes_nothing_back(lake: str) -> None:
    _say(lake, "report.json", status="passed", rows=3, failed=[])
    note_unarchived(lake, TOPIC, DAY, "Kafka has deleted messages", is_final=True)
    found = standing(lake, TOPIC, DAY)
    assert found.complaint == f"transactions was not archived for {DAY}: Kafka has deleted messages"
    assert (found.passed, found.is_lasting) == (True, True)
    note_unarchived(lake, TOPIC, DAY, "Kafka did not answer", is_final=False)
    assert not standing(lake, TOPIC, DAY).is_lasting


def test_what_was_said_of_another_archive_of_the_day_is_no_verdict(lake: str) -> None:
    """As by a driver that was taken for dead, after the next one has archived the day."""
    folder = Path(layout.events(lake, TOPIC, DAY)) / layout.ORIGIN
    folder.mkdir(parents=True)
    (folder / layout.OFFSETS).write_text(json.dumps({"run": "second"}))
    _say(lake, "report.json", run="first", status="empty", rows=0, failed=[])
    assert standing(lake, TOPIC, DAY).verdict is None
    _say(lake, "report.json", status="empty", rows=0, failed=[])
    assert standing(lake, TOPIC, DAY).verdict is None
    _say(lake, "report.json", run="second", status="empty", rows=0, failed=[])
    assert standing(lake, TOPIC, DAY).passed
    aside = Path(layout.quarantine(lake, TOPIC, DAY))
    aside.parent.mkdir(parents=True)
    folder.parent.rename(aside)
    assert standing(lake, TOPIC, DAY).passed, "wherever it lies"
    (aside / layout.ORIGIN / layout.OFFSETS).unlink()
    assert standing(lake, TOPIC, DAY).verdict is None, "freed: as by take-back"


def test_of_a_day_that_is_archived_anew_nothing_is_known_but_what_a_person_let_pass(lake: str) -> None:
    _say(lake, "report.json", status="failed", rows=3, failed=["a"])
    _say(lake, "released.json", rows=3, failed=["a"])
    note_unarchived(lake, TOPIC, DAY, "no answer", is_final=False)
    forget(lake, TOPIC, DAY)
    assert standing(lake, TOPIC, DAY).verdict is None
    assert standing(lake, TOPIC, DAY).problem == ""
    assert [f.name for f in Path(layout.quality(lake, TOPIC, DAY)).iterdir()] == ["released.json"]
    forget(lake, "never-archived", DAY)
