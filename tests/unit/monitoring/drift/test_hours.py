"""Sketches by the hour: made once, made again when other answers count, and never of what is not to be looked at."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from lamina.clock import midnight_ms
from lamina.lake import layout
from lamina.monitoring.drift import hours
from lamina.monitoring.drift.distributions import Numbers, Texts
from lamina.monitoring.drift.hours import FILE, Served, column_of, served_hours, windowed
from lamina.monitoring.hours import HOUR_MS
from tests.unit.monitoring.drift.answers import ANSWER, answer, put

DAY = date(2018, 8, 14)
BEGIN_MS = midnight_ms(DAY)
SYSTEM = ANSWER.system
KINDS = {"amount": "number", "kind": "text"}
LATER = BEGIN_MS + 100 * HOUR_MS


def read(lake: Path, first: int = 0, last: int = 24, known_before_ms: int = LATER) -> list[Served]:
    return served_hours(
        str(lake), SYSTEM, KINDS, BEGIN_MS + first * HOUR_MS, BEGIN_MS + last * HOUR_MS, known_before_ms
    )


def numbers(found: list[Served], name: str = "amount", version: str | None = None) -> list[float]:
    column = windowed(found, name, version)
    assert isinstance(column, Numbers)
    return np.repeat(column.values, column.weights.astype(int)).tolist()


def test_hours_are_put_together_for_a_window(tmp_path: Path) -> None:
    rows = [answer(n, BEGIN_MS + n * HOUR_MS, {"amount": float(n), "kind": "web"}, n / 10) for n in range(5)]
    put(tmp_path, DAY, rows)
    found = read(tmp_path, 1, 4)
    assert [hour.at_ms for hour in found] == [BEGIN_MS + n * HOUR_MS for n in (1, 2, 3)]
    assert numbers(found) == [1.0, 2.0, 3.0] and numbers(found, version="3") == [0.1, 0.2, 0.3]
    kinds = windowed(found, "kind")
    assert isinstance(kinds, Texts) and kinds.counts == {"web": 3}
    assert windowed(found, "score", "4") is None and windowed([], "amount") is None


def test_what_was_made_is_used_again_without_reading_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, DAY, [answer(n, BEGIN_MS + n, {"amount": float(n)}, 0.5) for n in range(3)])
    before = read(tmp_path)
    monkeypatch.setattr(hours, "_sketched", lambda *_: pytest.fail("made again"))
    again = read(tmp_path)
    assert numbers(again) == numbers(before) == [0.0, 1.0, 2.0] and again[0].rows == 3
    assert numbers(again, version="3") == [0.5] * 3


def test_late_answers_count_once_they_are_there_and_not_before_their_time(tmp_path: Path) -> None:
    put(tmp_path, DAY, [answer(0, BEGIN_MS, {"amount": 1.0}, 0.5)])
    assert numbers(read(tmp_path)) == [1.0]
    late = answer(1, BEGIN_MS + 1, {"amount": 2.0}, 0.5, served_at=BEGIN_MS + 30 * HOUR_MS)
    put(tmp_path, date(2018, 8, 15), [late])
    assert numbers(read(tmp_path)) == [1.0, 2.0]
    assert numbers(read(tmp_path, known_before_ms=BEGIN_MS + 30 * HOUR_MS)) == [1.0]


def test_answers_that_came_twice_shadows_and_those_without_features_do_not_count(tmp_path: Path) -> None:
    one = answer(0, BEGIN_MS, {"amount": 1.0}, 0.5)
    shadow = answer(0, BEGIN_MS, {"amount": 9.0}, 0.5, shadow=True)
    put(tmp_path, DAY, [one, one, shadow, answer(1, BEGIN_MS, {}, 0.9)])
    (found,) = read(tmp_path)
    assert (found.rows, numbers([found]), numbers([found], version="3")) == (1, [1.0], [0.5])


def test_answers_to_two_events_count_even_under_one_request_id(tmp_path: Path) -> None:
    one, other = (answer(0, BEGIN_MS, {"amount": n}, 0.5, event_id=f"txn-{n}") for n in (1.0, 2.0))
    put(tmp_path, DAY, [one, other, one])
    assert sorted(numbers(read(tmp_path))) == [1.0, 2.0]


def test_scores_are_kept_by_version_and_without_a_model_there_are_none(tmp_path: Path) -> None:
    old, new = answer(0, BEGIN_MS, {"amount": 1.0}, 0.2), answer(1, BEGIN_MS, {"amount": 1.0}, 0.4, version="4")
    put(tmp_path, DAY, [old, new, answer(2, BEGIN_MS, {"amount": 1.0}, 0.0, outputs={}, models={})])
    found = read(tmp_path)
    assert (numbers(found, version="3"), numbers(found, version="4"), found[0].rows) == ([0.2], [0.4], 3)


@pytest.mark.parametrize("content", [b"{", b'{"format": 99}'])
def test_a_broken_file_is_made_again(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, DAY, [answer(0, BEGIN_MS, {"amount": 1.0}, 0.5)])
    read(tmp_path)
    file = Path(layout.sketches(str(tmp_path), SYSTEM, datetime(2018, 8, 14, tzinfo=UTC))) / FILE
    good = file.read_bytes()
    file.write_bytes(content)
    assert numbers(read(tmp_path)) == [1.0] and file.read_bytes() == good


def test_other_features_make_an_hour_anew(tmp_path: Path) -> None:
    put(tmp_path, DAY, [answer(0, BEGIN_MS, {"amount": 1.0, "speed": 7.0}, 0.5)])
    read(tmp_path)
    found = served_hours(str(tmp_path), SYSTEM, {"speed": "number"}, BEGIN_MS, BEGIN_MS + HOUR_MS, LATER)
    assert numbers(found, "speed") == [7.0] and list(found[0].features) == ["speed"]


def test_only_the_features_that_are_wanted_are_unpacked(tmp_path: Path) -> None:
    put(tmp_path, DAY, [answer(0, BEGIN_MS, {"amount": 1.0, "kind": "web"}, 0.5)])
    for _ in range(2):
        (found,) = served_hours(str(tmp_path), SYSTEM, KINDS, BEGIN_MS, BEGIN_MS + HOUR_MS, LATER, ["kind"])
        assert list(found.features) == ["kind"] and list(found.scores) == ["3"]
    assert numbers(read(tmp_path)) == [1.0]


def test_an_empty_lake_has_no_hours(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_values_of_the_other_kind_are_missing() -> None:
    assert column_of(["a", 1.0, None], "text").tolist() == ["a", None, None]
    assert np.isnan(column_of(["a", 1, None, True], "number")).tolist() == [True, False, True, False]
