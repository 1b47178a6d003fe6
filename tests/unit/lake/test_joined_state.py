"""The fingerprint of a day lies beside its rows, and is no row."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from lamina.lake import layout
from lamina.lake.joined import joined_days, read_joined
from lamina.lake.joined_state import STATE, AsOf, JoinState, states, write_fingerprint
from lamina.lake.write import replacing
from tests.joined_rows import put_joined

MONDAY = date(2018, 8, 13)


def test_a_fingerprint_lies_beside_the_rows(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert states(lake, "shop") == {}
    put_joined(lake, "shop", [{"request_id": "a"}])
    assert states(lake, "shop") == {MONDAY: JoinState()}
    with replacing(layout.joined(lake, "shop", MONDAY)) as staging:
        write_fingerprint(staging, "1-ab", AsOf(9, MONDAY))
    assert states(lake, "shop") == {MONDAY: JoinState("1-ab", AsOf(9, MONDAY))}
    Path(layout.joined(lake, "shop", MONDAY), STATE).write_text('{"fingerprint": "1-ab"}')
    assert states(lake, "shop") == {MONDAY: JoinState("1-ab")}
    assert joined_days(lake, "shop") == [MONDAY]
    assert read_joined(lake, "shop").num_rows == 0


def test_who_looked_at_a_later_time_has_seen_more() -> None:
    tuesday = MONDAY + timedelta(days=1)
    assert AsOf(9, MONDAY) < AsOf(10, MONDAY) < AsOf(10, tuesday)
    assert not AsOf(9, tuesday) > AsOf(10, MONDAY)
