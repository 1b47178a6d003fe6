"""What the archive says of a day is found wherever the day lies."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from lamina.lake import layout, manifest
from lamina.lake.manifest import archived_run, read_manifest

DAY = date(2018, 8, 8)


def write(partition: str, **content: object) -> Path:
    folder = Path(partition) / layout.ORIGIN
    folder.mkdir(parents=True)
    (folder / layout.OFFSETS).write_text(json.dumps(content))
    return folder


def test_what_lies_in_its_place_counts_before_what_is_aside(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    assert (read_manifest(lake, "events", DAY), archived_run(lake, "events", DAY)) == ({}, None)
    write(layout.quarantine(lake, "events", DAY), read=3, run="a")
    assert archived_run(lake, "events", DAY) == "a"
    folder = write(layout.events(lake, "events", DAY), read=4, run="b")
    assert (read_manifest(lake, "events", DAY), archived_run(lake, "events", DAY)) == ({"read": 4, "run": "b"}, "b")
    (folder / layout.OFFSETS).write_text('{"read": 5}')
    assert archived_run(lake, "events", DAY) is None, "as the version before wrote it"


def test_a_day_that_is_put_back_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = str(tmp_path / "lake")
    aside = write(layout.quarantine(lake, "events", DAY), run="a").parent
    opened = manifest.open_lake  # type: ignore[attr-defined]

    def put_back_first(url: str) -> tuple[object, str]:
        found = opened(url)
        if "quarantine" in url:
            place = Path(layout.events(lake, "events", DAY))
            place.parent.mkdir(parents=True)
            aside.rename(place)
        return found

    monkeypatch.setattr(manifest, "open_lake", put_back_first)
    assert archived_run(lake, "events", DAY) == "a"
