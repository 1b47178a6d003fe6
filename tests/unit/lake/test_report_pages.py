"""Pages of reports in the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.lake.report_pages import NoSuchReport, has_page, read_page


def test_a_page_goes_before_what_it_is_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "parity" / "fraud" / "2025-01-20"
    folder.mkdir(parents=True)
    assert not has_page(str(tmp_path), "parity/fraud/2025-01-20")
    (folder / "report.json").write_text("{}")
    assert read_page(str(tmp_path), "parity/fraud/2025-01-20").media_type == "application/json"
    (folder / "report.html").write_text("<p>")
    found = read_page(f"{tmp_path}/", "parity/fraud/2025-01-20/")
    assert (found.content, found.media_type) == (b"<p>", "text/html; charset=utf-8")
    assert has_page(str(tmp_path), "parity/fraud/2025-01-20")


@pytest.mark.parametrize("folder", ["events/x", "parity/../events", "parity/..", "..", "", "/parity", "parity//x", "a\nb"])
def test_only_folders_of_reports_are_looked_into(tmp_path: Path, folder: str) -> None:
    for look in (read_page, has_page):
        with pytest.raises(NoSuchReport):
            look(str(tmp_path), folder)
