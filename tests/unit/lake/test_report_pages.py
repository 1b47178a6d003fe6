"""Pages of reports in the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.lake import report_pages
from lamina.lake.report_pages import NoSuchReport, PageTooLarge, read_page


def test_a_page_goes_before_what_it_is_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "parity" / "fraud" / "2025-01-20"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    assert read_page(str(tmp_path), "parity/fraud/2025-01-20").media_type == "application/json"
    (folder / "report.html").write_text("<p>")
    found = read_page(f"{tmp_path}/", "parity/fraud/2025-01-20/")
    assert (found.content, found.media_type) == (b"<p>", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "folder", ["events/x", "parity/../events", "parity/..", "..", "", "/parity", "parity//x", "a\nb"]
)
def test_only_folders_of_reports_are_looked_into(tmp_path: Path, folder: str) -> None:
    (tmp_path / "events" / "x").mkdir(parents=True)
    (tmp_path / "parity" / "x").mkdir(parents=True)
    for place in (
        tmp_path,
        tmp_path / "events",
        tmp_path / "events" / "x",
        tmp_path / "parity",
        tmp_path / "parity" / "x",
    ):
        (place / "report.html").write_text("secret")
    with pytest.raises(NoSuchReport, match="there is no such report"):
        read_page(str(tmp_path), folder)


def test_a_page_that_would_fill_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pages, "LARGEST_BYTES", 4)
    folder = tmp_path / "parity" / "fraud"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("1234")
    assert read_page(str(tmp_path), "parity/fraud").content == b"1234"
    (folder / "report.html").write_text("12345")
    with pytest.raises(PageTooLarge, match=r"parity/fraud/report\.html has 5 bytes"):
        read_page(str(tmp_path), "parity/fraud")


def test_a_folder_of_that_name_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "parity" / "fraud" / "report.html").mkdir(parents=True)
    with pytest.raises(NoSuchReport, match="run its task again"):
        read_page(str(tmp_path), "parity/fraud")
