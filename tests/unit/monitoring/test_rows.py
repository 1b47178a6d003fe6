"""Rows are read once, and looked at as of any time as if they had been read for it."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.clock import DAY_MS
from lamina.definitions import record
from lamina.monitoring.rows import Answers, read_rows
from tests.unit.monitoring.joined import BEGIN_MS, DELAY_MS, calibrated, row, said, table, waiting

FRAUD = record("fraud")


@pytest.mark.parametrize("days", [(0, 7), (1, 4), (2.5, 5.25), (9, 9)])
@pytest.mark.parametrize("known", [9.0, 11.5, 30.0])
def test_a_window_as_of_a_time_is_what_reading_it_alone_gives(days: tuple[float, float], known: float) -> None:
    rows = calibrated(700)
    for r in rows[500:]:
        r |= {} if r["label"] else waiting()
    rows += [row(900, **said(BEGIN_MS + DAY_MS, 0.0)), row(901, score=None), row(902, action="reject")]
    rows += [
        row(903, request_id="r-902", event_id="txn-902", shadow=True),
        row(904, action="reject", **said(BEGIN_MS + 8 * DAY_MS)),
    ]
    start, end, known_ms = (round(BEGIN_MS + n * DAY_MS) for n in (*days, known))
    own = [r for r in rows if start <= r["timestamp"] < end]
    once, alone = Answers.of(FRAUD, table(rows)).as_of(known_ms, start, end), read_rows(FRAUD, table(own), known_ms)
    for name, values in vars(alone).items():
        if name != "owner":
            np.testing.assert_array_equal(getattr(once, name), values, err_msg=name)
    # The place of a unit among more of them is another one, and in the same order.
    ids, places = np.unique(once.owner, return_index=True)
    assert sorted(once.unit[places]) == once.unit[places].tolist() and len(ids) == len(set(alone.unit))


def test_a_shadow_counts_as_the_answer_that_was_given_does() -> None:
    beside = {"request_id": "r-0", "event_id": "txn-0"}
    rows = [row(0, action="reject"), row(1, **beside, shadow=True), row(2, request_id="r-9", shadow=True)]
    found = read_rows(FRAUD, table(rows), BEGIN_MS + 2 * DELAY_MS)
    assert dict(zip(found.timestamp - BEGIN_MS, found.weight, strict=True)) == {0: 0.0, 1: 0.0, 2: 1.0}
