"""The fingerprint of a day lies beside its rows, and is no row."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from lamina.lake import layout
from lamina.lake.joined import joined_days, read_joined
from lamina.lake.joined_state import fingerprints, write_fingerprint
from lamina.lake.write import replacing
from tests.joined_rows import put_joined

MONDAY = date(2018, 8, 13)


def test_a_fingerprint_lies_beside_the_rows(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert fingerprints(lake, "shop") == {}
    put_joined(lake, "shop", [{"request_id": "a"}])
    assert fingerprints(lake, "shop") == {MONDAY: None}
    with replacing(layout.joined(lake, "shop", MONDAY)) as staging:
        write_fingerprint(staging, "1-ab")
    assert fingerprints(lake, "shop") == {MONDAY: "1-ab"}
    assert joined_days(lake, "shop") == [MONDAY]
    assert read_joined(lake, "shop").num_rows == 0
